"""PROCEDURE_OPD, PROCEDURE_IPD, LABFU, EPI, APPOINTMENT and REFER_HISTORY: what was done, found and planned."""

import re

from libs.f43.codes import name_of
from libs.thai import identifiers
from services.exchange.mapping.pieces import (
    SNOMED,
    TERMINOLOGY,
    About,
    Draft,
    Json,
    Row,
    columns,
    concept,
    date_of,
    encounter,
    epoch_of,
    facility,
    icd10_concept,
    moment_of,
    number_of,
    patient,
    procedure_concept,
    quantity,
    resource_id,
    without_blanks,
)

_VISIT_PROCEDURE = columns("PROCEDURE_OPD", "PID", "SEQ", "DATE_SERV", "PROCEDCODE", "D_UPDATE")
_STAY_PROCEDURE = columns(
    "PROCEDURE_IPD", "PID", "AN", "DATETIME_ADMIT", "PROCEDCODE", "TIMESTART", "TIMEFINISH", "D_UPDATE"
)  # fmt: skip
_LAB = columns("LABFU", "PID", "DATE_SERV", "LABTEST", "LABRESULT", "LABPLACE", "D_UPDATE")
_VACCINE = columns("EPI", "PID", "DATE_SERV", "VACCINETYPE", "VACCINEPLACE", "D_UPDATE")
_APPOINTMENT = columns(
    "APPOINTMENT", "PID", "SEQ", "DATE_SERV", "APTYPE", "APDATE", "APDIAG", "CLINIC", "D_UPDATE"
)  # fmt: skip
_REFERRAL = columns(
    "REFER_HISTORY", "PID", "REFERID", "DATETIME_REFER", "HOSP_DESTINATION", "DIAGLAST", "EMERGENCY", "REQUEST", "D_UPDATE"
)  # fmt: skip

_LABORATORY = [concept(f"{TERMINOLOGY}/observation-category", "laboratory", "Laboratory")]
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
# Thai laboratories report these in conventional units; the files carry the number alone.
_UNITS = {
    "0531002": "mg/dL",
    "0531102": "mg/dL",
    "0531601": "%",
    "0541202": "mg/dL",
    "0541402": "mg/dL",
    "0541602": "mg/dL",
    "0546602": "mg/dL",
    "0581902": "mg/dL",
    "0581904": "mL/min/{1.73_m2}",
    "0621401": "g/dL",
}
_APPOINTMENT_TYPE = "https://terms.sil-th.org/core/CodeSystem/cs-thcc-appoint-service-type"
# REFER_HISTORY.EMERGENCY, from a threat to life to none at all.
_PRIORITIES = {"1": "stat", "2": "stat", "3": "urgent", "4": "asap"}
_REFERRED = concept(SNOMED, "3457005", "Patient referral")


def visit_procedure(row: Row, about: About) -> list[Draft]:
    """PROCEDURE_OPD."""
    pid, seq, day, code, updated = _VISIT_PROCEDURE(row)
    performed = {"performedDateTime": date_of(day)}
    return _procedure(about, ("PROCEDURE_OPD", pid, seq, day, code), code, performed, updated)


def stay_procedure(row: Row, about: About) -> list[Draft]:
    """PROCEDURE_IPD, with its beginning and end."""
    pid, an, admitted, code, start, finish, updated = _STAY_PROCEDURE(row)
    period = without_blanks({"start": moment_of(start), "end": moment_of(finish)})
    key = ("PROCEDURE_IPD", pid, an, admitted, code, start)
    return _procedure(about, key, code, {"performedPeriod": period}, updated)


def _procedure(about: About, key: tuple[str, ...], code: str, performed: Json, updated: str) -> list[Draft]:
    procedure = resource_id("Procedure", about.organization_id, *key)
    body: Json = {
        "resourceType": "Procedure",
        "id": procedure,
        "status": "completed",
        "code": procedure_concept(code),
        "subject": patient(about),
        **performed,
    }
    if about.encounter_id:
        body["encounter"] = encounter(about)
    return [Draft("Procedure", procedure, body, epoch_of(updated))]


def laboratory(row: Row, about: About) -> list[Draft]:
    """LABFU: a result, as a number where it is one."""
    pid, day, test, result, place, updated = _LAB(row)
    observation = resource_id("Observation", about.organization_id, "LABFU", pid, day, test)
    name = name_of("LABFU", "LABTEST", test)
    body: Json = {
        "resourceType": "Observation",
        "id": observation,
        "status": "final",
        "category": _LABORATORY,
        "code": concept(identifiers.LAB_ICD10TM, test, name, name),
        "subject": patient(about),
        "effectiveDateTime": date_of(day),
    }
    if about.encounter_id:
        body["encounter"] = encounter(about)
    if place and place != about.organization_id:
        body["performer"] = [facility(place)]
    number = number_of(result) if _NUMBER.fullmatch(result) else None
    if number is None:
        body["valueString"] = result
    else:
        unit = _UNITS.get(test)
        body["valueQuantity"] = quantity(number, unit) if unit else {"value": number}
    return [Draft("Observation", observation, body, epoch_of(updated))]


def vaccination(row: Row, about: About) -> list[Draft]:
    """EPI: a vaccination given here, or reported of another place."""
    pid, day, vaccine, place, updated = _VACCINE(row)
    immunization = resource_id("Immunization", about.organization_id, "EPI", pid, day, vaccine)
    name = name_of("EPI", "VACCINETYPE", vaccine)
    body: Json = {
        "resourceType": "Immunization",
        "id": immunization,
        "status": "completed",
        "vaccineCode": concept(identifiers.VACCINE, vaccine, name, name),
        "patient": patient(about),
        "occurrenceDateTime": date_of(day),
        "primarySource": place in ("", about.organization_id),
    }
    if about.encounter_id:
        body["encounter"] = encounter(about)
    if place:
        body["performer"] = [{"actor": facility(place)}]
    return [Draft("Immunization", immunization, body, epoch_of(updated))]


def appointment(row: Row, about: About) -> list[Draft]:
    """APPOINTMENT: a day on which the person is to come; the hour is not told, so that the whole day is booked."""
    pid, seq, day, kind, on, reason, clinic, updated = _APPOINTMENT(row)
    appointment = resource_id("Appointment", about.organization_id, "APPOINTMENT", pid, seq, day, kind)
    body = without_blanks(
        {
            "resourceType": "Appointment",
            "id": appointment,
            "status": "booked",
            "serviceType": [concept(_APPOINTMENT_TYPE, kind)],
            "specialty": [{"text": f"clinic {clinic}"}] if clinic else None,
            "reasonCode": [icd10_concept(reason)] if reason else None,
            "start": f"{date_of(on)}T00:00:00+07:00",
            "end": f"{date_of(on)}T23:59:59+07:00",
            "created": date_of(day),
            "participant": [{"actor": patient(about), "status": "accepted"}],
        }
    )
    return [Draft("Appointment", appointment, body, epoch_of(updated))]


def referral(row: Row, about: About) -> list[Draft]:
    """REFER_HISTORY: the person is sent to another facility."""
    _, number, at, destination, diagnosis, urgency, wish, updated = _REFERRAL(row)
    organization = about.organization_id
    request = resource_id("ServiceRequest", organization, "REFER_HISTORY", number)
    body = without_blanks(
        {
            "resourceType": "ServiceRequest",
            "id": request,
            "identifier": [{"system": identifiers.local(organization, identifiers.Local.REFER), "value": number}],
            "status": "active",
            "intent": "order",
            "priority": _PRIORITIES.get(urgency, "routine"),
            "code": _REFERRED,
            "subject": patient(about),
            "encounter": encounter(about),
            "authoredOn": moment_of(at),
            "requester": facility(organization),
            "performer": [facility(destination)] if destination else None,
            "reasonCode": [{"text": diagnosis}] if diagnosis else None,
            "note": [{"text": wish}] if wish else None,
        }
    )
    return [Draft("ServiceRequest", request, body, epoch_of(updated))]
