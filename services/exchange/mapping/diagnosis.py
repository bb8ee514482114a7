"""DIAGNOSIS_OPD, DIAGNOSIS_IPD, CHRONIC and SURVEILLANCE: conditions."""

from libs.f43.codes import name_of
from libs.thai import places
from services.exchange.mapping.pieces import (
    ILLNESS_PLACE,
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
    icd10_concept,
    moment_of,
    patient,
    resource_id,
    without_blanks,
)

_VISIT = columns("DIAGNOSIS_OPD", "PID", "SEQ", "DATE_SERV", "DIAGCODE", "DIAGTYPE", "D_UPDATE")
_STAY = columns("DIAGNOSIS_IPD", "PID", "AN", "DATETIME_ADMIT", "DIAGCODE", "DIAGTYPE", "D_UPDATE")
_CHRONIC = columns("CHRONIC", "PID", "DATE_DIAG", "CHRONIC", "DATE_DISCH", "TYPEDISCH", "D_UPDATE")
_SURVEILLANCE = columns(
    "SURVEILLANCE", "PID", "SEQ", "DIAGCODE", "DATE_SERV", "DIAGCODELAST", "CODE506", "CODE506LAST", "ILLDATE",
    "ILLCHANGWAT", "ILLAMPUR", "ILLTAMBON", "D_UPDATE",
)  # fmt: skip

_CATEGORY = f"{TERMINOLOGY}/condition-category"
_AT_A_VISIT = concept(_CATEGORY, "encounter-diagnosis", "Encounter Diagnosis")
_ON_THE_LIST = concept(_CATEGORY, "problem-list-item", "Problem List Item")
_ROLE = "https://terms.sil-th.org/core/CodeSystem/cs-43plus-encounter-diagnosis-role"
_CODE_506 = "https://terms.sil-th.org/core/CodeSystem/cs-thcc-506"
_CONFIRMED = concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed")
_PROVISIONAL = concept(f"{TERMINOLOGY}/condition-ver-status", "provisional")
# CHRONIC.TYPEDISCH: cured and course completed are over, in remission is 08, come back is 11; all others go on.
_CLINICAL = {"01": "resolved", "07": "resolved", "08": "remission", "11": "recurrence"}
_SIX_DIGITS = 6


def _at_a_visit(
    file: str, about: About, key: tuple[str, ...], diagnosis: str, role: str, recorded: str | None, updated: str
) -> list[Draft]:
    condition = resource_id("Condition", about.organization_id, file, *key)
    body: Json = {
        "resourceType": "Condition",
        "id": condition,
        "verificationStatus": _CONFIRMED,
        "category": [_AT_A_VISIT, concept(_ROLE, role, name_of(file, "DIAGTYPE", role))],
        "code": icd10_concept(diagnosis),
        "subject": patient(about),
        "recordedDate": recorded,
    }
    if about.encounter_id:
        body["encounter"] = encounter(about)
    return [Draft("Condition", condition, body, epoch_of(updated))]


def visit_diagnosis(row: Row, about: About) -> list[Draft]:
    """DIAGNOSIS_OPD. Whether it is still so later is not told, so that no clinical status is claimed."""
    pid, seq, day, code, role, updated = _VISIT(row)
    return _at_a_visit("DIAGNOSIS_OPD", about, (pid, seq, day, code), code, role, date_of(day), updated)


def stay_diagnosis(row: Row, about: About) -> list[Draft]:
    """DIAGNOSIS_IPD."""
    pid, an, admitted, code, role, updated = _STAY(row)
    return _at_a_visit("DIAGNOSIS_IPD", about, (pid, an, admitted, code), code, role, moment_of(admitted), updated)


def chronic(row: Row, about: About) -> list[Draft]:
    """CHRONIC: a line of the problem list, with how it stands."""
    pid, since, code, until, state, updated = _CHRONIC(row)
    condition = resource_id("Condition", about.organization_id, "CHRONIC", pid, since, code)
    clinical = _CLINICAL.get(state, "active")
    is_over = clinical in ("resolved", "remission")
    body = without_blanks(
        {
            "resourceType": "Condition",
            "id": condition,
            "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", clinical),
            "verificationStatus": _CONFIRMED,
            "category": [_ON_THE_LIST],
            "code": icd10_concept(code),
            "subject": patient(about),
            "onsetDateTime": date_of(since),
            # FHIR's con-4: only what is over has an end.
            "abatementDateTime": date_of(until) if is_over else None,
            "recordedDate": date_of(since),
        }
    )
    return [Draft("Condition", condition, body, epoch_of(updated))]


def surveillance(row: Row, about: About) -> list[Draft]:
    """SURVEILLANCE: a notifiable disease with its onset and the place of the illness.

    The last diagnosis counts where there is one; a first impression alone is provisional.
    """
    (
        pid, seq, first, day, last, first_506, last_506, onset, province, district, sub_district, updated,
    ) = _SURVEILLANCE(row)  # fmt: skip
    condition = resource_id("Condition", about.organization_id, "SURVEILLANCE", pid, seq, first)
    code = icd10_concept(last or first)
    report = last_506 or first_506
    if report:
        code["coding"].append({"system": _CODE_506, "code": report})
    place = places.compose(province, district, sub_district)
    body = without_blanks(
        {
            "resourceType": "Condition",
            "id": condition,
            "extension": [{"url": ILLNESS_PLACE, "valueCode": place}] if len(place) == _SIX_DIGITS else None,
            "verificationStatus": _CONFIRMED if last else _PROVISIONAL,
            "category": [_AT_A_VISIT],
            "code": code,
            "subject": patient(about),
            "encounter": encounter(about),
            "onsetDateTime": date_of(onset),
            "recordedDate": date_of(day),
        }
    )
    return [Draft("Condition", condition, body, epoch_of(updated))]
