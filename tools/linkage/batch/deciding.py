"""From weighed pairs to persons: who is joined without asking, what waits for review.

A weight alone joins nobody. Twins and the namesakes of one village look more alike than most pairs of one person do, so
that a pair is joined only if its given names are alike and its births do not contradict each other. What is joined is
joined in the order of the weights, and never so that two come together whom the rules or somebody holds apart.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# In bits. At 9 the model's probability is 0.998; what the model cannot know of kin the ceilings hold back.
CERTAIN, PROBABLE, POSSIBLE = 9.0, 3.0, -2.0

LEVELS: Final = ("given", "family", "birth", "citizen_id")
"""The comparisons whose levels decide besides the weight; not every model has the last."""
_NUMBER: Final = "citizen_id"
# Levels at which a pair may be joined.
_ALIKE_GIVEN: Final = ("exact", "crossed", "sound", "similar")
_LIKELY_BIRTH: Final = ("exact", "partial", "swapped", "era", "slip", "near")
# A foreign name, which each clerk hears in another way: it has no family name, or one that is heard in another way too. Where
# the family name is one and the same, it may be a twin's.
_HEARD_FAMILY: Final = ("sound", "similar", "skeleton", "missing")

Labels = Mapping[str, Sequence[str]]
"""For each of LEVELS the names of its levels, by number."""


def may_join(labels: Labels) -> str:
    """The condition on a pair's levels, numbered as in those lists, under which it may be joined."""
    usual = f"{_at(labels, 'given', _ALIKE_GIVEN)} and {_at(labels, 'birth', _LIKELY_BIRTH)}"
    heard = " and ".join(
        (_at(labels, "given", ("skeleton",)), _at(labels, "family", _HEARD_FAMILY), _at(labels, "birth", ("exact",)))
    )
    joined = f"(({usual}) or ({heard}))"
    if _NUMBER not in labels:
        return joined
    # Who shows another number is joined only under the very name: a slip in both is rarer than a twin.
    return f"({joined} and not ({_at(labels, _NUMBER, ('different',))} and not {_at(labels, 'given', ('exact',))}))"


def are_twins(labels: Labels) -> str:
    """The condition of those born on one day who bear two names: whoever looks like both is one of them at most."""
    return f"{_at(labels, 'given', ('different', 'rival'))} and {_at(labels, 'birth', ('exact',))}"


def _at(labels: Labels, name: str, levels: Sequence[str]) -> str:
    return f"{name} in ({', '.join(str(labels[name].index(level)) for level in levels)})"


@dataclass(slots=True)
class Persons:
    """Registrations, by number from 0, and the groups that they were joined to."""

    group: list[int]
    members: dict[int, list[int]]
    apart: dict[int, set[int]]

    def cluster_of(self, number: int) -> int:
        """The group of a registration: the number of one of its members."""
        return self.group[number]


def join(size: int, links: Iterable[tuple[int, int]], apart: Iterable[tuple[int, int]]) -> Persons:
    """Joins pairs in the order given, except where two would come together who are to stay apart."""
    persons = Persons(list(range(size)), {}, {})
    for one, other in apart:
        persons.apart.setdefault(one, set()).add(other)
        persons.apart.setdefault(other, set()).add(one)
    for one, other in links:
        _join(persons, persons.group[one], persons.group[other])
    return persons


def _join(persons: Persons, one: int, other: int) -> None:
    if one == other:
        return
    mine, theirs = persons.members.get(one) or [one], persons.members.get(other) or [other]
    if len(mine) < len(theirs):
        one, other, mine, theirs = other, one, theirs, mine
    if persons.apart and any(
        not held.isdisjoint(mine) for number in theirs if (held := persons.apart.get(number)) is not None
    ):
        return
    for number in theirs:
        persons.group[number] = one
    persons.members[one] = mine + theirs
    persons.members.pop(other, None)


def groups(persons: Persons) -> Iterator[tuple[int, ...]]:
    """Every group of more than one, lowest number first."""
    for members in persons.members.values():
        yield tuple(sorted(members))
