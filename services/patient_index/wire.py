"""Nouns ⇄ protobuf."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from nhip.patient_index.v1 import events_pb2, resources_pb2, service_pb2
from nhip.types.v1 import types_pb2

from services.patient_index import model
from services.patient_index.model import Filed, FiledName, Grade, Held, Identifier, Match, Move
from services.patient_index.rules.history import pairs_of
from services.patient_index.rules.identifying import class_of

# What the index says about a registration, and what it keeps beside the content.
_NOT_CONTENT = ("registration_id", "person_id", "version", "recorded_at", "source_updated_at")


def filed_of(message: resources_pb2.Registration, normalized: Callable[[Identifier], Identifier]) -> Filed:
    """What was filed, with its identifiers normalized."""
    return Filed(
        message.organization_id,
        message.local_number,
        message.registration_id,
        tuple([normalized(identifier_of(one)) for one in message.identifiers]),
        tuple([name_of(one) for one in message.names]),
        message.sex,
        message.birth_date,
        message.address.place_code,
        message.phone,
        message.nationality,
        message.death_date,
    )


def identifier_of(message: types_pb2.Identifier) -> Identifier:
    """An identifier as it was written."""
    return Identifier(message.system, message.value)


def name_of(message: types_pb2.PersonName) -> FiledName:
    """A name as it was written."""
    return FiledName(message.language, message.prefix, message.given, message.family)


def written_at(message: resources_pb2.Registration) -> datetime | None:
    """When the source wrote it; None where it does not say. Raises ValueError for a moment outside the calendar."""
    return message.source_updated_at.ToDatetime(UTC) if message.HasField("source_updated_at") else None


def content_of(message: resources_pb2.Registration, identifiers: Iterable[Identifier]) -> bytes:
    """The content with its identifiers normalized, as bytes that are equal where contents are."""
    # A copy: the request is hashed again when its answer is remembered.
    content = resources_pb2.Registration()
    content.CopyFrom(message)
    for name in _NOT_CONTENT:
        content.ClearField(name)  # type: ignore[arg-type]  # the names stand in a tuple
    for identifier, normal in zip(content.identifiers, identifiers, strict=True):
        identifier.system, identifier.value = normal.system, normal.value
    return content.SerializeToString(deterministic=True)


def registration_of(held: Held) -> resources_pb2.Registration:
    """A registration as the index holds it."""
    message = resources_pb2.Registration.FromString(held.content)
    message.registration_id = held.registration_id
    message.person_id = held.person_id
    message.version = held.version
    message.source_updated_at.CopyFrom(timestamp_of(held.written_at))
    message.recorded_at.CopyFrom(timestamp_of(held.recorded_at))
    return message


def changed_fields(newer: resources_pb2.Registration, older: resources_pb2.Registration) -> list[str]:
    """The fields of content in which two registrations differ, in the order of the contract."""
    names = [field.name for field in newer.DESCRIPTOR.fields if field.name not in _NOT_CONTENT]
    return [name for name in names if getattr(newer, name) != getattr(older, name)]


def classes_of(held: Held) -> list[resources_pb2.IdentifierClass.ValueType]:
    """What sorts of numbers a registration's identifiers are, in their order."""
    return [resources_pb2.IdentifierClass.ValueType(class_of(one)) for one in held.features.identifiers]


def person_of(person_id: str, registrations: Iterable[Held]) -> resources_pb2.Person:
    """A person with their registrations."""
    return resources_pb2.Person(person_id=person_id, registrations=map(registration_of, registrations))


def candidate_of(match: Match, held: Held) -> resources_pb2.Candidate:
    """A candidate with the weight of each field."""
    return resources_pb2.Candidate(
        registration=registration_of(held),
        grade=resources_pb2.MatchGrade.ValueType(match.grade),
        weight=match.weight,
        probability=match.probability,
        fields=[resources_pb2.FieldWeight(field=one.field, level=one.level, weight=one.weight) for one in match.fields],
        rule=match.rule,
    )


def decision_of(decision: model.Decision) -> resources_pb2.Decision:
    """A decision as it was made."""
    return resources_pb2.Decision(
        decision_id=decision.decision_id,
        kind=resources_pb2.DecisionKind.ValueType(decision.kind),
        registration_id=decision.registration_id,
        previous_person_id=decision.previous_person_id,
        person_id=decision.person_id,
        decided_by=decision.decided_by,
        reason=decision.reason,
        model=decision.model,
        weight=decision.weight,
        recorded_at=timestamp_of(decision.recorded_at),
        evidence=_evidence_of(decision.evidence) if decision.evidence else None,
    )


def move_of(move: Move) -> resources_pb2.Move:
    """A registration that changes person."""
    return resources_pb2.Move(
        registration_id=move.registration_id,
        organization_id=move.organization_id,
        previous_person_id=move.previous_person_id,
        person_id=move.person_id,
    )


def _evidence_of(told: Mapping[str, Any]) -> resources_pb2.Evidence:
    return resources_pb2.Evidence(
        with_registration_id=told.get("with", ""),
        rule=told.get("rule", ""),
        grade=resources_pb2.MatchGrade.ValueType(Grade[told["grade"].upper()] if "grade" in told else 0),
        weight=told.get("weight", 0.0),
        fields=[
            resources_pb2.FieldWeight(field=field, level=level, weight=weight)
            for field, level, weight in told.get("fields", ())
        ],
        held_apart=_pairs_of(told, "held_apart"),
        rejoined=_pairs_of(told, "rejoined"),
        override=resources_pb2.OverrideKind.ValueType(told["overrides"][0][2] if told.get("overrides") else 0),
        reverted_decision_id=told.get("reverts", ""),
        reviewers=told.get("reviewers", ()),
    )


def _pairs_of(told: Mapping[str, Any], name: str) -> list[resources_pb2.RegistrationPair]:
    return [
        resources_pb2.RegistrationPair(registration_id=one, other_registration_id=other)
        for one, other in pairs_of(told, name)
    ]


def outcome_of(outcome: model.Outcome) -> service_pb2.RegistrationOutcome.ValueType:
    """What became of a registration."""
    return service_pb2.RegistrationOutcome.ValueType(outcome)


def event_of(held: Held) -> events_pb2.PatientIndexEvent:
    """What followers learn of a registration."""
    features = held.features
    return events_pb2.PatientIndexEvent(
        registration_placed=events_pb2.RegistrationPlaced(
            registration_id=held.registration_id,
            organization_id=held.organization_id,
            person_id=held.person_id,
            citizen_key=held.citizen_key,
            version=held.version,
            decision_id=held.decision_id,
            place_code=features.place_code,
            birth_date=features.birth_date,
            sex=features.sex,
            nationality=features.nationality,
        )
    )


def timestamp_of(moment: datetime) -> Timestamp:
    """A moment."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message
