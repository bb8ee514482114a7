"""DRUG_OPD, DRUG_IPD and DRUGALLERGY: what was ordered, and what the person does not bear."""

from services.exchange.mapping.pieces import (
    TERMINOLOGY,
    About,
    Draft,
    Json,
    Row,
    columns,
    concept,
    date_of,
    drug_concept,
    encounter,
    epoch_of,
    number_of,
    patient,
    resource_id,
    without_blanks,
)

_VISIT = columns(
    "DRUG_OPD", "PID", "SEQ", "DATE_SERV", "DIDSTD", "DNAME", "AMOUNT", "UNIT", "UNIT_PACKING", "D_UPDATE"
)  # fmt: skip
_STAY = columns(
    "DRUG_IPD", "PID", "AN", "DATETIME_ADMIT", "TYPEDRUG", "DIDSTD", "DNAME", "DATESTART", "DATEFINISH", "AMOUNT", "UNIT",
    "UNIT_PACKING", "D_UPDATE",
)  # fmt: skip
_ALLERGY = columns(
    "DRUGALLERGY", "PID", "DRUGALLERGY", "DNAME", "DATERECORD", "TYPEDX", "ALEVEL", "SYMPTOM", "INFORMANT", "INFORMHOSP",
    "D_UPDATE",
)  # fmt: skip

_CATEGORY = f"{TERMINOLOGY}/medicationrequest-category"
_OUTPATIENT = [concept(_CATEGORY, "outpatient")]
_INPATIENT = [concept(_CATEGORY, "inpatient")]
_DISCHARGE = [concept(_CATEGORY, "discharge")]
_TAKEN_HOME = "2"
_MANIFESTATION = "https://terms.sil-th.org/core/CodeSystem/cs-thcc-allergy-manifest"
_CERTAINTY = "https://terms.sil-th.org/core/CodeSystem/cs-thcc-allergy-certainty"
_ACTIVE = concept(f"{TERMINOLOGY}/allergyintolerance-clinical", "active")
# TYPEDX: certain and probable are treated as known. Possible, unlikely and unclassified still warn.
_VERIFICATION = {
    True: concept(f"{TERMINOLOGY}/allergyintolerance-verification", "confirmed"),
    False: concept(f"{TERMINOLOGY}/allergyintolerance-verification", "unconfirmed"),
}
_KNOWN = frozenset({"1", "2"})
# ALEVEL: 1 is not serious, all others are serious in some way; death and danger of life are the severest.
_NOT_SERIOUS = "1"
_DEADLY = frozenset({"2", "3"})


def visit_drug(row: Row, about: About) -> list[Draft]:
    """DRUG_OPD: what was ordered at a visit and dispensed with it."""
    pid, seq, day, code, name, amount, unit, packing, updated = _VISIT(row)
    key = ("DRUG_OPD", pid, seq, day, code)
    return [_order(about, key, _OUTPATIENT, code, name, date_of(day), None, amount, unit or packing, updated)]


def stay_drug(row: Row, about: About) -> list[Draft]:
    """DRUG_IPD: what was given in hospital (TYPEDRUG 1) or to take home (2)."""
    pid, an, admitted, kind, code, name, start, finish, amount, unit, packing, updated = _STAY(row)
    key = ("DRUG_IPD", pid, an, admitted, kind, code)
    category = _DISCHARGE if kind == _TAKEN_HOME else _INPATIENT
    return [_order(about, key, category, code, name, date_of(start), date_of(finish), amount, unit or packing, updated)]


def _order(
    about: About, key: tuple[str, ...], category: list[Json], code: str, name: str, start: str | None, finish: str | None,
    amount: str, unit: str, updated: str,
) -> Draft:  # fmt: skip
    order = resource_id("MedicationRequest", about.organization_id, *key)
    body: Json = {
        "resourceType": "MedicationRequest",
        "id": order,
        # The files tell of drugs that were handed out.
        "status": "completed",
        "intent": "order",
        "category": category,
        "medicationCodeableConcept": drug_concept(about.organization_id, code, name),
        "subject": patient(about),
    }
    if about.encounter_id:
        body["encounter"] = encounter(about)
    if start:
        body["authoredOn"] = start
    dispensed = without_blanks(
        {
            "quantity": without_blanks({"value": number_of(amount), "unit": unit or None}) if amount else None,
            "validityPeriod": {"start": start, "end": finish} if start and finish else None,
        }
    )
    if dispensed:
        body["dispenseRequest"] = dispensed
    return Draft("MedicationRequest", order, body, epoch_of(updated))


def allergy(row: Row, about: About) -> list[Draft]:
    """DRUGALLERGY: an allergy to a drug, with how sure and how grave it is, and how it showed itself."""
    pid, code, name, recorded, certainty, gravity, symptom, _, told_by, updated = _ALLERGY(row)
    organization = about.organization_id
    allergy = resource_id("AllergyIntolerance", organization, "DRUGALLERGY", pid, code)
    criticality = "unable-to-assess" if not gravity else "low" if gravity == _NOT_SERIOUS else "high"
    verification = dict(_VERIFICATION[certainty in _KNOWN])
    if certainty:
        verification["coding"] = [*verification["coding"], {"system": _CERTAINTY, "code": certainty}]
    reaction = None
    if symptom:
        reaction = without_blanks({"manifestation": [concept(_MANIFESTATION, symptom)], "severity": _severity(gravity)})
    body = without_blanks(
        {
            "resourceType": "AllergyIntolerance",
            "id": allergy,
            "clinicalStatus": _ACTIVE,
            "verificationStatus": verification,
            "type": "allergy",
            "category": ["medication"],
            "criticality": criticality,
            "code": drug_concept(organization, code, name),
            "patient": patient(about),
            "recordedDate": date_of(recorded),
            "note": [{"text": f"reported by facility {told_by}"}] if told_by and told_by != organization else None,
            "reaction": [reaction] if reaction else None,
        }
    )
    return [Draft("AllergyIntolerance", allergy, body, epoch_of(updated))]


def _severity(gravity: str) -> str | None:
    if not gravity:
        return None
    if gravity == _NOT_SERIOUS:
        return "mild"
    return "severe" if gravity in _DEADLY else "moderate"
