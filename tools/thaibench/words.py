"""Names in the frequencies of life: given names that many bear, family names of which most are rare.

Both follow the law of Zipf and Mandelbrot: the name of rank r is borne in proportion to (r + q) to the power of -s. Thai
given names are chosen, and the commonest is borne by some 7 in a thousand; a Thai family name is one family's own by
the Act of 1913, so that there are hundreds of thousands, and even the commonest is borne by 1 in a thousand.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tools.population import naming
from tools.population.draws import Draws
from tools.population.naming import Name

_PACKAGE: Final = "tools.thaibench"
# Parents chose other names after about this year: the old names then follow the new ones in rank.
_NEW_NAMES_FROM: Final = 1988
_FAMILIES: Final = 400_000
# Coprime to every number of compositions, so that rank does not follow the order of the parts.
_SCATTER: Final = 7_368_787
_WORKERS, _LAO, _KHMER = "048", "056", "057"


@dataclass(frozen=True, slots=True)
class Zipf:
    """Ranks 0 to size - 1, drawn by inverting the integral of (r + q) ** -s in place of the sum."""

    size: int
    s: float
    q: float

    def draw(self, draws: Draws) -> int:
        """A rank; the lowest are the most frequent."""
        power = 1 - self.s
        low = self.q**power
        high = (self.size + self.q) ** power
        rank = float((low + draws.fraction() * (high - low)) ** (1 / power)) - self.q
        return min(int(rank), self.size - 1)


_GIVEN_S, _GIVEN_Q = 0.85, 15.0
_FAMILY: Final = Zipf(_FAMILIES, 0.75, 30.0)


@functools.cache
def _lists(file: str) -> dict[str, tuple[Name, ...]]:
    return dict(naming.lists_of(_PACKAGE, file))


def _joined(firsts: Sequence[Name], seconds: Sequence[Name]) -> tuple[Name, ...]:
    """Every composition, scattered, without those that repeat a part."""
    joined = [
        Name(first.thai + second.thai, first.roman + second.roman)
        for first in firsts
        for second in seconds
        if first.thai[:2] != second.thai[:2]
    ]
    return tuple(joined[place * _SCATTER % len(joined)] for place in range(len(joined)))


@functools.cache
def _given(sex: str, *, is_new: bool) -> tuple[tuple[Name, ...], Zipf]:
    lists = _lists("given")
    old = naming.given_names(sex)
    new = _joined(lists["first"], lists[f"second {sex}"])
    # A name stands once, at its better rank.
    names = tuple({name.thai: name for name in ((*new, *old) if is_new else (*old, *new))}.values())
    return names, Zipf(len(names), _GIVEN_S, _GIVEN_Q)


def given_name(draws: Draws, sex: str, year: int) -> Name:
    """A Thai given name of somebody born in that year."""
    names, law = _given(sex, is_new=year >= _NEW_NAMES_FROM)
    return names[law.draw(draws)]


def twins_name(draws: Draws, sex: str, name: Name) -> Name:
    """A given name that begins as the other twin's does; any where none begins so."""
    names, _ = _given(sex, is_new=True)
    alike = _by_beginning(sex).get(name.thai[:3], ())
    return names[draws.pick(alike)] if alike else draws.pick(names)


@functools.cache
def _by_beginning(sex: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for place, name in enumerate(_given(sex, is_new=True)[0]):
        found.setdefault(name.thai[:3], []).append(place)
    return {start: tuple(places) for start, places in found.items()}


@functools.cache
def _common_families() -> tuple[Name, ...]:
    lists = _lists("family")
    return (*lists["common"], *naming.families()[:60], *_joined(lists["first"], lists["second"]))


def family_name(draws: Draws) -> Name:
    """A Thai family name. Those of low rank have two parts, the others three."""
    rank = _FAMILY.draw(draws)
    common = _common_families()
    if rank < len(common):
        return common[rank]
    lists = _lists("family")
    firsts, seconds, thirds = lists["first"], lists["second"], lists["third"]
    place = rank * _SCATTER % (len(firsts) * len(seconds) * len(thirds))
    place, third = divmod(place, len(thirds))
    first, second = divmod(place, len(seconds))
    parts = firsts[first], seconds[second], thirds[third]
    return Name("".join(part.thai for part in parts), "".join(part.roman for part in parts))


def southern_name(draws: Draws, sex: str) -> Name:
    """A given name of the Malay south."""
    return draws.pick(_lists("foreign")[f"south {sex}"])


def southern_family(draws: Draws) -> Name:
    """A family name of the Malay south, of two parts."""
    return _compound(draws, "south family first", "south family second")


def monastic_name(draws: Draws) -> Name:
    """A monk's name in religion, which stands where the family name stood."""
    return draws.pick(_lists("given")["monastic"])


def foreign_name(draws: Draws, nation: str, sex: str) -> tuple[Name, Name]:
    """Given and family name of a foreigner, with every Thai spelling, `|` between the spellings of a part.

    Parts are joined by `+`. People of Myanmar have no family name: theirs is empty.
    """
    lists = _lists("foreign")
    if nation == _WORKERS:
        parts = [draws.pick(lists["048 syllable"]) for _ in range(draws.between(2, 3))]
        return Name("+".join(part.thai for part in parts), " ".join(part.roman for part in parts)), Name("", "")
    if nation == _LAO:
        return _compound(draws, "056 first", "056 second"), _compound(draws, "056 family first", "056 family second")
    if nation == _KHMER:
        return draws.pick(lists[f"057 {sex}"]), draws.pick(lists["057 family"])
    return draws.pick(lists[f"western {sex}"]), draws.pick(lists["western family"])


def _compound(draws: Draws, first: str, second: str) -> Name:
    lists = _lists("foreign")
    one, other = draws.pick(lists[first]), draws.pick(lists[second])
    return Name(f"{one.thai}+{other.thai}", one.roman + other.roman)


def spell(name: str, draws: Draws | None) -> str:
    """The Thai spelling of a name of many spellings: the first of each part, or with draws any."""
    if "|" not in name and "+" not in name:
        return name
    parts = (part.split("|") for part in name.split("+"))
    return "".join(draws.pick(ways) if draws else ways[0] for ways in parts)
