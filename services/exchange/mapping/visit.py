"""SERVICE and ADMISSION: encounters, with the vital signs that were taken at the door."""

from libs.f43.codes import name_of
from libs.thai import identifiers
from services.exchange.mapping.pieces import (
    TERMINOLOGY,
    About,
    Draft,
    Json,
    Row,
    columns,
    concept,
    epoch_of,
    facility,
    moment_at,
    moment_of,
    patient,
    stay_id,
    visit_id,
    without_blanks,
)
from services.exchange.mapping.sign import Sign, blood_pressure, sign

_VISIT = columns(
    "SERVICE", "PID", "SEQ", "DATE_SERV", "TIME_SERV", "TYPEIN", "CHIEFCOMP", "BTEMP", "SBP", "DBP", "PR", "RR", "TYPEOUT",
    "REFERINHOSP", "REFEROUTHOSP", "D_UPDATE",
)  # fmt: skip
_STAY = columns(
    "ADMISSION", "AN", "SEQ", "DATETIME_ADMIT", "DATETIME_DISCH", "WARDADMIT", "DISCHSTATUS", "DISCHTYPE", "REFERINHOSP",
    "REFEROUTHOSP", "D_UPDATE",
)  # fmt: skip

_ACT = f"{TERMINOLOGY}/v3-ActCode"
_CLASSES = {
    "AMB": {"system": _ACT, "code": "AMB", "display": "ambulatory"},
    "EMER": {"system": _ACT, "code": "EMER", "display": "emergency"},
    "VR": {"system": _ACT, "code": "VR", "display": "virtual"},
    "IMP": {"system": _ACT, "code": "IMP", "display": "inpatient encounter"},
}
# TYPEIN: brought by the emergency medical service; telemedicine. Everyone else walked in.
_CLASS_BY_TYPEIN = {"4": "EMER", "5": "VR"}
_DISCHARGE = "https://terms.sil-th.org/core/CodeSystem/cs-thcc-discharge-status"
_STAY_DISCHARGE = "https://terms.sil-th.org/core/CodeSystem/cs-thcc-ipd-discharge-status"

# What a row of SERVICE may become beside the visit; their ids are removed with it.
VISIT_SIGNS = (Sign.BLOOD_PRESSURE, Sign.TEMPERATURE, Sign.PULSE, Sign.BREATHING)


def visit(row: Row, about: About) -> list[Draft]:
    """An outpatient visit, and an Observation for each vital sign."""
    (
        _, seq, day, time, came, complaint, temperature, systolic, diastolic, pulse, breathing, left, referred_from,
        referred_to, updated,
    ) = _VISIT(row)  # fmt: skip
    organization = about.organization_id
    visit = visit_id(organization, seq)
    at = moment_at(day, time)
    updated_at = epoch_of(updated)
    body: Json = {
        "resourceType": "Encounter",
        "id": visit,
        "identifier": [{"system": identifiers.local(organization, identifiers.Local.VN), "value": seq}],
        "status": "finished",
        "class": _CLASSES[_CLASS_BY_TYPEIN.get(came, "AMB")],
        "subject": patient(about),
        "period": {"start": at, "end": at},
        "serviceProvider": facility(organization),
    }
    if complaint:
        body["reasonCode"] = [{"text": complaint}]
    hospitalization = _hospitalization(
        _DISCHARGE, left, name_of("SERVICE", "TYPEOUT", left), referred_from, referred_to
    )
    if hospitalization:
        body["hospitalization"] = hospitalization
    drafts = [Draft("Encounter", visit, body, updated_at)]
    here = About(organization, about.registration_id, visit)
    key = ("SERVICE", seq)
    if systolic and diastolic:
        drafts.extend(blood_pressure(here, key, at, systolic, diastolic, updated_at))
    for kind, value in ((Sign.TEMPERATURE, temperature), (Sign.PULSE, pulse), (Sign.BREATHING, breathing)):
        if value:
            drafts.extend(sign(here, key, kind, at, value, updated_at))
    return drafts


def stay(row: Row, about: About) -> list[Draft]:
    """An admission."""
    an, _, admitted, discharged, ward, status, _, referred_from, referred_to, updated = _STAY(row)
    organization = about.organization_id
    stay = stay_id(organization, an)
    body = without_blanks(
        {
            "resourceType": "Encounter",
            "id": stay,
            "identifier": [{"system": identifiers.local(organization, identifiers.Local.AN), "value": an}],
            "status": "finished" if discharged else "in-progress",
            "class": _CLASSES["IMP"],
            "subject": patient(about),
            "period": without_blanks({"start": moment_of(admitted), "end": moment_of(discharged)}),
            "hospitalization": _hospitalization(
                _STAY_DISCHARGE, status, name_of("ADMISSION", "DISCHSTATUS", status), referred_from, referred_to
            ),
            "serviceType": {"text": f"ward {ward}"} if ward else None,
            "serviceProvider": facility(organization),
        }
    )
    return [Draft("Encounter", stay, body, epoch_of(updated))]


def _hospitalization(
    system: str, disposition: str, name: str | None, referred_from: str, referred_to: str
) -> Json | None:
    made = without_blanks(
        {
            "dischargeDisposition": concept(system, disposition, name) if disposition else None,
            "origin": facility(referred_from),
            "destination": facility(referred_to),
        }
    )
    return made or None
