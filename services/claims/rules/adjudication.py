"""What is paid of a claim, line by line.

A claim is decided once three things are known: the claim, that its visit took place, and whose registration it is. Which
of them came last makes no difference. What was decided stays, whatever is linked, unlinked or recorded afterwards; only
a visit that turns out not to have taken place cancels a claim that is not paid yet.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from services.claims.model import (
    Claim,
    Decision,
    Line,
    Outcome,
    Reason,
    Situation,
    Status,
    StatusChange,
    TariffItem,
    VisitState,
)

# What a claim waits for, as the reason of its status RECEIVED.
VISIT_UNKNOWN = "VISIT_UNKNOWN"
PERSON_UNKNOWN = "PERSON_UNKNOWN"

# The second character of a 16-file charge group: 1 is claimable, 2 the excess that the person pays.
_EXCESS = "2"
# Statuses in which what was approved holds.
HOLDING = frozenset({Status.APPROVED, Status.SCHEDULED, Status.PAID})


def waits_for(situation: Situation) -> str:
    """What is still to be known before the claim can be decided; empty when nothing is."""
    if situation.visit is None or situation.visit is VisitState.PLANNED:
        return VISIT_UNKNOWN
    if situation.visit is VisitState.HAPPENED and not situation.person_id:
        return PERSON_UNKNOWN
    return ""


def decide(claim: Claim, situation: Situation, now: datetime) -> Claim:
    """The claim as decided; itself where nothing is to be decided, or not yet, or not any more."""
    if situation.visit is VisitState.CANCELLED:
        return _cancelled(claim, situation, now)
    if claim.status is not Status.RECEIVED or waits_for(situation):
        return claim
    lines = tuple(_decided(claim, situation))
    approved = sum(line.decision.approved for line in lines if line.decision)
    is_approved = any(line.decision and line.decision.outcome is not Outcome.DENIED for line in lines)
    return _moved(
        replace(
            claim, lines=lines, approved=approved, coverage_id=situation.coverage_id, person_id=situation.person_id
        ),
        Status.APPROVED if is_approved else Status.REJECTED,
        now,
        _refusal(situation),
    )


def _cancelled(claim: Claim, situation: Situation, now: datetime) -> Claim:
    if claim.status in {Status.PAID, Status.CANCELLED}:
        return claim
    denied = Decision(Outcome.DENIED, 0, Reason.VISIT_CANCELLED)
    lines = tuple(replace(line, decision=denied) for line in claim.lines)
    person_id = situation.person_id or claim.person_id
    cancelled = replace(claim, lines=lines, approved=0, coverage_id="", person_id=person_id)
    return _moved(cancelled, Status.CANCELLED, now, Reason.VISIT_CANCELLED.name)


def _moved(claim: Claim, status: Status, now: datetime, reason: str) -> Claim:
    changes = (*claim.status_changes, StatusChange(status, now, reason))
    return replace(claim, status=status, status_changes=changes, version=claim.version + 1)


def _refusal(situation: Situation) -> str:
    """The reason that refuses a claim as a whole; empty where each line is decided by itself."""
    if not situation.coverage_id:
        return Reason.RIGHT_ABSENT.name
    return Reason.DUPLICATE.name if situation.is_visit_claimed else ""


def _decided(claim: Claim, situation: Situation) -> Iterator[Line]:
    refusal = _refusal(situation)
    # Lines of one code share the code's limit, in their order.
    units: dict[str, int] = {}
    for line in claim.lines:
        if refusal:
            yield replace(line, decision=Decision(Outcome.DENIED, 0, Reason[refusal]))
            continue
        decision = decide_line(line, situation.tariff.get(line.code), units.get(line.code, 0), situation.taken_codes)
        if decision.outcome is not Outcome.DENIED:
            units[line.code] = units.get(line.code, 0) + line.quantity
        yield replace(line, decision=decision)


def decide_line(line: Line, item: TariffItem | None, units_before: int, taken_codes: frozenset[str]) -> Decision:
    """The decision of one line of a claim whose right is there; `units_before` of its code stand in earlier lines."""
    if line.charge_group.endswith(_EXCESS):
        return Decision(Outcome.DENIED, 0, Reason.EXCESS_CHARGED_TO_PERSON)
    if item is None:
        return Decision(Outcome.DENIED, 0, Reason.NOT_COVERED)
    if line.code in taken_codes:
        return Decision(Outcome.DENIED, 0, Reason.DUPLICATE, item.tariff_item_id)
    price = min(line.unit_price, item.price)
    left = max(0, item.quantity_limit - units_before) if item.quantity_limit else line.quantity
    if left < line.quantity:
        outcome = Outcome.REDUCED if left else Outcome.DENIED
        return Decision(outcome, left * price, Reason.QUANTITY_ABOVE_LIMIT, item.tariff_item_id)
    if price < line.unit_price:
        return Decision(Outcome.REDUCED, line.quantity * price, Reason.ABOVE_TARIFF, item.tariff_item_id)
    return Decision(Outcome.APPROVED, line.quantity * price, Reason.APPROVED, item.tariff_item_id)


def paid(claim: Claim, now: datetime) -> Claim:
    """An approved claim as it is after its payment: put into a batch, and paid with it."""
    return _moved(_moved(claim, Status.SCHEDULED, now, ""), Status.PAID, now, "")


@dataclass(slots=True)
class _Taken:
    """What earlier decisions of the same turn have approved."""

    codes: dict[tuple[object, ...], set[str]]
    visits: set[tuple[str, str]]


def decide_in_turn(waiting: Iterable[tuple[Claim, Situation]], now: datetime) -> list[tuple[Claim, Claim]]:
    """Several claims as they stand before and after, decided in the order of their ids: the first takes, the next repeats.

    The situations are those before any of these was decided.
    """
    taken = _Taken({}, set())
    turns = []
    for claim, situation in sorted(waiting, key=lambda one: one[0].claim_id):
        day = (situation.person_id, claim.organization_id, claim.service_date)
        visit = (claim.organization_id, claim.encounter_id)
        known = replace(
            situation,
            taken_codes=situation.taken_codes | taken.codes.get(day, set()),
            is_visit_claimed=situation.is_visit_claimed or visit in taken.visits,
        )
        decided = decide(claim, known, now)
        turns.append((claim, decided))
        if decided is not claim and decided.status is Status.APPROVED:
            taken.codes.setdefault(day, set()).update(approved_codes(decided))
            taken.visits.add(visit)
    return turns


def approved_codes(claim: Claim) -> set[str]:
    """The codes of the lines that were approved, wholly or in part."""
    return {line.code for line in claim.lines if line.decision and line.decision.outcome is not Outcome.DENIED}
