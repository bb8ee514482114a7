"""What the followed feeds tell and what hospitals claim, said as speech: `a_visit("e1", of="r1")`."""

from collections.abc import Sequence
from datetime import UTC, datetime

from nhip.claims.v1 import events_pb2, resources_pb2
from nhip.feed.v1.service_pb2 import Change
from nhip.patient_index.v1 import events_pb2 as index_events
from nhip.records.v1 import events_pb2 as record_events
from nhip.records.v1 import resources_pb2 as record_nouns
from nhip.types.v1.types_pb2 import Money

from libs.database.engine import Database

NOW = datetime(2026, 8, 5, 3, 0, tzinfo=UTC)
HOSPITAL, OTHER_HOSPITAL = "10661", "11042"
DAY = "2026-08-04"


def a_visit(
    encounter_id: str,
    *,
    of: str,
    at: str = HOSPITAL,
    status: str = "finished",
    version: int = 1,
    deleted: bool = False,
) -> Change:
    """A change of feed `records`: an Encounter."""
    operation = record_nouns.RESOURCE_OPERATION_DELETE if deleted else record_nouns.RESOURCE_OPERATION_UPDATE
    event = record_events.RecordsEvent(
        type="Encounter", id=encounter_id, version=version, operation=operation, registration_id=of, organization_id=at
    )
    if not deleted:
        event.visit.CopyFrom(record_events.Visit(status=status, class_code="AMB", started_at=DAY))
    return _change(f"Encounter/{encounter_id}", event)


def a_placement(
    registration_id: str, person_id: str, *, at: str = HOSPITAL, version: int = 1, citizen_key: str = ""
) -> Change:
    """A change of feed `patient_index`: whom a registration stands for."""
    placed = index_events.RegistrationPlaced(
        registration_id=registration_id,
        organization_id=at,
        person_id=person_id,
        citizen_key=citizen_key,
        version=version,
    )
    return _change(registration_id, index_events.PatientIndexEvent(registration_placed=placed))


def _change(key, event) -> Change:
    change = Change(key=key, event=event.SerializeToString())
    change.recorded_at.FromDatetime(NOW)
    return change


def a_line(code: str = "30101", quantity: int = 1, satang: int = 9000, *, group: str = "71") -> resources_pb2.ClaimLine:
    """A line without its number."""
    return resources_pb2.ClaimLine(
        charge_group=group, code=code, quantity=quantity, unit_price=Money(satang=satang), description="as billed"
    )


def a_claim(
    invoice: str, *lines: resources_pb2.ClaimLine, of: str = "r1", visit: str = "e1", at: str = HOSPITAL, **changes: str
) -> resources_pb2.Claim:
    """A claim of a hospital; its lines are numbered here."""
    message = resources_pb2.Claim(
        invoice_number=invoice,
        organization_id=at,
        registration_id=of,
        encounter_id=visit,
        scheme=changes.pop("scheme", "UCS"),
        service_date=changes.pop("day", DAY),
        diagnoses=["A979"],
        **changes,
    )
    for number, line in enumerate(lines or (a_line(),), start=1):
        added = message.lines.add()
        added.CopyFrom(line)
        added.number = number
    return message


def a_right(of: str = "r1", **changes: str) -> resources_pb2.Coverage:
    """A right of the Universal Coverage Scheme."""
    facts = {"scheme": "UCS", "sub_scheme": "89", "card_number": "1", "starts_on": "2020-01-01", "ends_on": ""}
    return resources_pb2.Coverage(registration_id=of, **{**facts, **changes})


async def tell_records(database: Database, followers, *changes: Change) -> None:
    """Applies changes of feed `records` in one transaction."""
    async with database.writing() as writer:
        await followers.apply_records(writer, changes)


async def tell_index(database: Database, followers, *changes: Change) -> None:
    """Applies changes of feed `patient_index` in one transaction."""
    async with database.writing() as writer:
        await followers.apply_placements(writer, changes)


async def announced(database: Database) -> Sequence[tuple[str, int, int]]:
    """(claim id, version, status) of everything announced on feed `claims`, in its order."""
    async with database.pool.acquire() as connection:
        rows = await connection.fetch("SELECT event FROM changes WHERE feed = 'claims' ORDER BY position")
    events = [events_pb2.ClaimsEvent.FromString(row["event"]) for row in rows]
    return [(event.claim_id, event.version, event.status) for event in events]


async def balances(database: Database) -> dict[str, int]:
    """The balance of every account that is not zero."""
    async with database.pool.acquire() as connection:
        rows = await connection.fetch("SELECT account, sum(amount)::bigint AS balance FROM ledger_entries GROUP BY 1")
    return {row["account"]: row["balance"] for row in rows if row["balance"]}
