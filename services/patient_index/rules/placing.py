"""Where a registration stands: registering it, and linking it where the index is certain."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from libs.ids import derived_id
from libs.thai.identifiers import CITIZEN_ID
from services.patient_index.model import (
    INDEX,
    DecisionKind,
    Features,
    Grade,
    Held,
    Identifier,
    Incoming,
    Key,
    Loaded,
    Match,
    Outcome,
    Override,
    Placement,
)
from services.patient_index.rules.blocking import identifier_key, numbers_among
from services.patient_index.rules.matching import PERSON_CONTRADICTED, Claim, certain_rule, forbids_linking, match
from services.patient_index.rules.registering import account_number, number_of
from services.patient_index.rules.soundness import Claimant, Claims, believed
from services.patient_index.rules.world import World

# So many pairs of one registration are put before people at once; the rest wait until these are judged.
MAX_REVIEWS_EACH = 5
NOBODY = ""

Worth = Callable[[str], Claim]


def home_person_of(registration_id: str) -> str:
    """The person that a registration has by itself."""
    return derived_id("person", registration_id)


def place(world: World, incoming: Incoming, caller: str, moment: datetime) -> Placement:
    """Registers or updates one, matches it, and links it where that is certain and nothing forbids it."""
    known = world.held.get(incoming.registration_id)
    if known is not None and _is_told(incoming, known):
        if known.content == incoming.content and incoming.is_dated and incoming.written_at > known.written_at:
            world.rewritten[known.registration_id] = incoming.written_at
            world.held[known.registration_id] = replace(known, written_at=incoming.written_at)
        return Placement(world.held[known.registration_id], Outcome.UNCHANGED)
    held = _written(world, incoming, known, caller, moment)
    matches = _matches(world, held, incoming.keys)
    if world.is_alone(held.registration_id):
        _link_if_certain(world, held, matches, moment)
    else:
        _question_person(world, held)
    _ask_for_reviews(world, held.registration_id, matches)
    outcome = Outcome.CREATED if known is None else Outcome.UPDATED
    return Placement(world.held[held.registration_id], outcome, tuple(matches))


def further_keys(incoming: Iterable[Incoming], loaded: Loaded | None = None) -> frozenset[Key]:
    """By what else these are to be looked for, once those who show their numbers are loaded.

    That is nothing where the content is known, and where a rule is certain of all who show the numbers: rules that are
    certain ask for a shared number, and then nobody else is compared. Everything, where nothing is loaded.
    """
    return frozenset(key for one in incoming if loaded is None or not _is_plain(one, loaded) for key in one.keys)


def _is_plain(incoming: Incoming, loaded: Loaded) -> bool:
    known = loaded.held.get(incoming.registration_id)
    if known is not None and _is_told(incoming, known):
        return True
    shown = {other for key in numbers_among(incoming.keys) for other in loaded.blocks[key]}
    shown.discard(incoming.registration_id)
    return bool(shown) and all(
        certain_rule(incoming.features, loaded.held[other].features, Claim.SOUND) for other in shown
    )


def _is_told(incoming: Incoming, known: Held) -> bool:
    """True for what the index knows already, or knows better."""
    return known.content == incoming.content or incoming.written_at < known.written_at


def find_matches(world: World, features: Features, keys: Iterable[Key], registration_id: str = NOBODY) -> list[Match]:
    """Whom these features may mean, found by their keys, the surest first, each with the weight of every field."""
    candidates = world.candidates(list(keys), registration_id)
    return _judged(world, features, candidates, _worth(world, features, registration_id), is_thorough=True)


def weigh(world: World, features: Features, other_id: str, registration_id: str = NOBODY) -> Match:
    """What is said of these features and one registration, whatever the grade, with the weight of every field."""
    worth = _worth(world, features, registration_id)
    other = world.held[other_id]
    return match(other_id, features, other.features, worth(other_id), world.shares, is_thorough=True, model=world.model)


def settle(world: World, moment: datetime) -> None:
    """Gives each claimant of a number whose claimants changed the account key that it deserves.

    That is none where the number is not believed. Called once, after the last decision. Raises NotLoadedError.
    """
    world.require_blocks([identifier_key(number) for number in world.numbers])
    for number in world.numbers:
        claimants = world.claimants(number)
        if claimants is None:
            _silence(world, number, moment)
            continue
        sound = believed(claimants)
        key = world.key_of(number) if sound else ""
        for claimant in claimants:
            held = world.held[claimant.registration_id]
            if account_number(held.features.identifiers) == number:
                _grant(world, held, key if held.registration_id in sound else "", moment)


def _written(world: World, incoming: Incoming, known: Held | None, caller: str, moment: datetime) -> Held:
    world.note_keys(incoming.features, incoming.keys)
    if known is not None:
        is_same_account = account_number(known.features.identifiers) == account_number(incoming.features.identifiers)
        return world.put(
            replace(
                known,
                # What the new number deserves, `settle` says.
                citizen_key=known.citizen_key if is_same_account else "",
                content=incoming.content,
                features=incoming.features,
                written_at=incoming.written_at,
                recorded_at=moment,
            )
        )
    home = home_person_of(incoming.registration_id)
    new = Held(
        incoming.registration_id,
        incoming.organization_id,
        incoming.local_number,
        home,
        1,
        incoming.content,
        incoming.features,
        "",
        incoming.written_at,
        "",
        moment,
    )
    world.decide(DecisionKind.REGISTER, new, home, caller, moment)
    return world.held[incoming.registration_id]


def _matches(world: World, held: Held, keys: Iterable[Key]) -> list[Match]:
    """As the index decides: if a rule is certain of somebody, the model is not asked about others."""
    keys = list(keys)
    worth = _worth(world, held.features, held.registration_id)
    # Those who show the same number first: where a rule is certain of one of them, nobody else need be found.
    for wanted in (numbers_among(keys), keys):
        candidates = world.candidates(wanted, held.registration_id)
        ruled = [
            Match(other, Grade.CERTAIN, 0.0, 1.0, (), rule)
            for other in candidates
            if (rule := certain_rule(held.features, world.held[other].features, worth(other)))
        ]
        if ruled:
            return sorted(ruled, key=lambda one: one.registration_id)
    return _judged(world, held.features, candidates, worth)


def _judged(
    world: World, features: Features, candidates: Iterable[str], worth: Worth, *, is_thorough: bool = False
) -> list[Match]:
    matches = (
        match(
            other,
            features,
            world.held[other].features,
            worth(other),
            world.shares,
            is_thorough=is_thorough,
            model=world.model,
        )
        for other in candidates
    )
    found = [one for one in matches if one.grade is not Grade.NONE]
    return sorted(found, key=lambda one: (one.grade, -one.weight, one.registration_id))


def _worth(world: World, features: Features, registration_id: str) -> Worth:
    """Answers for a candidate what the citizen id is worth that both show; SOUND where they do not show one."""
    number = number_of(features.identifiers)
    if not number:
        return lambda _: Claim.SOUND
    claimants = world.claimants(Identifier(CITIZEN_ID, number))
    if claimants is not None and registration_id == NOBODY:
        # Who only asks counts as one who shows the number too.
        claimants.append(Claimant(NOBODY, NOBODY, features))
    claims = Claims(claimants)

    def worth(other: str) -> Claim:
        shown = number_of(world.held[other].features.identifiers)
        return claims.between(registration_id, other) if shown == number else Claim.SOUND

    return worth


def _link_if_certain(world: World, held: Held, matches: Iterable[Match], moment: datetime) -> None:
    for found in matches:
        if found.grade is not Grade.CERTAIN:
            return
        person_id = world.held[found.registration_id].person_id
        if person_id != held.person_id and not _is_forbidden(world, held, person_id):
            world.decide(DecisionKind.LINK, held, person_id, INDEX, moment, match=found)
            world.moved.add(held.registration_id)
            return


def _is_apart(world: World, held: Held, person_id: str) -> bool:
    if held.registration_id not in world.apart and held.registration_id not in world.overrides:
        return False
    return any(world.is_apart(held.registration_id, other.registration_id) for other in world.members(person_id))


def _is_forbidden(world: World, held: Held, person_id: str) -> bool:
    """True if anybody of the person was held apart from the registration, or cannot be one with it."""
    if _is_apart(world, held, person_id):
        return True
    return any(forbids_linking(held.features, other.features) for other in world.members(person_id))


def _ask_for_reviews(world: World, registration_id: str, matches: Iterable[Match]) -> None:
    """One pair for each other person who is probably the same: the likeliest registration stands for it."""
    held = world.held[registration_id]
    asked = {held.person_id}
    for found in matches:
        person_id = world.held[found.registration_id].person_id
        if found.grade > Grade.PROBABLE or len(asked) > MAX_REVIEWS_EACH:
            return
        if person_id not in asked and not _is_apart(world, held, person_id):
            asked.add(person_id)
            world.review(registration_id, found)


def _question_person(world: World, held: Held) -> None:
    """What was written newly may show that the registration never belonged to its person; that is for people to say."""
    ordained = world.overrides.get(held.registration_id, {})
    for other in world.members(held.person_id):
        is_settled = ordained.get(other.registration_id) is Override.TOGETHER
        if not is_settled and forbids_linking(held.features, other.features):
            judged = match(
                other.registration_id, held.features, other.features, Claim.DISPUTED, world.shares, model=world.model
            )
            world.question(held.registration_id, replace(judged, grade=Grade.PROBABLE, rule=PERSON_CONTRADICTED))
            return


def _silence(world: World, number: Identifier, moment: datetime) -> None:
    """A number that too many show is nobody's: those seen here lose the key that they may still have."""
    for held in list(world.held.values()):
        if account_number(held.features.identifiers) == number:
            _grant(world, held, "", moment)


def _grant(world: World, held: Held, citizen_key: str, moment: datetime) -> None:
    if held.citizen_key != citizen_key:
        world.put(replace(held, citizen_key=citizen_key, recorded_at=moment), is_content_new=False)
