"""Writes facts as FHIR R4 transaction bundles: one bundle for a person, with what a facility did for them.

Every entry is a POST. A person and a visit are created only if their number at the facility is not there yet
(ifNoneExist), so a bundle may be sent again; what belongs to a visit refers to it by the entry's urn:uuid.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from libs.f43.codes import name_of
from libs.thai import identifiers, places
from libs.thai.identifiers import Local
from libs.thai.names import PREFIXES
from tools.population.facilities import Facility
from tools.population.facts import Allergy, Registration, Visit

_NAMESPACE: Final = uuid.UUID("5b0f3c0e-8a3c-5d0b-9a51-6c3f5e2b7d10")
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_UCUM: Final = "http://unitsofmeasure.org"
_LOINC: Final = "http://loinc.org"
# LOINC code, name, unit in UCUM of the signs that are taken at each visit.
_SIGNS: Final = (
    ("8310-5", "Body temperature", "Cel"), ("8867-4", "Heart rate", "/min"), ("9279-1", "Respiratory rate", "/min"),
    ("29463-7", "Body weight", "kg"),
)  # fmt: skip

# Characters of an ICD-10 code before its dot.
_CATEGORY: Final = 3

Resource = dict[str, Any]


class Bundles:
    """The bundles of one facility."""

    def __init__(self, facility: Facility, seed: int) -> None:
        """The seed goes into the urn:uuids of the entries, so that two populations never share one."""
        self._facility = facility
        self._seed = seed
        self._visit_numbers = identifiers.local(facility.hcode, Local.VN)
        self._hospital_numbers = identifiers.local(facility.hcode, Local.HN)

    def of_registration(self, registration: Registration, visits: Iterable[Visit]) -> Resource:
        """A transaction bundle: the patient, their allergies, and each of the visits with all that belongs to it."""
        patient_url = self._url("patient", registration.pid)
        subject = {"reference": patient_url}
        number = f"{self._hospital_numbers}|{registration.hn}"
        entries = [_entry(patient_url, self._patient(registration), f"identifier={quote(number, safe='')}")]
        entries.extend(self._allergy(registration, allergy, subject) for allergy in registration.allergies)
        for visit in visits:
            entries.extend(self._visit(visit, subject))
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    def _allergy(self, registration: Registration, allergy: Allergy, subject: Mapping[str, str]) -> Resource:
        return _entry(self._url("allergy", registration.pid, allergy.drug.code), {
            "resourceType": "AllergyIntolerance",
            "clinicalStatus": _concept(f"{_HL7}/allergyintolerance-clinical", "active"),
            "verificationStatus": _concept(f"{_HL7}/allergyintolerance-verification", "confirmed"),
            "type": "allergy", "category": ["medication"],
            "criticality": "high" if allergy.severity != "1" else "low",
            "code": _concept(identifiers.DRUG24, allergy.drug.code, allergy.drug.name), "patient": subject,
            "recordedDate": allergy.recorded_on.isoformat(),
        })  # fmt: skip

    def _patient(self, registration: Registration) -> Resource:
        person, household = registration.person, registration.household
        sub_district = places.require(household.place_code)
        numbers = [{"system": self._hospital_numbers, "value": registration.hn, "type": _identifier_type("MR")}]
        if registration.citizen_id:
            numbers.append({
                "system": identifiers.CITIZEN_ID, "value": registration.citizen_id, "type": _identifier_type("NI"),
            })  # fmt: skip
        if person.passport:
            numbers.append({"system": identifiers.PASSPORT, "value": person.passport, "type": _identifier_type("PPN")})
        prefix = PREFIXES[registration.prefix]
        patient: Resource = {
            "resourceType": "Patient",
            "identifier": numbers,
            "active": True,
            "name": [
                _name("th", registration.given, registration.family, prefix.full),
                _name("en", registration.given_en, registration.family_en, ""),
            ],
            "gender": person.sex,
            "birthDate": registration.born.isoformat(),
            "address": [{
                "use": "home", "line": [f"{household.house_no} หมู่ {int(household.village)}"],
                "city": sub_district.name_th, "district": places.require(household.district).name_th,
                "state": places.require(household.place_code[:2]).name_th, "country": "TH",
                "postalCode": household.postcode,
                "extension": [{
                    "url": f"{identifiers.EXTENSIONS}/ex-address-address-code",
                    "extension": [
                        {"url": part, "valueCoding": _coding(identifiers.LOCATION, household.place_code[:end])}
                        for part, end in (("province", 2), ("district", 4), ("subdistrict", 6))
                    ],
                }],
            }],
            "managingOrganization": self._organization(),
        }  # fmt: skip
        if registration.phone:
            patient["telecom"] = [{"system": "phone", "value": registration.phone, "use": "mobile"}]
        return patient

    def _visit(self, visit: Visit, subject: Mapping[str, str]) -> list[Resource]:
        encounter_url = self._url("encounter", visit.seq)
        at, left = _instant(visit.at), _instant(visit.at + timedelta(hours=1))
        within = {"subject": subject, "encounter": {"reference": encounter_url}}
        number = f"{self._visit_numbers}|{visit.seq}"
        encounter: Resource = {
            "resourceType": "Encounter",
            "identifier": [{"system": self._visit_numbers, "value": visit.seq}],
            "status": "finished",
            "class": {"system": f"{_HL7}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "subject": subject,
            "period": {"start": at, "end": left},
            "reasonCode": [{"text": visit.complaint}],
            "serviceProvider": self._organization(),
        }
        entries = [_entry(encounter_url, encounter, f"identifier={quote(number, safe='')}")]

        def add(kind: str, key: str, resource: Resource) -> None:
            entries.append(_entry(self._url(kind, visit.seq, key), resource))

        for code, _ in visit.diagnoses:
            add("condition", code, {
                "resourceType": "Condition", "clinicalStatus": _concept(f"{_HL7}/condition-clinical", "active"),
                "verificationStatus": _concept(f"{_HL7}/condition-ver-status", "confirmed"),
                "category": [_concept(f"{_HL7}/condition-category", "encounter-diagnosis")],
                "code": _concept(identifiers.ICD10TM, dotted(code)), **within, "recordedDate": at,
            })  # fmt: skip
        values = (visit.temperature, visit.pulse, visit.breaths, visit.weight)
        for (code, name, unit), value in zip(_SIGNS, values, strict=True):
            add(
                "sign",
                code,
                _observation("vital-signs", _concept(_LOINC, code, name), within, at, _amount(value, unit)),
            )
        add("sign", "85354-9", _blood_pressure(visit, within, at))
        for result in visit.results:
            name = name_of("LABFU", "LABTEST", result.test.code) or ""
            measured = _measured(result.value)
            code_of_test = _concept(identifiers.LAB_ICD10TM, result.test.code, name)
            add("result", result.test.code, _observation("laboratory", code_of_test, within, at, measured))
        for drug, amount in visit.drugs:
            add("drug", drug.code, {
                "resourceType": "MedicationRequest", "status": "completed", "intent": "order",
                "medicationCodeableConcept": _concept(identifiers.DRUG24, drug.code, drug.name), **within,
                "authoredOn": at, "dispenseRequest": {"quantity": {"value": amount}},
            })  # fmt: skip
        if visit.procedure:
            add("procedure", visit.procedure, {
                "resourceType": "Procedure", "status": "completed",
                "code": _concept(identifiers.ICD9CM, f"{visit.procedure[:2]}.{visit.procedure[2:]}"), **within,
                "performedDateTime": at,
            })  # fmt: skip
        for code in visit.vaccines:
            add("vaccine", code, {
                "resourceType": "Immunization", "status": "completed",
                "vaccineCode": _concept(identifiers.VACCINE, code, name_of("EPI", "VACCINETYPE", code) or ""),
                "patient": subject, "encounter": {"reference": encounter_url}, "occurrenceDateTime": at,
                "primarySource": True,
            })  # fmt: skip
        return entries

    def _organization(self) -> Resource:
        return {
            "identifier": {"system": identifiers.FACILITY, "value": self._facility.hcode},
            "display": self._facility.name_th,
        }

    def _url(self, *parts: str) -> str:
        return f"urn:uuid:{uuid.uuid5(_NAMESPACE, '/'.join((str(self._seed), self._facility.hcode, *parts)))}"


def dotted(code: str) -> str:
    """The ICD-10 code with its dot: A970 becomes A97.0."""
    return f"{code[:_CATEGORY]}.{code[_CATEGORY:]}" if len(code) > _CATEGORY else code


def _entry(url: str, resource: Resource, if_none_exist: str = "") -> Resource:
    request = {"method": "POST", "url": resource["resourceType"]}
    if if_none_exist:
        request["ifNoneExist"] = if_none_exist
    return {"fullUrl": url, "resource": resource, "request": request}


def _concept(system: str, code: str, display: str = "") -> Resource:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str = "") -> Resource:
    coding = {"system": system, "code": code}
    if display:
        coding["display"] = display
    return coding


def _identifier_type(code: str) -> Resource:
    return _concept(f"{_HL7}/v2-0203", code)


def _name(language: str, given: str, family: str, prefix: str) -> Resource:
    name: Resource = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/language", "valueCode": language}],
        "use": "official", "text": " ".join(part for part in (prefix, given, family) if part), "family": family,
        "given": [given],
    }  # fmt: skip
    if prefix:
        name["prefix"] = [prefix]
    return name


def _observation(category: str, code: Resource, within: Mapping[str, Any], at: str, value: Resource) -> Resource:
    return {
        "resourceType": "Observation", "status": "final", "code": code, **within, "effectiveDateTime": at,
        "category": [_concept(f"{_HL7}/observation-category", category)], **value,
    }  # fmt: skip


def _blood_pressure(visit: Visit, within: Mapping[str, Any], at: str) -> Resource:
    parts = [
        {"code": _concept(_LOINC, code, name), **_amount(value, "mm[Hg]")}
        for code, name, value in (
            ("8480-6", "Systolic blood pressure", visit.systolic),
            ("8462-4", "Diastolic blood pressure", visit.diastolic),
        )
    ]  # fmt: skip
    panel = _concept(_LOINC, "85354-9", "Blood pressure panel")
    return _observation("vital-signs", panel, within, at, {"component": parts})


def _amount(value: float, unit: str) -> Resource:
    return {"valueQuantity": {"value": value, "unit": unit, "system": _UCUM, "code": unit}}


def _measured(text: str) -> Resource:
    """A number as a quantity, anything else as the words of the laboratory."""
    try:
        return {"valueQuantity": {"value": float(text) if "." in text else int(text)}}
    except ValueError:
        return {"valueString": text}


def _instant(moment: datetime) -> str:
    return moment.isoformat()
