"""How pairs are reviewed: how urgent they are, how many must judge, and what their verdicts come to.

The rules are data (review_rules.json). Who must not decide alone: pairs whose numbers contradict each other, and those
whose persons have many registrations, for a slip there moves many records.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from types import MappingProxyType

from libs.errors import FailedPreconditionError, NotFoundError
from services.patient_index.model import Asked, Decision, Judgement, Match, Pair, Scope, Settled, Verdict
from services.patient_index.rules.deciding import Word, known, merge, part, unlink
from services.patient_index.rules.world import World


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """See the module."""

    lease: timedelta
    four_eyes_rules: frozenset[str]
    four_eyes_from: int
    # Added to the weight of pairs that a rule put to review.
    boosts: Mapping[str, float]
    disputed: float

    def priority(self, match: Match) -> float:
        """The higher, the sooner somebody should look."""
        return self.boosts.get(match.rule, 0.0) + match.weight

    def reviewers_needed(self, match: Match, registrations: int) -> int:
        """How many must say the same of a pair whose persons have so many registrations together."""
        is_many = registrations >= self.four_eyes_from
        return 2 if is_many or match.rule in self.four_eyes_rules else 1


def read_review_rules(text: str) -> ReviewRules:
    """Rules from their JSON."""
    told = json.loads(text)
    eyes = told["four_eyes"]
    return ReviewRules(
        timedelta(minutes=told["lease_minutes"]),
        frozenset(eyes["rules"]),
        eyes["registrations_from"],
        MappingProxyType(told["priority"]),
        told["disputed"],
    )


REVIEW_RULES = read_review_rules(resources.files(__package__).joinpath("review_rules.json").read_text(encoding="utf-8"))


def agreed(judgements: Sequence[Judgement], needed: int) -> Verdict | None:
    """What the verdicts come to; None while more are needed.

    So many as needed must say the same. Where reviewers disagree, it takes one voice more than the other side has.
    """
    voices = Counter(one.verdict for one in judgements if one.verdict is not Verdict.UNSURE)
    if not voices:
        return None
    (first, most), *others = voices.most_common()
    least = max(needed, others[0][1] + 1 if others else 0, 2 if others else 0)
    return first if most >= least else None


def is_disputed(judgements: Sequence[Judgement]) -> bool:
    """True if reviewers disagree, or one was not sure."""
    verdicts = {one.verdict for one in judgements}
    return len(verdicts) > 1 or Verdict.UNSURE in verdicts


def claimed(asked: Asked | None, caller: str, moment: datetime) -> Asked:
    """The review, if the caller holds it. Raises NotFoundError, FailedPreconditionError."""
    if asked is None:
        raise NotFoundError("REVIEW_UNKNOWN", "no such pair waits for review")
    if asked.assigned_to != caller or asked.assigned_until is None or asked.assigned_until <= moment:
        raise FailedPreconditionError(
            "REVIEW_NOT_YOURS", "the review is claimed before it is decided, and not too long before"
        )
    if any(one.reviewer == caller for one in asked.judgements):
        raise FailedPreconditionError("REVIEW_JUDGED", "another reviewer decides; you did already")
    return asked


def decide(world: World, members: Pair, verdict: Verdict, word: Word) -> tuple[bool, list[Decision]]:
    """Adds a verdict to a review, and does what the verdicts come to. Answers whether it was settled, and the decisions.

    Raises NotFoundError, FailedPreconditionError.
    """
    world.require(Scope(reviewed=frozenset({members})))
    asked = claimed(world.loaded.asked.get(members), word.caller, word.moment)
    one, other = known(world, members[0]), known(world, members[1])
    judgements = [*asked.judgements, Judgement(word.caller, verdict, word.reason)]
    together = {one.person_id, other.person_id}
    world.require(Scope(person_ids=frozenset(together)))
    registrations = sum(len(world.members(person_id)) for person_id in together)
    came_to = agreed(judgements, REVIEW_RULES.reviewers_needed(asked.match, registrations))
    decisions: list[Decision] = []
    if came_to is not None:
        reviewers = tuple(one.reviewer for one in judgements)
        voiced = Word(word.caller, word.moment, word.reason, reviewers)
        decisions = _carry_out(world, members, came_to, voiced, asked.match)
    priority = REVIEW_RULES.priority(asked.match) + (REVIEW_RULES.disputed if is_disputed(judgements) else 0.0)
    world.settled[members] = Settled(judgements[-1], priority, is_closed=came_to is not None)
    return came_to is not None, decisions


def _carry_out(world: World, members: Pair, verdict: Verdict, word: Word, found: Match) -> list[Decision]:
    one, other = known(world, members[0]), known(world, members[1])
    is_one_person = one.person_id == other.person_id
    if verdict is Verdict.SAME:
        return [] if is_one_person else merge(world, one.person_id, other.person_id, word)
    if is_one_person:
        return unlink(world, one.registration_id, word)
    return part(world, one.registration_id, other.registration_id, word, found)
