"""What a batch of linkage found becomes decisions: pair by pair, and never against what somebody said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from libs.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from services.patient_index.model import Decision, FieldWeight, Grade, Held, Match
from services.patient_index.rules.deciding import Word, merge
from services.patient_index.rules.world import World


@dataclass(frozen=True, slots=True)
class Link:
    """Two registrations that a model outside found to be one person."""

    registration_id: str
    other_id: str
    model: str
    # In bits, by that model.
    weight: float
    fields: tuple[FieldWeight, ...] = ()


def prepare(world: World, links: Sequence[Link]) -> None:
    """Makes sure that everything is there which `join` needs for these. Raises NotLoadedError."""
    world.require_all_of({one for link in links for one in (link.registration_id, link.other_id)})


def join(world: World, link: Link, word: Word) -> list[Decision]:
    """Brings the persons of two registrations together. None where they are one.

    The lower person stays, so that both orders of a pair come to one. Raises InvalidArgumentError, reason REGISTRATION_SAME;
    NotFoundError, reason REGISTRATION_UNKNOWN; FailedPreconditionError, reasons HELD_APART, OVERRIDDEN_APART.
    """
    if link.registration_id == link.other_id:
        raise InvalidArgumentError("REGISTRATION_SAME", "a pair is two registrations")
    held, other = world.held.get(link.registration_id), world.held.get(link.other_id)
    if held is None or other is None:
        raise NotFoundError("REGISTRATION_UNKNOWN", "there is no such registration")
    if held.person_id == other.person_id:
        return []
    coming, there = (held, other) if held.person_id > other.person_id else (other, held)
    _refuse_parted(world, coming.person_id, there.person_id)
    found = Match(
        there.registration_id, Grade.CERTAIN, link.weight, _probability(link.weight), link.fields, "", link.model
    )
    return merge(world, coming.person_id, there.person_id, word, coming.registration_id, found)


def _refuse_parted(world: World, from_person_id: str, person_id: str) -> None:
    """A batch knows nothing of what people said: what they parted, only they bring together."""
    for one, other in product(world.members(from_person_id), world.members(person_id)):
        if other.registration_id in world.apart.get(one.registration_id, ()):
            raise _held_apart(one, other)


def _held_apart(one: Held, other: Held) -> FailedPreconditionError:
    metadata = {"registration_id": one.registration_id, "other_registration_id": other.registration_id}
    return FailedPreconditionError(
        "HELD_APART", "somebody parted these two, or judged them two people", metadata=metadata
    )


def _probability(weight: float) -> float:
    odds = math.pow(2.0, min(weight, 1000.0))
    return odds / (1 + odds)
