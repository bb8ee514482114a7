"""What the followed feeds tell, said as speech: `a_diagnosis("d1", "A90", of="r1")`."""

from collections.abc import Sequence
from datetime import UTC, datetime

from nhip.feed.v1.service_pb2 import Change
from nhip.patient_index.v1 import events_pb2 as index_events
from nhip.records.v1 import events_pb2 as record_events
from nhip.records.v1 import resources_pb2 as record_nouns
from nhip.surveillance.v1 import events_pb2

from libs.database.engine import Database

ICD10 = "http://hl7.org/fhir/sid/icd-10"
NOW = datetime(2026, 8, 5, 3, 0, tzinfo=UTC)

CREATE = record_nouns.RESOURCE_OPERATION_CREATE
UPDATE = record_nouns.RESOURCE_OPERATION_UPDATE
DELETE = record_nouns.RESOURCE_OPERATION_DELETE


def a_diagnosis(
    diagnosis_id: str,
    *codes: str,
    of: str,
    at: str = "10661",
    onset: str = "2026-07-28",
    diagnosed: str = "",
    version: int = 1,
    status: str = "",
    place: str = "",
    deleted: bool = False,
) -> Change:
    """A change of feed `records`: a Condition."""
    operation = DELETE if deleted else CREATE if version == 1 else UPDATE
    event = record_events.RecordsEvent(
        type="Condition", id=diagnosis_id, version=version, operation=operation, registration_id=of, organization_id=at
    )
    if not deleted:
        event.diagnosis.CopyFrom(
            record_events.Diagnosis(
                codes=[record_nouns.Code(system=ICD10, code=code) for code in codes],
                onset_at=onset,
                recorded_at=diagnosed,
                verification_status=status,
                place_code=place,
            )
        )
    return _change(f"Condition/{diagnosis_id}", event)


def a_placement(
    registration_id: str,
    person_id: str,
    *,
    version: int = 1,
    at: str = "10661",
    home: str = "501001",
    born: str = "1984-02-29",
    sex: int = 2,
    nationality: str = "099",
) -> Change:
    """A change of feed `patient_index`: whom a registration stands for."""
    placed = index_events.RegistrationPlaced(
        registration_id=registration_id,
        organization_id=at,
        person_id=person_id,
        version=version,
        place_code=home,
        birth_date=born,
        sex=sex,
        nationality=nationality,
    )
    return _change(registration_id, index_events.PatientIndexEvent(registration_placed=placed))


def _change(key, event) -> Change:
    change = Change(key=key, event=event.SerializeToString())
    change.recorded_at.FromDatetime(NOW)
    return change


async def tell_records(database: Database, followers, *changes: Change) -> None:
    """Applies changes of feed `records` in one transaction."""
    async with database.writing() as writer:
        await followers.apply_records(writer, changes)


async def tell_index(database: Database, followers, *changes: Change) -> None:
    """Applies changes of feed `patient_index` in one transaction."""
    async with database.writing() as writer:
        await followers.apply_placements(writer, changes)


async def state(database: Database) -> tuple[Sequence[object], Sequence[object]]:
    """Everything that the feeds determine: findings with their standings, and the alerts that stand."""
    async with database.pool.acquire() as connection:
        cases = await connection.fetch("SELECT * FROM cases ORDER BY case_id")
        alerts = await connection.fetch("SELECT * FROM alerts WHERE is_standing ORDER BY alert_id")
    return (
        [{name: value for name, value in row.items() if name not in {"version", "recorded_at"}} for row in cases],
        [{name: value for name, value in row.items() if name != "recorded_at"} for row in alerts],
    )


async def announced(database: Database) -> list[tuple[str, int, int]]:
    """(case id, version, status) of every case announced, in the feed's order."""
    async with database.pool.acquire() as connection:
        rows = await connection.fetch("SELECT event FROM changes WHERE feed = 'surveillance' ORDER BY position")
    events = [events_pb2.SurveillanceEvent.FromString(row["event"]) for row in rows]
    return [
        (one.case_changed.case_id, one.case_changed.version, one.case_changed.status)
        for one in events
        if one.WhichOneof("event") == "case_changed"
    ]
