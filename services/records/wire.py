"""Nouns ⇄ protobuf: resources, what the feed tells of them, the lines of a summary."""

from collections.abc import Iterator
from typing import Any

from nhip.records.v1 import events_pb2, resources_pb2

from libs.fhir.body import Json
from libs.thai.identifiers import ICD10, ICD10TM
from services.records.model import Decision, Outcome, Stored

# Where an illness began, as a six-digit code; exchange files it, surveillance counts by it.
ILLNESS_PLACE = "https://nhip.th/fhir/StructureDefinition/illness-place"
_DIAGNOSES = frozenset({ICD10, ICD10TM})


def stored_message(stored: Stored, *, with_body: bool = True) -> resources_pb2.StoredResource:
    """One version as the contract has it."""
    message = resources_pb2.StoredResource(
        type=stored.type,
        id=stored.id,
        version=stored.version,
        body=stored.body if with_body else b"",
        operation=stored.operation.value,  # type: ignore[arg-type]  # an enum's number
        organization_id=stored.organization_id,
    )
    message.recorded_at.FromDatetime(stored.recorded_at)
    return message


def outcome_number(outcome: Outcome) -> Any:
    """The contract's WriteOutcome."""
    return outcome.value


def event_of(decision: Decision) -> events_pb2.RecordsEvent:
    """What the feed tells of a new version."""
    intent = decision.intent
    return _event(
        intent.type,
        intent.id,
        decision.version,
        decision.outcome_operation.value,
        decision.filed_under if decision.is_personal else "",
        decision.organization_id,
        intent.body,
    )


def event_of_stored(stored: Stored, body: Json | None) -> events_pb2.RecordsEvent:
    """What the feed's snapshot tells of a resource as it is."""
    return _event(
        stored.type,
        stored.id,
        stored.version,
        stored.operation.value,
        stored.registration_id,
        stored.organization_id,
        body,
    )


def _event(
    resource_type: str,
    resource_id: str,
    version: int,
    operation: Any,
    registration_id: str,
    organization_id: str,
    body: Json | None,
) -> events_pb2.RecordsEvent:
    event = events_pb2.RecordsEvent(
        type=resource_type,
        id=resource_id,
        version=version,
        operation=operation,
        registration_id=registration_id,
        organization_id=organization_id,
    )
    if body is not None and resource_type == "Encounter":
        event.visit.CopyFrom(_visit(body))
    elif body is not None and resource_type == "Condition":
        event.diagnosis.CopyFrom(_diagnosis(body))
    return event


def _visit(body: Json) -> events_pb2.Visit:
    period = body.get("period", {})
    return events_pb2.Visit(
        status=body.get("status", ""),
        class_code=body.get("class", {}).get("code", ""),
        started_at=period.get("start", ""),
        ended_at=period.get("end", ""),
    )


def _diagnosis(body: Json) -> events_pb2.Diagnosis:
    encounter = body.get("encounter", {}).get("reference", "")
    onset = body.get("onsetDateTime") or body.get("onsetPeriod", {}).get("start", "")
    return events_pb2.Diagnosis(
        codes=[one for one in codes_of(body.get("code")) if one.system in _DIAGNOSES],
        encounter_id=encounter.removeprefix("Encounter/") if encounter.startswith("Encounter/") else "",
        onset_at=onset,
        recorded_at=body.get("recordedDate", ""),
        verification_status=first_code(body.get("verificationStatus")),
        clinical_status=first_code(body.get("clinicalStatus")),
        place_code=_place(body),
    )


def _place(body: Json) -> str:
    for extension in body.get("extension", ()):
        if extension.get("url") == ILLNESS_PLACE:
            return str(extension.get("valueCode") or extension.get("valueString") or "")
    return ""


def codes_of(concept: Json | None) -> Iterator[resources_pb2.Code]:
    """The codings of a CodeableConcept."""
    for coding in (concept or {}).get("coding", ()):
        yield resources_pb2.Code(
            system=coding.get("system", ""), code=coding.get("code", ""), display=coding.get("display", "")
        )


def first_code(concept: Json | None) -> str:
    """The first code of a CodeableConcept; empty where it has none."""
    return next((one.code for one in codes_of(concept) if one.code), "")


def text_of(concept: Json | None) -> str:
    """What a CodeableConcept says to a reader."""
    shown = (concept or {}).get("text") or next((one.display for one in codes_of(concept) if one.display), "")
    return str(shown)


def summary_item(stored: Stored, body: Json) -> resources_pb2.SummaryItem:
    """A line of a summary."""
    concept, occurred, status, severity = _SUMMARIES[stored.type](body)
    return resources_pb2.SummaryItem(
        resource_type=stored.type,
        resource_id=stored.id,
        organization_id=stored.organization_id,
        registration_id=stored.registration_id,
        codes=list(codes_of(concept)),
        text=text_of(concept),
        occurred_at=occurred,
        status=status,
        severity=severity,
    )


Line = tuple[Json | None, str, str, str]


def _allergy(body: Json) -> Line:
    reactions = [one.get("severity", "") for one in body.get("reaction", ())]
    severity = body.get("criticality") or next((one for one in reactions if one), "")
    return (
        body.get("code"),
        _when(body, "onsetDateTime", "recordedDate"),
        first_code(body.get("clinicalStatus")),
        severity,
    )


def _condition(body: Json) -> Line:
    occurred = _when(body, "onsetDateTime", "onsetPeriod", "recordedDate")
    status = first_code(body.get("clinicalStatus")) or first_code(body.get("verificationStatus"))
    return body.get("code"), occurred, status, text_of(body.get("severity"))


def _medication(body: Json) -> Line:
    occurred = _when(body, "authoredOn", "whenHandedOver", "effectiveDateTime", "effectivePeriod", "dateAsserted")
    concept = body.get("medicationCodeableConcept")
    if concept is None:
        # The drug stands in another resource; what the reference shows is what there is to say here.
        reference = body.get("medicationReference", {})
        concept = {"text": reference.get("display") or reference.get("reference", "")}
    return concept, occurred, body.get("status", ""), ""


def _encounter(body: Json) -> Line:
    kind = body.get("class", {})
    reasons = body.get("reasonCode", ())
    concept: Json = {"coding": [kind] if kind else []}
    if reasons:
        concept["text"] = text_of(reasons[0])
    return concept, _when(body, "period"), body.get("status", ""), ""


def _immunization(body: Json) -> Line:
    return body.get("vaccineCode"), _when(body, "occurrenceDateTime", "recorded"), body.get("status", ""), ""


def _when(body: Json, *names: str) -> str:
    for name in names:
        value = body.get(name)
        if isinstance(value, dict):
            value = value.get("start")
        if value:
            return str(value)
    return ""


_SUMMARIES = {
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "MedicationDispense": _medication,
    "Encounter": _encounter,
    "Immunization": _immunization,
}
