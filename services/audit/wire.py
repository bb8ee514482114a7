"""Nouns of audit to and from the contract."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from nhip.audit.v1 import events_pb2, resources_pb2
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.patient_index.v1 import events_pb2 as patient_index_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.audit.model import (
    Access,
    Checkpoint,
    Entry,
    Placement,
    Shown,
    citizen_subject,
    person_subject,
    registration_subject,
)


def since_from(stamp: Timestamp) -> datetime:
    """The time of a stamp. Raises InvalidArgumentError, reason TIME_INVALID, for one outside the years 1 to 9999."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        violation = FieldViolation("since", "TIME_INVALID", "not a time between the years 1 and 9999")
        raise InvalidArgumentError("TIME_INVALID", violation.description, fields=[violation]) from None


def access_from(change: feed_pb2.Change) -> Access:
    """An access as a service announced it. The content is its canonical form: fields in order, maps sorted."""
    event = events_pb2.AccessEvent.FromString(change.event)
    return Access(
        event.event_id,
        event.occurred_at.ToDatetime(UTC),
        event.SerializeToString(deterministic=True),
        subjects_of(event),
    )


def subjects_of(event: events_pb2.AccessEvent) -> tuple[str, ...]:
    """Whose data the access touched, each once."""
    subjects = dict.fromkeys(map(person_subject, event.person_ids))
    subjects.update(dict.fromkeys(map(registration_subject, event.registration_ids)))
    if event.citizen_key:
        subjects[citizen_subject(event.citizen_key)] = None
    return tuple(subjects)


def event_of(entry: Entry) -> events_pb2.AccessEvent:
    """What an entry tells."""
    return events_pb2.AccessEvent.FromString(entry.content)


def entry(noun: Entry, event: events_pb2.AccessEvent, shown: Shown) -> resources_pb2.AccessEntry:
    """As shown: the entry, with what of its event the reader may see."""
    return resources_pb2.AccessEntry(
        index=noun.leaf_index,
        occurred_at=event.occurred_at,
        service=event.service,
        method=event.method,
        action=event.action,
        outcome=event.outcome,
        reason=event.reason,
        caller_subject=event.caller_subject,
        caller_kind=event.caller_kind,
        organization_id=event.organization_id,
        purpose=event.purpose,
        break_glass_reason=event.break_glass_reason,
        person_ids=shown.person_ids,
        registration_ids=shown.registration_ids,
        resources=event.resources if shown.are_resources_shown else (),
        resource_count=event.resource_count,
        trace_id=event.trace_id,
        leaf_hash=noun.commitment,
    )


def checkpoint(noun: Checkpoint) -> resources_pb2.Checkpoint:
    """As answered."""
    message = resources_pb2.Checkpoint(
        tree_size=noun.tree_size, root_hash=noun.root_hash, note=noun.note, key_id=noun.key_id
    )
    message.signed_at.FromDatetime(noun.signed_at)
    return message


def placement_from(change: feed_pb2.Change) -> Placement | None:
    """Where a registration stands; None for an event of another kind."""
    event = patient_index_pb2.PatientIndexEvent.FromString(change.event)
    if event.WhichOneof("event") != "registration_placed":
        return None
    placed = event.registration_placed
    return Placement(placed.registration_id, placed.person_id, placed.citizen_key, placed.version)
