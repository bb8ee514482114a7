"""Persons from decisions: the decisions are the truth, and tables only their present sum."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.patient_index.model import Decision, DecisionKind, Override, Pair

# A registration that came by one of these was carried along with others.
_CARRIED = frozenset({DecisionKind.MERGE, DecisionKind.SPLIT})


class HistoryBrokenError(ValueError):
    """A decision does not follow from those before it; the message names the decision."""


@dataclass(slots=True)
class Standings:
    """The sum of decisions."""

    # Registration → person.
    persons: dict[str, str] = field(default_factory=dict)
    # Pairs that are not linked without somebody's word → the decision that parted them.
    apart: dict[Pair, str] = field(default_factory=dict)
    # Pairs about which something is ordained → what, and by which decision.
    overrides: dict[Pair, tuple[Override, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stand:
    """A person that a registration stands on, and how it came there."""

    person_id: str
    kind: DecisionKind


def replay(decisions: Iterable[Decision]) -> Standings:
    """Where everything stands after all decisions, given in the order in which they were made.

    Raises HistoryBrokenError.
    """
    standings = Standings()
    for decision in decisions:
        follow(standings.persons.get(decision.registration_id, ""), decision)
        standings.persons[decision.registration_id] = decision.person_id
        fold_pairs(standings, decision)
    return standings


def follow(person_id: str, decision: Decision) -> None:
    """Checks that a decision starts where its registration stands. Raises HistoryBrokenError."""
    if person_id != decision.previous_person_id:
        raise HistoryBrokenError(f"decision {decision.decision_id} starts from another person")
    if (decision.kind is DecisionKind.REGISTER) != (not decision.previous_person_id):
        raise HistoryBrokenError(f"decision {decision.decision_id} does not begin a registration, or begins it twice")


def fold_pairs(standings: Standings, decision: Decision) -> None:
    """Adds what a decision says of pairs."""
    told = decision.evidence
    for one in pairs_of(told, "rejoined"):
        standings.apart.pop(one, None)
    standings.apart.update(dict.fromkeys(pairs_of(told, "held_apart"), decision.decision_id))
    for one, other, kind in told.get("overrides", ()):
        if kind == Override.NONE:
            standings.overrides.pop((one, other), None)
        else:
            standings.overrides[one, other] = Override(kind), decision.decision_id


def pairs_of(evidence: Mapping[str, object], name: str) -> list[Pair]:
    """The pairs that evidence keeps under a name."""
    told = evidence.get(name, ())
    return [(str(one), str(other)) for one, other in told] if isinstance(told, list | tuple) else []


def standing(decisions: Sequence[Decision]) -> list[Stand]:
    """What one registration stands on, oldest first, from its decisions.

    The last is where it is. The first is its ground: it came there by itself, or by leaving others behind.
    """
    stands: list[Stand] = []
    before: dict[str, list[Stand]] = {}
    for decision in decisions:
        before[decision.decision_id] = list(stands)
        reverted = str(decision.evidence.get("reverts", ""))
        if decision.kind is DecisionKind.REVERT and reverted in before:
            stands = list(before[reverted])
        elif decision.kind is DecisionKind.UNLINK:
            while stands and stands[-1].person_id != decision.person_id:
                stands.pop()
            stands = stands or [Stand(decision.person_id, DecisionKind.UNLINK)]
        elif decision.person_id != decision.previous_person_id:
            stands.append(Stand(decision.person_id, decision.kind))
    return stands


def ways_back(stands: Sequence[Stand]) -> list[str]:
    """The persons that a registration may go back to when it is unlinked, the nearest first.

    That is where it was before it was put to the others. What carried it along together with those is passed over: a person
    that was merged into another does not come to life again because one of its registrations leaves.
    """
    if not stands:
        return []
    rest = list(stands)
    while len(rest) > 1 and rest[-1].kind in _CARRIED:
        rest.pop()
    if len(rest) > 1:
        rest.pop()
    here = stands[-1].person_id
    return [one.person_id for one in reversed(rest) if one.person_id != here]
