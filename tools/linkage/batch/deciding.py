"""From weighed pairs to persons: who is joined without asking, what waits for review.

A weight alone joins nobody. Twins and the namesakes of one village look more alike than most pairs of one person do, so
that a pair is joined only if its given names are alike and its births do not contradict each other. What is joined is
joined in the order of the weights, and never so that two come together whom the rules or somebody holds apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

# In bits. At 9 the model's probability is 0.998; what the model cannot know of kin the ceilings hold back.
CERTAIN, PROBABLE, POSSIBLE = 9.0, 3.0, -2.0

# Levels of the given name and of the birth, by their place in the model's list, at which a pair may be joined.
ALIKE_GIVEN: Final = ("exact", "similar")
LIKELY_BIRTH: Final = ("exact", "partial", "swapped", "era", "near")


def may_join(given: Sequence[str], birth: Sequence[str]) -> str:
    """The condition on a pair's levels (`given`, `birth`), numbered as in those lists, under which it may be joined."""
    givens = ", ".join(str(given.index(one)) for one in ALIKE_GIVEN)
    births = ", ".join(str(birth.index(one)) for one in LIKELY_BIRTH)
    return f"given in ({givens}) and birth in ({births})"


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
