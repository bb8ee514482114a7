"""What is asked for in one visit, step by step: a generator of requests that is sent each answer.

Nobody real: people are made from a number, and their citizen ids begin with 9.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from libs.clock import BANGKOK
from libs.thai import citizen_id, identifiers
from tools.nhip.tariff import SCHEME
from tools.population.catalog import PARACETAMOL

Json = dict[str, Any]

# Who asks: a hospital's program that treats, one that claims, and the Department of Disease Control.
CARE, CLAIMS, DISEASE_CONTROL = "care", "claims", "disease_control"
_ICD_10: Final = "http://hl7.org/fhir/sid/icd-10"
_LOINC: Final = "http://loinc.org"
_DRUG: Final = "https://terms.sil-th.org/core/CodeSystem/cs-th-24drug"
# Hypertension; dengue without warning signs, which is notifiable.
_USUAL, _NOTIFIABLE = "I10", "A97.0"
_DENGUE_GROUP: Final = "66"
# The out-patient service fee, by its e-Claim code, in satang.
_SERVICE_FEE, _FEE_SATANG = "55020", 5000
_BODY_TEMPERATURE, _HEART_RATE = ("8310-5", "Cel", 36), ("8867-4", "/min", 60)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `kind` is what figures are kept under, and names nobody."""

    kind: str
    verb: str
    path: str
    body: Json | None = None
    caller: str = CARE
    facility: str = ""


Visit = Generator[Asked, Any, None]


@dataclass(frozen=True, slots=True)
class Citizen:
    """Somebody who does not exist; the same number is the same person."""

    number: int

    @property
    def citizen_id(self) -> str:
        """Thirteen digits that begin with 9."""
        return citizen_id.make(f"9{self.number % 10**11:011d}")

    @property
    def born(self) -> str:
        """Their date of birth."""
        return f"{1940 + self.number % 80}-{1 + self.number % 12:02d}-{1 + self.number % 28:02d}"

    def resource(self, facility: str) -> Json:
        """As a facility's counter writes them from the card."""
        return {
            "resourceType": "Patient",
            "identifier": [
                {"system": identifiers.CITIZEN_ID, "value": self.citizen_id},
                {"system": f"https://terms.sil-th.org/hcode/5/{facility}/HN", "value": f"L{self.number}"},
            ],
            "name": [{"use": "official", "given": ["ทดสอบ"], "family": f"ภาระ{self.number}"}],
            "gender": "female" if self.number % 2 else "male",
            "birthDate": self.born,
        }


@dataclass(frozen=True, slots=True)
class Course:
    """What sort of visit it is."""

    name: str
    # Whether the person comes from elsewhere: is looked for, and what others hold of them is read.
    is_elsewhere: bool = False
    diagnosis: str = _USUAL
    # Whether those who watch for outbreaks look at it.
    is_watched: bool = False
    is_claimed: bool = True


CLINIC: Final = Course("clinic")
ELSEWHERE: Final = Course("elsewhere", is_elsewhere=True)
FEVER: Final = Course("fever", diagnosis=_NOTIFIABLE, is_watched=True)


def visit(course: Course, citizen: Citizen, facility: str, number: str) -> Visit:
    """One visit; `number` is the facility's own of it, and no other visit's."""
    now = datetime.now(BANGKOK)
    if course.is_elsewhere:
        identifier = {"system": identifiers.CITIZEN_ID, "value": citizen.citizen_id}
        found = yield Asked("find_person", "POST", "/v1/persons:search", {"identifier": identifier}, CARE, facility)
        for person in found.get("persons", [])[:1]:
            summary = f"/v1/persons/{person['personId']}/summary"
            yield Asked("read_summary", "GET", summary, None, CARE, facility)

    def write(resource: Json) -> Asked:
        kind: str = resource["resourceType"]
        return Asked(f"create_{kind.lower()}", "POST", f"/fhir/R4/{kind}", resource, CARE, facility)

    patient = (yield write(citizen.resource(facility)))["id"]
    stay = (yield write(_encounter(patient, facility, number, now)))["id"]
    for measured in (_BODY_TEMPERATURE, _HEART_RATE):
        yield write(_observation(patient, stay, now, measured, citizen.number))
    before = f"/fhir/R4/Condition?patient={patient}"
    yield Asked("search_condition", "GET", before, None, CARE, facility)
    diagnosis = (yield write(_condition(patient, stay, now, course.diagnosis)))["id"]
    yield write(_order(patient, stay))
    yield Asked("read_condition", "GET", f"/fhir/R4/Condition/{diagnosis}", None, CARE, facility)
    if course.is_claimed:
        claim = _claim(patient, stay, facility, number, now, course.diagnosis)
        yield Asked("create_claim", "POST", "/v1/claims", claim, CLAIMS, facility)
    if course.is_watched:
        cases = f"/v1/surveillance/series?disease_code={_DENGUE_GROUP}"
        yield Asked("read_series", "GET", cases, None, DISEASE_CONTROL, facility)


def _about(patient: str, stay: str) -> Json:
    return {"subject": {"reference": f"Patient/{patient}"}, "encounter": {"reference": f"Encounter/{stay}"}}


def _coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _encounter(patient: str, facility: str, number: str, now: datetime) -> Json:
    moment = now.isoformat(timespec="seconds")
    return {
        "resourceType": "Encounter",
        "identifier": [{"system": f"https://terms.sil-th.org/hcode/5/{facility}/VN", "value": number}],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": moment, "end": moment},
    }


def _observation(patient: str, stay: str, now: datetime, measured: tuple[str, str, int], number: int) -> Json:
    code, unit, least = measured
    value = {"value": least + number % 5, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": _coded(_LOINC, code),
        **_about(patient, stay),
        "effectiveDateTime": now.isoformat(timespec="seconds"),
        "valueQuantity": value,
    }


def _condition(patient: str, stay: str, now: datetime, code: str) -> Json:
    states = "http://terminology.hl7.org/CodeSystem/condition"
    return {
        "resourceType": "Condition",
        "clinicalStatus": _coded(f"{states}-clinical", "active"),
        "verificationStatus": _coded(f"{states}-ver-status", "confirmed"),
        "category": [_coded(f"{states}-category", "encounter-diagnosis")],
        "code": _coded(_ICD_10, code),
        **_about(patient, stay),
        "recordedDate": now.isoformat(timespec="seconds"),
    }


def _order(patient: str, stay: str) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {**_coded(_DRUG, PARACETAMOL.code), "text": PARACETAMOL.name},
        **_about(patient, stay),
    }


def _claim(patient: str, stay: str, facility: str, number: str, now: datetime, diagnosis: str) -> Json:
    fee = {"number": 1, "chargeGroup": "C1", "code": _SERVICE_FEE, "description": "out-patient service"}
    return {
        "invoiceNumber": number,
        "organizationId": facility,
        "registrationId": patient,
        "encounterId": stay,
        "scheme": SCHEME,
        "serviceDate": now.date().isoformat(),
        "diagnoses": [diagnosis.replace(".", "")],
        "lines": [{**fee, "quantity": 1, "unitPrice": {"satang": str(_FEE_SATANG)}}],
    }
