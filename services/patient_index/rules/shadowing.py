"""How another model would judge: who would join, and who would part."""

from dataclasses import dataclass
from enum import IntEnum

from services.patient_index.model import Grade, Match, Pair
from services.patient_index.rules.matching import forbids_linking
from services.patient_index.rules.placing import weigh
from services.patient_index.rules.weighing import FS_1, Model, read_model
from services.patient_index.rules.world import World, held_keys, pair


class FlipKind(IntEnum):
    """What a model would do otherwise; numbers as in the contract, and stored."""

    JOIN = 1
    PART = 2


@dataclass(frozen=True, slots=True)
class Flip:
    """A pair that two models judge otherwise."""

    kind: FlipKind
    pair: Pair
    before: Match
    after: Match


def flips_of(world: World, registration_id: str, linked_with: str, model: Model) -> list[Flip]:
    """What the model would do otherwise about a registration.

    A pair of which both would tell is told by the lower id. `linked_with` is the registration with which the model that
    decides linked this one; empty where a rule, somebody, or nobody did.
    """
    held = world.held[registration_id]
    found: list[Flip] = []
    if linked_with in world.held and world.held[linked_with].person_id == held.person_id:
        flip = _flip(world, FlipKind.PART, registration_id, linked_with, model)
        if flip.before.grade is Grade.CERTAIN is not flip.after.grade:
            found.append(flip)
    for other_id in world.candidates(held_keys(held), registration_id):
        other = world.held[other_id]
        if other_id < registration_id or other.person_id == held.person_id or world.is_apart(registration_id, other_id):
            continue
        flip = _flip(world, FlipKind.JOIN, registration_id, other_id, model)
        if flip.after.grade is Grade.CERTAIN is not flip.before.grade and not forbids_linking(
            held.features, other.features
        ):
            found.append(flip)
    return found


def _flip(world: World, kind: FlipKind, one: str, other: str, model: Model) -> Flip:
    features, deciding = world.held[one].features, world.model
    before = weigh(world, features, other, one)
    world.model = model
    try:
        after = weigh(world, features, other, one)
    finally:
        world.model = deciding
    return Flip(kind, pair(one, other), before, after)


def read_candidate_model(text: str) -> Model:
    """A model that somebody wants to register. Raises ValueError, in words, for one that could not decide."""
    try:
        model = read_model(text)
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ValueError(f"the model is not complete: {type(error).__name__} {error}") from error
    for grade in (Grade.CERTAIN, Grade.PROBABLE, Grade.POSSIBLE):
        if grade not in model.thresholds:
            raise ValueError(f"the model has no threshold for {grade.name.lower()}")
    for field, levels in FS_1.comparisons.items():
        missing = levels.keys() - model.comparisons[field].keys()
        if missing:
            raise ValueError(f"the model does not say what {field} weighs at {', '.join(sorted(missing))}")
    return model
