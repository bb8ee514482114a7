"""Nouns of surveillance ⇄ protobuf, and the feeds' events read into nouns."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

from nhip.feed.v1.service_pb2 import Change
from nhip.patient_index.v1 import events_pb2 as index_events
from nhip.records.v1 import events_pb2 as record_events
from nhip.records.v1 import resources_pb2 as record_nouns
from nhip.surveillance.v1 import events_pb2, resources_pb2

from libs.clock import BANGKOK
from services.surveillance.diseases import Catalogue
from services.surveillance.model import Alert, Case, Diagnosis, Disease, Placement, WeekCount
from services.surveillance.rules.cases import announced_status, report_due_at
from services.surveillance.rules.weeks import week_text

_ICD10 = re.compile(r"[A-Z][0-9][0-9A-Z]{1,5}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DELETE = record_nouns.RESOURCE_OPERATION_DELETE


def day_of(text: str) -> date | None:
    """The day in Bangkok that an ISO 8601 date or time names; None where it names no day (`2026-07`) or nothing."""
    moment = moment_of(text)
    return None if moment is None else moment.astimezone(BANGKOK).date()


def moment_of(text: str) -> datetime | None:
    """The moment that an ISO 8601 date or time names; a day begins at midnight in Bangkok, where no zone is stated."""
    if not _DAY.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=BANGKOK)


def diagnosis_of(change: Change, now: datetime) -> Diagnosis | None:
    """The diagnosis that a change of feed `records` tells of; None for every other resource."""
    event = record_events.RecordsEvent.FromString(change.event)
    if event.type != "Condition":
        return None
    digest = event.diagnosis
    return Diagnosis(
        diagnosis_id=event.id,
        version=event.version,
        registration_id=event.registration_id,
        organization_id=event.organization_id,
        codes=tuple(_icd10_codes(digest.codes)),
        onset_on=day_of(digest.onset_at),
        diagnosed_at=moment_of(digest.recorded_at),
        verification=digest.verification_status,
        place_code=digest.place_code,
        is_deleted=event.operation == _DELETE,
        recorded_at=_recorded_at(change, now),
    )


def _icd10_codes(codes: Iterable[record_nouns.Code]) -> Iterable[str]:
    for code in codes:
        # ICD-10 and its Thai modification go by several addresses; other systems' codes may look alike.
        if code.system and "icd" not in code.system.lower():
            continue
        plain = code.code.replace(".", "").strip().upper()
        if _ICD10.fullmatch(plain):
            yield plain


def may_replace(diagnosis: Diagnosis) -> bool:
    """True unless this is the first version, which no finding can be older than."""
    return diagnosis.version > 1 or diagnosis.is_deleted


def placement_of(change: Change) -> tuple[Placement, int] | None:
    """The placement that a change of feed `patient_index` tells of, with its version."""
    event = index_events.PatientIndexEvent.FromString(change.event)
    if event.WhichOneof("event") != "registration_placed":
        return None
    placed = event.registration_placed
    try:
        birth_date = date.fromisoformat(placed.birth_date) if _DAY.fullmatch(placed.birth_date) else None
    except ValueError:
        birth_date = None
    placement = Placement(
        placed.registration_id, placed.person_id, placed.place_code, birth_date, placed.sex, placed.nationality
    )
    return placement, placed.version


def _recorded_at(change: Change, now: datetime) -> datetime:
    # Changes of a snapshot do not say when they were made.
    return change.recorded_at.ToDatetime(UTC) if change.HasField("recorded_at") else now


def case_to_wire(case: Case, catalogue: Catalogue) -> resources_pb2.Case:
    """The line of a line list. An age that is not known is -1."""
    finding, standing = case.finding, case.standing
    disease = catalogue.diseases[finding.disease_code]
    line = resources_pb2.Case(
        case_id=finding.case_id,
        disease_code=finding.disease_code,
        disease_name=disease.name,
        disease_name_th=disease.name_th,
        organization_id=finding.organization_id,
        registration_id=finding.registration_id,
        person_id=standing.person_id,
        icd10=finding.icd10,
        onset_date=finding.onset_on.isoformat(),
        diagnosed_date=finding.diagnosed_at.astimezone(BANGKOK).date().isoformat(),
        place_code=standing.place_code,
        age_years=standing.age_years,
        sex=standing.sex,  # type: ignore[arg-type]  # an enum's number
        nationality=standing.nationality,
        status=int(standing.status),  # type: ignore[arg-type]  # an enum's number
        week=week_text(standing.week_on),
        version=case.version,
    )
    line.recorded_at.FromDatetime(finding.recorded_at)
    line.report_due_at.FromDatetime(report_due_at(case, catalogue))
    return line


def case_event(case: Case) -> events_pb2.SurveillanceEvent:
    """What followers are told of a case."""
    return events_pb2.SurveillanceEvent(
        case_changed=events_pb2.CaseChanged(
            case_id=case.finding.case_id,
            version=case.version,
            disease_code=case.finding.disease_code,
            place_code=case.standing.place_code,
            week=week_text(case.standing.week_on),
            status=int(announced_status(case.standing)),  # type: ignore[arg-type]  # an enum's number
        )
    )


def alert_to_wire(alert: Alert) -> resources_pb2.Alert:
    """An alert as callers and followers see it."""
    message = resources_pb2.Alert(
        alert_id=alert.alert_id,
        disease_code=alert.cell.disease_code,
        place_code=alert.cell.place_code,
        week=week_text(alert.cell.week_on),
        cases=alert.cases,
        expected=alert.expected,
        score=alert.score,
        detector=alert.detector,
    )
    message.recorded_at.FromDatetime(alert.recorded_at)
    return message


def alert_event(alert: Alert) -> events_pb2.SurveillanceEvent:
    """What followers are told of a new alert."""
    return events_pb2.SurveillanceEvent(alert_raised=alert_to_wire(alert))


def week_to_wire(week: WeekCount) -> resources_pb2.WeekCount:
    """One week of a series."""
    return resources_pb2.WeekCount(
        week=week_text(week.week_on),
        starts_on=week.week_on.isoformat(),
        cases=week.cases,
        expected=week.expected,
        upper_bound=week.upper_bound,
        score=week.score,
        is_alarm=week.is_alarm,
    )


def disease_to_wire(disease: Disease, hours: int) -> resources_pb2.Disease:
    """A disease with the hours that hold today."""
    return resources_pb2.Disease(
        disease_code=disease.code,
        name=disease.name,
        name_th=disease.name_th,
        icd10=disease.icd10,
        report_within_hours=hours,
    )
