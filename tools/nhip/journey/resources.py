"""The FHIR resources that hospital B writes when the citizen comes with a fever."""

from datetime import datetime
from typing import Any

from tools.population import Facility, IndexCitizen

CITIZEN_ID = "https://terms.sil-th.org/id/th-cid"
DRUG_24 = "https://terms.sil-th.org/core/CodeSystem/cs-th-24drug"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
PLACES = "https://terms.sil-th.org/core/CodeSystem/cs-dopa-location"
EXTENSIONS = "https://fhir-ig.sil-th.org/th/extensions/StructureDefinition"
# Dengue without warning signs.
DENGUE = "A97.0"

Json = dict[str, Any]


def local_system(facility: Facility, kind: str) -> str:
    """The identifier system of a facility's own numbers."""
    return f"https://terms.sil-th.org/hcode/5/{facility.hcode}/{kind}"


def patient(citizen: IndexCitizen, facility: Facility, hn: str) -> Json:
    """The citizen as B's counter writes them from the card."""
    thai = {"url": "http://hl7.org/fhir/StructureDefinition/language", "valueCode": "th"}
    return {
        "resourceType": "Patient",
        "identifier": [
            {"system": CITIZEN_ID, "value": citizen.citizen_id},
            {"system": local_system(facility, "HN"), "value": hn},
        ],
        "name": [
            {
                "extension": [thai],
                "use": "official",
                "prefix": [citizen.prefix_th],
                "given": [citizen.given_th],
                "family": citizen.family_th,
            }
        ],
        "gender": citizen.sex,
        "birthDate": citizen.born.isoformat(),
        "address": [_address(citizen)],
    }


def _address(citizen: IndexCitizen) -> Json:
    code = citizen.place_code
    parts = {"province": code[:2], "district": code[:4], "subdistrict": code}
    return {
        "use": "home",
        "country": "TH",
        "extension": [
            {
                "url": f"{EXTENSIONS}/ex-address-address-code",
                "extension": [
                    {"url": part, "valueCodeableConcept": _coded(PLACES, value)} for part, value in parts.items()
                ],
            }
        ],
    }


def encounter(patient_id: str, facility: Facility, number: str, began: datetime) -> Json:
    """The visit."""
    return {
        "resourceType": "Encounter",
        "identifier": [{"system": local_system(facility, "VN"), "value": number}],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient_id}"},
        "period": {"start": began.isoformat(timespec="seconds"), "end": began.isoformat(timespec="seconds")},
    }


def dengue(patient_id: str, encounter_id: str, number: str, began: datetime) -> Json:
    """The diagnosis."""
    return {
        "resourceType": "Condition",
        "identifier": [{"system": "urn:nhip:journey", "value": f"{number}-dx"}],
        "clinicalStatus": _coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": _coded("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"),
        "category": [_coded("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis")],
        "code": _coded(ICD_10, DENGUE, "Dengue without warning signs"),
        "subject": {"reference": f"Patient/{patient_id}"},
        "encounter": {"reference": f"Encounter/{encounter_id}"},
        "onsetDateTime": began.date().isoformat(),
        "recordedDate": began.isoformat(timespec="seconds"),
    }


def order(patient_id: str, encounter_id: str, number: str, code: str, name: str) -> Json:
    """An order of a drug."""
    return {
        "resourceType": "MedicationRequest",
        "identifier": [{"system": "urn:nhip:journey", "value": f"{number}-rx"}],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {**_coded(DRUG_24, code, name), "text": name},
        "subject": {"reference": f"Patient/{patient_id}"},
        "encounter": {"reference": f"Encounter/{encounter_id}"},
    }


def _coded(system: str, code: str, display: str = "") -> Json:
    coding = {"system": system, "code": code}
    return {"coding": [{**coding, "display": display} if display else coding]}
