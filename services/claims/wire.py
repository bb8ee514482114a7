"""Nouns of claims ⇄ protobuf, and the feeds' events read into nouns. Raises where a message is no such noun."""

import hashlib
from datetime import date, datetime

import orjson
from nhip.claims.v1 import events_pb2, resources_pb2
from nhip.feed.v1.service_pb2 import Change
from nhip.patient_index.v1 import events_pb2 as index_events
from nhip.records.v1 import events_pb2 as record_events
from nhip.records.v1 import resources_pb2 as record_nouns
from nhip.types.v1.types_pb2 import Money

from libs.errors import FieldViolation, InvalidArgumentError
from services.claims.model import (
    Claim,
    Coverage,
    Line,
    Placement,
    PostedEntry,
    Status,
    StatusChange,
    TariffItem,
    Visit,
    VisitState,
)
from services.claims.rules.tariffs import coverage_id as derived_coverage_id
from services.claims.rules.tariffs import item_id

# Ten billion baht: above any claim, and so far below 64 bits that sums of millions of claims stay whole.
MOST_SATANG = 10**12
_UNPRINTABLE_BELOW = " "

_NOT_YET = frozenset({"", "planned"})
_NEVER = frozenset({"cancelled", "entered-in-error"})


def invalid(field: str, reason: str, description: str) -> InvalidArgumentError:
    """One field is wrong, and why."""
    return InvalidArgumentError(reason, f"{field}: {description}", fields=[FieldViolation(field, reason, description)])


def day_of(field: str, text: str) -> date:
    """A real day. Raises InvalidArgumentError, reason DATE_IMPOSSIBLE, for one that the calendar does not have."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(field, "DATE_IMPOSSIBLE", "no such day") from None


def period_of(field: str, starts_on: str, ends_on: str) -> tuple[date, date | None]:
    """A period whose end, where there is one, does not lie before its start."""
    start = day_of(f"{field}starts_on", starts_on)
    end = day_of(f"{field}ends_on", ends_on) if ends_on else None
    if end is not None and end < start:
        raise invalid(f"{field}ends_on", "PERIOD_REVERSED", "lies before the start")
    return start, end


def amount_of(field: str, money: Money) -> int:
    """Whole satang, not negative and not beyond any real amount."""
    if not 0 <= money.satang <= MOST_SATANG:
        raise invalid(field, "AMOUNT_OUT_OF_RANGE", f"not from 0 to {MOST_SATANG} satang")
    return money.satang


def coverage_of(message: resources_pb2.Coverage, now: datetime) -> Coverage:
    """A right; `coverage_id` and `recorded_at` of the message are not read."""
    starts_on, ends_on = period_of("", message.starts_on, message.ends_on)
    return Coverage(
        coverage_id=derived_coverage_id(
            message.registration_id, message.scheme, message.sub_scheme, message.card_number, starts_on
        ),
        registration_id=message.registration_id,
        scheme=message.scheme,
        sub_scheme=message.sub_scheme,
        card_number=message.card_number,
        main_organization_id=message.main_organization_id,
        primary_organization_id=message.primary_organization_id,
        starts_on=starts_on,
        ends_on=ends_on,
        recorded_at=now,
    )


def coverage_to_wire(coverage: Coverage) -> resources_pb2.Coverage:
    """A right as callers see it."""
    message = resources_pb2.Coverage(
        coverage_id=coverage.coverage_id,
        registration_id=coverage.registration_id,
        scheme=coverage.scheme,
        sub_scheme=coverage.sub_scheme,
        card_number=coverage.card_number,
        main_organization_id=coverage.main_organization_id,
        primary_organization_id=coverage.primary_organization_id,
        starts_on=coverage.starts_on.isoformat(),
        ends_on=coverage.ends_on.isoformat() if coverage.ends_on else "",
    )
    message.recorded_at.FromDatetime(coverage.recorded_at)
    return message


def tariff_item_of(index: int, message: resources_pb2.TariffItem) -> TariffItem:
    """A tariff item of a batch; its id is derived."""
    field = f"items[{index}]."
    starts_on, ends_on = period_of(field, message.starts_on, message.ends_on)
    return TariffItem(
        tariff_item_id=item_id(message.scheme, message.code, starts_on),
        scheme=message.scheme,
        code=message.code,
        charge_group=message.charge_group,
        name=message.name,
        price=amount_of(f"{field}price", message.price),
        quantity_limit=message.quantity_limit,
        starts_on=starts_on,
        ends_on=ends_on,
    )


def tariff_item_to_wire(item: TariffItem) -> resources_pb2.TariffItem:
    """A tariff item as callers see it."""
    return resources_pb2.TariffItem(
        tariff_item_id=item.tariff_item_id,
        scheme=item.scheme,
        code=item.code,
        charge_group=item.charge_group,
        name=item.name,
        price=Money(satang=item.price),
        quantity_limit=item.quantity_limit,
        starts_on=item.starts_on.isoformat(),
        ends_on=item.ends_on.isoformat() if item.ends_on else "",
    )


def claim_of(message: resources_pb2.Claim, claim_id: str, now: datetime, waits_for: str = "") -> Claim:
    """A claim as submitted, received now; what the service fills is not read from the message.

    Raises InvalidArgumentError with the field.
    """
    lines = tuple(_line_of(index, line) for index, line in enumerate(message.lines))
    claim = Claim(
        claim_id=claim_id,
        organization_id=message.organization_id,
        invoice_number=message.invoice_number,
        registration_id=message.registration_id,
        encounter_id=message.encounter_id.removeprefix("Encounter/"),
        scheme=message.scheme,
        service_date=day_of("claim.service_date", message.service_date),
        authen_code=message.authen_code,
        diagnoses=tuple(message.diagnoses),
        lines=lines,
        status=Status.RECEIVED,
        status_changes=(StatusChange(Status.RECEIVED, now, waits_for),),
        recorded_at=now,
        version=1,
    )
    if claim.claimed > MOST_SATANG:
        raise invalid("claim.lines", "AMOUNT_OUT_OF_RANGE", f"together above {MOST_SATANG} satang")
    return claim


def _line_of(index: int, message: resources_pb2.ClaimLine) -> Line:
    field = f"claim.lines[{index}]"
    if message.number != index + 1:
        raise invalid(f"{field}.number", "LINE_NUMBER", "lines are numbered 1, 2, 3, … in their order")
    if any(character < _UNPRINTABLE_BELOW for character in message.code):
        raise invalid(f"{field}.code", "CODE_UNPRINTABLE", "holds a control character")
    return Line(
        number=message.number,
        charge_group=message.charge_group,
        code=message.code,
        description=message.description,
        quantity=message.quantity,
        unit_price=amount_of(f"{field}.unit_price", message.unit_price),
    )


def content_hash(claim: Claim) -> bytes:
    """A hash of what was submitted: equal for equal content, whenever and however often it comes."""
    content = [
        claim.organization_id,
        claim.invoice_number,
        claim.registration_id,
        claim.encounter_id,
        claim.scheme,
        claim.service_date.isoformat(),
        claim.authen_code,
        claim.diagnoses,
        [(one.charge_group, one.code, one.description, one.quantity, one.unit_price) for one in claim.lines],
    ]
    return hashlib.sha256(orjson.dumps(content)).digest()


def claim_to_wire(claim: Claim) -> resources_pb2.Claim:
    """A claim with everything that came of it."""
    message = resources_pb2.Claim(
        claim_id=claim.claim_id,
        invoice_number=claim.invoice_number,
        organization_id=claim.organization_id,
        registration_id=claim.registration_id,
        encounter_id=claim.encounter_id,
        scheme=claim.scheme,
        service_date=claim.service_date.isoformat(),
        authen_code=claim.authen_code,
        diagnoses=claim.diagnoses,
        lines=map(_line_to_wire, claim.lines),
        status=int(claim.status),  # type: ignore[arg-type]  # an enum's number
        claimed=Money(satang=claim.claimed),
        approved=Money(satang=claim.approved),
        coverage_id=claim.coverage_id,
        person_id=claim.person_id,
        version=claim.version,
    )
    message.recorded_at.FromDatetime(claim.recorded_at)
    for change in claim.status_changes:
        added = message.status_changes.add(
            status=int(change.status),
            reason=change.reason,
        )
        added.occurred_at.FromDatetime(change.occurred_at)
    return message


def _line_to_wire(line: Line) -> resources_pb2.ClaimLine:
    message = resources_pb2.ClaimLine(
        number=line.number,
        charge_group=line.charge_group,
        code=line.code,
        description=line.description,
        quantity=line.quantity,
        unit_price=Money(satang=line.unit_price),
    )
    if line.decision is not None:
        message.decision.CopyFrom(
            resources_pb2.LineDecision(
                outcome=int(line.decision.outcome),  # type: ignore[arg-type]  # an enum's number
                approved=Money(satang=line.decision.approved),
                reason=line.decision.reason.name,
                message=line.decision.reason.message,
                message_th=line.decision.reason.message_th,
                tariff_item_id=line.decision.tariff_item_id,
            )
        )
    return message


def claim_event(claim: Claim, status: Status, version: int, approved: int) -> events_pb2.ClaimsEvent:
    """What followers are told of a claim that came to a status."""
    return events_pb2.ClaimsEvent(
        claim_id=claim.claim_id,
        version=version,
        organization_id=claim.organization_id,
        registration_id=claim.registration_id,
        status=int(status),  # type: ignore[arg-type]  # an enum's number
        approved=Money(satang=approved),
    )


def entry_to_wire(posted: PostedEntry) -> resources_pb2.LedgerEntry:
    """A ledger entry as callers see it."""
    entry = posted.entry
    message = resources_pb2.LedgerEntry(
        entry_id=str(posted.number),
        transaction_id=entry.transaction_id,
        account=entry.account,
        amount=Money(satang=entry.amount),
        claim_id=entry.claim_id,
        description=entry.description,
    )
    message.recorded_at.FromDatetime(posted.recorded_at)
    return message


def visit_of(change: Change) -> Visit | None:
    """The visit that a change of feed `records` tells of; None for every other resource."""
    event = record_events.RecordsEvent.FromString(change.event)
    if event.type != "Encounter":
        return None
    if event.operation == record_nouns.RESOURCE_OPERATION_DELETE or event.visit.status in _NEVER:
        state = VisitState.CANCELLED
    else:
        state = VisitState.PLANNED if event.visit.status in _NOT_YET else VisitState.HAPPENED
    return Visit(event.id, event.registration_id, event.organization_id, state, event.version)


def placement_of(change: Change) -> Placement | None:
    """The placement that a change of feed `patient_index` tells of."""
    event = index_events.PatientIndexEvent.FromString(change.event)
    if event.WhichOneof("event") != "registration_placed":
        return None
    placed = event.registration_placed
    return Placement(
        placed.registration_id, placed.organization_id, placed.person_id, placed.citizen_key, placed.version
    )
