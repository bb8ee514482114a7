"""Accesses and placements as services announce them, and a log to put them in."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from nhip.audit.v1 import events_pb2, resources_pb2
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.options.v1 import options_pb2
from nhip.patient_index.v1 import events_pb2 as patient_index_pb2

from libs.database.engine import Database
from libs.ids import new_id
from services.audit.followers import append_accesses, place_registrations

START = datetime(2026, 1, 1, tzinfo=UTC)


def an_access(**content):
    """An access event; unless told otherwise, a read by a practitioner of hospital 10661."""
    minutes = content.pop("minutes", 0)
    event = events_pb2.AccessEvent(
        **{
            "event_id": new_id(),
            "service": "records",
            "method": "GetSummary",
            "action": options_pb2.Audit.ACTION_READ,
            "outcome": resources_pb2.ACCESS_OUTCOME_GRANTED,
            "caller_subject": "practitioner/1",
            "caller_kind": "practitioner",
            "organization_id": "10661",
            **content,
        }
    )
    event.occurred_at.FromDatetime(START + timedelta(minutes=minutes))
    return event


def a_placement(registration_id, person_id, citizen_key="", version=1):
    """The announcement of whose a registration is."""
    placed = patient_index_pb2.RegistrationPlaced(
        registration_id=registration_id, person_id=person_id, citizen_key=citizen_key, version=version
    )
    return patient_index_pb2.PatientIndexEvent(registration_placed=placed)


def changes(*events):
    """Events as a feed delivers them."""
    return [feed_pb2.Change(key="key", event=event.SerializeToString()) for event in events]


async def record(database, *events):
    """Puts accesses into the log."""
    async with database.writing() as writer:
        await append_accesses(writer, changes(*events))


async def place(database, *events):
    """Takes placements over."""
    async with database.writing() as writer:
        await place_registrations(writer, changes(*events))


@asynccontextmanager
async def a_database(url):
    """A pool on a database, closed at the end."""
    database = await Database.connect(url, name="test-audit", max_size=8)
    try:
        yield database
    finally:
        await database.close()
