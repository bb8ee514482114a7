"""Whether a number is worth what it says: those who show it must look like one person.

A clinic's dummy number, a newborn registered under the mother's number, a neighbour's card: the number alone must neither
link them, nor open one person's records to another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.patient_index.model import Features
from services.patient_index.rules import comparing
from services.patient_index.rules.matching import Claim

# So many of those who show a number must look like one person for it to be theirs: one slip among three is a slip, one of
# two may be either.
_MOST_NUMERATOR, _MOST_DENOMINATOR = 2, 3
# A dispute of so many is worth a review; more are a dummy number.
MAX_DISPUTANTS = 4


@dataclass(frozen=True, slots=True)
class Claimant:
    """A registration that shows the number."""

    registration_id: str
    person_id: str
    features: Features


def believed(claimants: Sequence[Claimant]) -> frozenset[str]:
    """The registrations whose number it is; empty if it is nobody's.

    The largest group that looks like one person (or was put together as one), if it makes up two thirds of all who can be
    compared. Does not depend on the order of the claimants.
    """
    if len(claimants) == 1:
        return frozenset({claimants[0].registration_id})
    groups = _groups(claimants)
    comparable = [group for group in groups if any(_is_comparable(one.features) for one in group)]
    counted = sum(len(group) for group in comparable)
    if not comparable:
        return frozenset()
    largest = max(comparable, key=len)
    if len(largest) * _MOST_DENOMINATOR < counted * _MOST_NUMERATOR:
        return frozenset()
    return frozenset(one.registration_id for one in largest)


class Claims:
    """What one number is worth between those who show it; the groups are made once, when first asked for."""

    def __init__(self, claimants: Sequence[Claimant] | None) -> None:
        """None for a number that too many show to be anybody's."""
        self._claimants = claimants
        self._believed: frozenset[str] | None = None

    def between(self, one: str, other: str) -> Claim:
        """What it is worth between two of the claimants."""
        if self._claimants is None:
            return Claim.SHARED
        if self._believed is None:
            self._believed = believed(self._claimants)
        if one in self._believed and other in self._believed:
            return Claim.SOUND
        return Claim.DISPUTED if len(self._claimants) <= MAX_DISPUTANTS else Claim.SHARED


def _is_comparable(features: Features) -> bool:
    return bool(features.birth_date or features.given or features.given_roman)


def _groups(claimants: Sequence[Claimant]) -> list[list[Claimant]]:
    """Claimants joined by agreement or by their person, however long the chain."""
    if len({claimant.person_id for claimant in claimants}) == 1:
        return [list(claimants)]
    groups: list[list[Claimant]] = []
    for claimant in claimants:
        near = [group for group in groups if any(_belong_together(claimant, one) for one in group)]
        merged = [claimant, *(one for group in near for one in group)]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append(merged)
    return groups


def _belong_together(one: Claimant, other: Claimant) -> bool:
    return one.person_id == other.person_id or comparing.agree(one.features, other.features)
