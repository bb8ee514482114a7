"""What somebody decides about persons: link, unlink, merge, split, override, revert, part.

Each is one event, a decision with an id of its own, told once for every registration that it moves (or of the first, where
none moves). Its evidence keeps which pairs it held apart or rejoined and what it ordained, so that replaying decisions
rebuilds all of it and a revert restores exactly what was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, product

from libs.errors import FailedPreconditionError, FieldViolation, InvalidArgumentError, NotFoundError
from libs.ids import derived_id
from services.patient_index.model import Decision, DecisionKind, Held, Match, Override, Pair, Scope
from services.patient_index.rules.history import pairs_of, standing, ways_back
from services.patient_index.rules.matching import Claim, match
from services.patient_index.rules.world import World, pair

# So many of a person are compared with a registration that is put there; the likeliest is the evidence.
MAX_COMPARED = 20


@dataclass(frozen=True, slots=True)
class Word:
    """Who decides, when and why."""

    caller: str
    moment: datetime
    reason: str
    # Who judged so in a review before.
    reviewers: tuple[str, ...] = ()


def link(world: World, registration_id: str, person_id: str, word: Word) -> list[Decision]:
    """Puts a registration with a person; what was held apart between them is forgotten. None if it stands there.

    Raises NotFoundError, FailedPreconditionError.
    """
    held = known(world, registration_id)
    into = _final_person(world, person_id)
    if held.person_id == into:
        return []
    if into != person_id:
        raise _merged(into)
    world.require_persons(held.person_id, person_id)
    others = world.members(person_id)
    _refuse_apart(world, [held], others)
    _refuse_parting(world, [held], [one for one in world.members(held.person_id) if one is not held])
    return _move(
        world,
        DecisionKind.LINK,
        [(held, person_id)],
        word,
        rejoined=_apart_among(world, product([held], others)),
        found=_likeliest(world, held, others),
    )


def unlink(world: World, registration_id: str, word: Word) -> list[Decision]:
    """Takes a registration out of its person, which others share, and holds it apart from those.

    It goes back to the person that it had before it was put to them, unless somebody is there from whom it is held apart.
    Where it was never put to them, because the others came to it, it leaves to a new person of its own.

    Raises NotFoundError, FailedPreconditionError.
    """
    held = known(world, registration_id)
    world.require(Scope(histories=frozenset({registration_id})))
    back = ways_back(standing(world.loaded.histories[registration_id]))
    world.require_persons(held.person_id, *back)
    left = [one for one in world.members(held.person_id) if one is not held]
    if not left:
        raise FailedPreconditionError("REGISTRATION_ALONE", "nobody shares the registration's person")
    _refuse_parting(world, [held], left)
    decision_id = world.make_id()
    stays_apart = world.apart.get(registration_id, set()).union(one.registration_id for one in left)
    fits = (one for one in back if not any(other.registration_id in stays_apart for other in world.members(one)))
    target = next(fits, derived_id("person", registration_id, decision_id))
    return _move(
        world,
        DecisionKind.UNLINK,
        [(held, target)],
        word,
        decision_id=decision_id,
        held_apart=[pair(registration_id, one.registration_id) for one in left],
    )


def merge(
    world: World, from_person_id: str, person_id: str, word: Word, first: str = "", found: Match | None = None
) -> list[Decision]:
    """Brings all of one person to another, by what was `found` of the `first`, or else what the index finds. None if done.

    Raises InvalidArgumentError, NotFoundError, FailedPreconditionError.
    """
    if from_person_id == person_id:
        violation = FieldViolation("from_person_id", "PERSON_SAME", "a person cannot be merged into itself")
        raise InvalidArgumentError("PERSON_SAME", "both are one person already", fields=[violation])
    source, into = _final_person(world, from_person_id), _final_person(world, person_id)
    if into != person_id:
        raise _merged(into)
    if source == person_id:
        return []
    if source != from_person_id:
        raise _merged(source)
    world.require_persons(from_person_id, person_id)
    coming = sorted(world.members(from_person_id), key=lambda one: one.registration_id != first)
    there = world.members(person_id)
    _refuse_apart(world, coming, there)
    return _move(
        world,
        DecisionKind.MERGE,
        [(one, person_id) for one in coming],
        word,
        rejoined=_apart_among(world, product(coming, there)),
        found=found or _likeliest(world, coming[0], there),
    )


def split(world: World, person_id: str, groups: Sequence[Sequence[str]], word: Word) -> list[Decision]:
    """Makes each group of a person's registrations a person of its own, and holds them apart from all others of it.

    Where nobody else stays, the first group keeps the person. Raises InvalidArgumentError, NotFoundError,
    FailedPreconditionError.
    """
    if _final_person(world, person_id) != person_id:
        raise _merged(_final_person(world, person_id))
    world.require_persons(person_id)
    there = {one.registration_id: one for one in world.members(person_id)}
    named = _named(groups, there)
    staying = [one for one in there.values() if one.registration_id not in named]
    leaving = [[there[one] for one in group] for group in groups]
    parts = [staying, *leaving] if staying else leaving
    if len(parts) == 1:
        raise FailedPreconditionError("SPLIT_EMPTY", "all registrations of the person would stay together")
    for one, other in combinations(parts, 2):
        _refuse_parting(world, one, other)
    decision_id = world.make_id()
    going = [
        (held, derived_id("person", decision_id, str(number)))
        for number, part in enumerate(parts[1:], 1)
        for held in part
    ]
    across = [pairs for one, other in combinations(parts, 2) for pairs in product(one, other)]
    return _move(
        world,
        DecisionKind.SPLIT,
        going,
        word,
        decision_id=decision_id,
        held_apart=[pair(one.registration_id, other.registration_id) for one, other in across],
    )


def override(world: World, registration_id: str, other_id: str, kind: Override, word: Word) -> list[Decision]:
    """Ordains that two are, or are not, one person, and puts them so; NONE withdraws it. None if it is so ordained.

    Raises InvalidArgumentError, NotFoundError, FailedPreconditionError with reason OVERRIDES_CONTRADICT.
    """
    if registration_id == other_id:
        violation = FieldViolation("other_registration_id", "REGISTRATION_SAME", "a pair is two registrations")
        raise InvalidArgumentError("REGISTRATION_SAME", "a registration is always one person", fields=[violation])
    held, other = known(world, registration_id), known(world, other_id)
    world.require_persons(held.person_id, other.person_id)
    before = world.overrides.get(registration_id, {}).get(other_id, Override.NONE)
    if before is kind:
        return []
    if before is not Override.NONE and kind is not Override.NONE:
        raise _contradicted(registration_id, other_id, before)
    ordained = [(*pair(registration_id, other_id), int(kind))]
    if kind is Override.TOGETHER:
        return _override_together(world, held, other, word, ordained)
    if kind is Override.APART:
        return _override_apart(world, held, other, word, ordained)
    return _move(world, DecisionKind.OVERRIDE, [(held, held.person_id)], word, overrides=ordained)


def part(world: World, registration_id: str, other_id: str, word: Word, found: Match | None = None) -> list[Decision]:
    """Holds two of different persons apart, by somebody's judgement. None if they are."""
    held, other = known(world, registration_id), known(world, other_id)
    world.require_persons(held.person_id, other.person_id)
    if other_id in world.apart.get(registration_id, set()):
        return []
    both = [pair(registration_id, other_id)]
    return _move(world, DecisionKind.PART, [(held, held.person_id)], word, held_apart=both, found=found)


def revert(world: World, decision_id: str, word: Word) -> list[Decision]:
    """Takes a decision back: registrations, pairs and what is ordained are as they were before it.

    Raises NotFoundError, FailedPreconditionError.
    """
    world.require(Scope(decision_ids=frozenset({decision_id})))
    told = world.loaded.decisions.get(decision_id)
    if not told:
        raise NotFoundError("DECISION_UNKNOWN", "there is no such decision")
    if told[0].kind is DecisionKind.REGISTER:
        raise FailedPreconditionError("DECISION_FINAL", "a registration's first decision is not taken back")
    concerned = {one.registration_id for one in told}
    evidence = told[0].evidence
    overrides = _triples(evidence, "overrides_before")
    world.require(Scope(histories=frozenset(concerned)))
    for one in told:
        last = world.loaded.histories[one.registration_id][-1]
        if last.decision_id != decision_id:
            raise FailedPreconditionError(
                "DECISION_FOLLOWED", "a later decision rests on this one", metadata={"decision_id": last.decision_id}
            )
    persons = {person for one in told for person in (one.person_id, one.previous_person_id)}
    world.require_persons(*persons)
    going = [(known(world, one.registration_id), one.previous_person_id) for one in told]
    moving = [(held, person_id) for held, person_id in going if held.person_id != person_id]
    _refuse_revert(world, moving, {(one, other) for one, other, _ in overrides})
    return _move(
        world,
        DecisionKind.REVERT,
        going,
        word,
        held_apart=[one for one in pairs_of(evidence, "rejoined") if one[1] not in world.apart.get(one[0], set())],
        rejoined=[one for one in pairs_of(evidence, "held_apart") if one[1] in world.apart.get(one[0], set())],
        overrides=overrides,
        reverts=decision_id,
    )


def known(world: World, registration_id: str) -> Held:
    """A registration with everything that a decision about it needs. Raises NotFoundError."""
    world.require(Scope(registration_ids=frozenset({registration_id}), locks=frozenset({registration_id})))
    held = world.held.get(registration_id)
    if held is None:
        raise NotFoundError("REGISTRATION_UNKNOWN", "there is no such registration")
    return held


def _override_together(
    world: World, held: Held, other: Held, word: Word, ordained: list[tuple[str, str, int]]
) -> list[Decision]:
    """The whole person of the first comes to the other's, so that nobody is left behind whom it is ordained with."""
    if held.person_id == other.person_id:
        return _move(world, DecisionKind.OVERRIDE, [(held, held.person_id)], word, overrides=ordained)
    coming, there = world.members(held.person_id), world.members(other.person_id)
    for one, another in product(coming, there):
        if world.overrides.get(one.registration_id, {}).get(another.registration_id) is Override.APART:
            raise _contradicted(one.registration_id, another.registration_id, Override.APART)
    return _move(
        world,
        DecisionKind.OVERRIDE,
        [(one, other.person_id) for one in coming],
        word,
        rejoined=_apart_among(world, product(coming, there)),
        overrides=ordained,
        found=_compared(world, held, other),
    )


def _override_apart(
    world: World, held: Held, other: Held, word: Word, ordained: list[tuple[str, str, int]]
) -> list[Decision]:
    """The first leaves, with those that are ordained to be one with it; whoever else is there stays."""
    if held.person_id != other.person_id:
        return _move(world, DecisionKind.OVERRIDE, [(held, held.person_id)], word, overrides=ordained)
    leaving = _bound_to(world, held.registration_id)
    if other.registration_id in leaving:
        raise _contradicted(held.registration_id, other.registration_id, Override.TOGETHER)
    members = world.members(held.person_id)
    going = [one for one in members if one.registration_id in leaving]
    staying = [one for one in members if one.registration_id not in leaving]
    decision_id = world.make_id()
    target = derived_id("person", held.registration_id, decision_id)
    return _move(
        world,
        DecisionKind.OVERRIDE,
        [(one, target) for one in going],
        word,
        decision_id=decision_id,
        held_apart=[pair(one.registration_id, left.registration_id) for one, left in product(going, staying)],
        overrides=ordained,
        found=_compared(world, held, other),
    )


def _bound_to(world: World, registration_id: str) -> set[str]:
    """Everybody who is ordained to be one person with a registration, however long the chain."""
    bound: set[str] = set()
    ahead = [registration_id]
    while ahead:
        one = ahead.pop()
        if one not in bound:
            bound.add(one)
            ordained = world.overrides.get(one, {})
            ahead.extend(other for other, kind in ordained.items() if kind is Override.TOGETHER)
    return bound


def _move(
    world: World,
    kind: DecisionKind,
    going: Sequence[tuple[Held, str]],
    word: Word,
    *,
    decision_id: str = "",
    held_apart: Sequence[Pair] = (),
    rejoined: Sequence[Pair] = (),
    overrides: Sequence[tuple[str, str, int]] = (),
    found: Match | None = None,
    reverts: str = "",
) -> list[Decision]:
    decision_id = decision_id or world.make_id()
    held_apart = [one for one in held_apart if one[1] not in world.apart.get(one[0], set())]
    evidence: dict[str, object] = {
        "held_apart": sorted(map(list, held_apart)),
        "rejoined": sorted(map(list, rejoined)),
        "overrides": [list(one) for one in overrides],
        "overrides_before": [
            [one, other, int(world.overrides.get(one, {}).get(other, Override.NONE))] for one, other, _ in overrides
        ],
        "reverts": reverts,
        "reviewers": list(word.reviewers),
    }
    evidence = {name: value for name, value in evidence.items() if value}
    decisions = []
    for number, (held, person_id) in enumerate(going):
        # What the whole event rests on stands with the first alone.
        decision = world.decide(
            kind,
            held,
            person_id,
            word.caller,
            word.moment,
            decision_id=decision_id,
            reason=word.reason,
            match=found if number == 0 else None,
            evidence=evidence if number == 0 else None,
        )
        decisions.append(decision)
        world.moved.add(held.registration_id)
    for one, other in rejoined:
        world.rejoin(one, other)
    for one, other in held_apart:
        world.hold_apart(one, other, decision_id)
    for one, other, ordained in overrides:
        world.ordain(one, other, Override(ordained), decision_id)
    return decisions


def _final_person(world: World, person_id: str) -> str:
    """The person, or the one that it was merged into. Raises NotFoundError."""
    world.require(Scope(person_ids=frozenset({person_id})))
    if world.members(person_id):
        return person_id
    world.require(Scope(merged_ids=frozenset({person_id})))
    into = world.loaded.merged.get(person_id)
    if into is None:
        raise NotFoundError("PERSON_UNKNOWN", "there is no such person")
    return into


def _merged(into: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        "PERSON_MERGED", "the person was merged into another, who is named", metadata={"person_id": into}
    )


def _named(groups: Sequence[Sequence[str]], there: Mapping[str, Held]) -> set[str]:
    named: set[str] = set()
    for number, group in enumerate(groups):
        for place, registration_id in enumerate(group):
            path = f"groups[{number}].registration_ids[{place}]"
            if registration_id not in there:
                violation = FieldViolation(path, "REGISTRATION_FOREIGN", "it is no registration of this person")
                raise InvalidArgumentError("REGISTRATION_FOREIGN", "a group names a stranger", fields=[violation])
            if registration_id in named:
                violation = FieldViolation(path, "REGISTRATION_TWICE", "it stands in a group already")
                raise InvalidArgumentError("REGISTRATION_TWICE", "a registration is named twice", fields=[violation])
            named.add(registration_id)
    return named


def _refuse_apart(world: World, coming: Iterable[Held], there: Iterable[Held]) -> None:
    for one, other in product(coming, list(there)):
        if world.overrides.get(one.registration_id, {}).get(other.registration_id) is Override.APART:
            raise _overridden("OVERRIDDEN_APART", "it is ordained that these two are two people", one, other)


def _refuse_parting(world: World, leaving: Iterable[Held], staying: Iterable[Held]) -> None:
    for one, other in product(leaving, list(staying)):
        if world.overrides.get(one.registration_id, {}).get(other.registration_id) is Override.TOGETHER:
            raise _overridden("OVERRIDDEN_TOGETHER", "it is ordained that these two are one person", one, other)


def _refuse_revert(world: World, moving: Sequence[tuple[Held, str]], withdrawn: set[Pair]) -> None:
    """A later override is not undone by taking back something else."""
    target = {held.registration_id: person_id for held, person_id in moving}
    for held, person_id in moving:
        for other_id, kind in world.overrides.get(held.registration_id, {}).items():
            other = world.held.get(other_id)
            if other is None or pair(held.registration_id, other_id) in withdrawn:
                continue
            together = target.get(other_id, other.person_id) == person_id
            if together and kind is Override.APART:
                raise _overridden("OVERRIDDEN_APART", "it is ordained that these two are two people", held, other)
            if not together and kind is Override.TOGETHER:
                raise _overridden("OVERRIDDEN_TOGETHER", "it is ordained that these two are one person", held, other)


def _overridden(reason: str, message: str, one: Held, other: Held) -> FailedPreconditionError:
    metadata = {"registration_id": one.registration_id, "other_registration_id": other.registration_id}
    return FailedPreconditionError(reason, f"{message}; withdraw that first", metadata=metadata)


def _contradicted(one: str, other: str, before: Override) -> FailedPreconditionError:
    said = "one person" if before is Override.TOGETHER else "two people"
    return FailedPreconditionError(
        "OVERRIDES_CONTRADICT",
        f"an earlier override says that these two are {said}; withdraw that first",
        metadata={"registration_id": one, "other_registration_id": other},
    )


def _apart_among(world: World, pairs: Iterable[tuple[Held, Held]]) -> list[Pair]:
    return [
        pair(one.registration_id, other.registration_id)
        for one, other in pairs
        if other.registration_id in world.apart.get(one.registration_id, set())
    ]


def _likeliest(world: World, held: Held, others: Sequence[Held]) -> Match | None:
    """What the rules and the model said of the registration and the likeliest of those whom somebody puts it with."""
    compared = [_compared(world, held, other) for other in others[:MAX_COMPARED]]
    return max(compared, key=lambda one: (-one.grade, one.weight), default=None)


def _compared(world: World, held: Held, other: Held) -> Match:
    return match(
        other.registration_id,
        held.features,
        other.features,
        Claim.SOUND,
        world.shares,
        is_thorough=True,
        model=world.model,
    )


def _triples(evidence: Mapping[str, object], name: str) -> list[tuple[str, str, int]]:
    told = evidence.get(name, ())
    return [(str(one), str(other), int(kind)) for one, other, kind in told] if isinstance(told, list | tuple) else []
