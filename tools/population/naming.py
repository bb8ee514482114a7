"""Names: Thai and roman spelling together, and how a second clerk spells the same one.

The lists are common names and parts of names, written for this; families are joined from two parts, as most are.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from tools.population.draws import Draws


@dataclass(frozen=True, slots=True)
class Name:
    """One name in both scripts."""

    thai: str
    roman: str


@functools.cache
def lists_of(package: str, file: str) -> Mapping[str, tuple[Name, ...]]:
    """The lists of a data file by their titles: `[title]`, then names, each Thai and roman, joined by commas."""
    text = resources.files(package).joinpath(f"data/{file}.txt").read_text(encoding="utf-8")
    lists: dict[str, list[Name]] = {}
    current: list[Name] = []
    for line in text.splitlines():
        if line.startswith("["):
            current = lists.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            for entry in line.split(", "):
                thai, _, roman = entry.partition(" ")
                current.append(Name(thai, roman))
    return {title: tuple(names) for title, names in lists.items()}


def _lists(file: str) -> Mapping[str, tuple[Name, ...]]:
    return lists_of("tools.population", file)


@functools.cache
def families() -> tuple[Name, ...]:
    """Every family name that there is, each once."""
    lists = _lists("family")
    joined = [
        Name(first.thai + second.thai, first.roman + second.roman)
        for first in lists["first"]
        for second in lists["second"]
        if not first.thai.startswith(second.thai[:2])
    ]
    return (*lists["whole"], *joined)


def given_names(sex: str) -> tuple[Name, ...]:
    """Every given name of that sex ("male" or "female")."""
    return _lists("given")[sex]


def given_name(draws: Draws, sex: str) -> Name:
    """A given name. Those first in the list are of the generations before; all are drawn alike."""
    return draws.pick(given_names(sex))


def family_name(draws: Draws) -> Name:
    """A family name."""
    return draws.pick(families())


def foreign_name(draws: Draws, nation: str, sex: str) -> tuple[Name, Name]:
    """Given and family name of someone from 048 Myanmar, 056 Laos or 057 Cambodia."""
    lists = _lists("foreign")
    return draws.pick(lists[f"{nation} {sex}"]), draws.pick(lists[f"family {nation}"])


_CONFUSED: Final = (
    ("ณัฐ", "ณัฏฐ"), ("ศ", "ส"), ("ษ", "ส"), ("ณ", "น"), ("ภ", "พ"), ("ฑ", "ท"), ("ใ", "ไ"), ("ญ", "ย"), ("ฤ", "รึ"),
    ("ธ", "ท"), ("ซ", "ส"),
)  # fmt: skip
_SILENCED: Final = "\u0e4c"
_TONES: Final = "\u0e48\u0e49\u0e4a\u0e4b"


def misspell(draws: Draws, name: str) -> str:
    """The name as somebody wrote it who only heard it; the name itself where nothing can be confused."""
    ways: list[str] = [name.replace(right, wrong, 1) for right, wrong in _CONFUSED if right in name]
    if _SILENCED in name:
        ways.append(name.replace(_SILENCED, "", 1))
    ways.extend(name.replace(tone, "", 1) for tone in _TONES if tone in name)
    return draws.pick(ways) if ways else name


def disorder(name: str) -> str:
    """The name as a careless keyboard sends it: tone before vowel, the two halves of sara ae, a zero-width space."""
    told = name.replace("\u0e41", "\u0e40\u0e40")
    for vowel in "\u0e31\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39":
        for tone in _TONES:
            told = told.replace(vowel + tone, tone + vowel)
    return told if told != name else f"{name[:2]}\u200b{name[2:]}"


def roman_variant(draws: Draws, name: str) -> str:
    """Another way to write the name in Latin letters."""
    swaps: Sequence[tuple[str, str]] = (
        ("ph", "p"), ("th", "t"), ("ch", "j"), ("w", "v"), ("ae", "ea"), ("kh", "k"), ("r", "l"), ("ai", "ay"),
    )  # fmt: skip
    ways = [name.replace(old, new, 1) for old, new in swaps if old in name]
    return draws.pick(ways) if ways else name
