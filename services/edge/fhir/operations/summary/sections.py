"""The sections of an International Patient Summary, and what belongs into each.

Codes and contents: https://hl7.org/fhir/uv/ips/STU1.1/StructureDefinition-Composition-uv-ips.html.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
ABSENT = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
_UNKNOWN = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
_PAST = frozenset({"inactive", "resolved", "remission"})
_OVER = frozenset({"cancelled", "stopped", "completed", "not-taken", "draft"})
# LOINC codes of the IPS' pregnancy observations: status, expected delivery dates, outcomes.
_PREGNANCY = frozenset(
    {
        *("82810-3", "11778-8", "11779-6", "11780-4", "11636-8", "11637-6", "11638-4", "11639-2", "11640-0"),
        *("11612-9", "11613-7", "11614-5", "33065-4"),
    }
)
# Tobacco and alcohol use.
_SOCIAL = frozenset({"72166-2", "74013-4"})
_LOINC = "http://loinc.org"
_MISTAKE = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the document."""

    code: str
    title: str
    thai: str
    belongs: Callable[[Json], bool]
    # What stands in it when nothing is known; None for a section that is left out then.
    nothing: Callable[[Json], Json] | None = None
    # Of Observations only so many of each code, newest first; 0 means all.
    newest: int = 0

    @property
    def is_required(self) -> bool:
        """True if the section stands in every summary."""
        return self.nothing is not None


def sections() -> tuple[Section, ...]:
    """In the order of the guide."""
    return _SECTIONS


def entries(section: Section, bodies: Sequence[Json]) -> list[Json]:
    """What belongs into a section, newest first as it comes."""
    found = [one for one in bodies if not _is_mistake(one) and section.belongs(one)]
    return list(_newest(found, section.newest)) if section.newest else found


def _newest(bodies: Sequence[Json], count: int) -> Iterator[Json]:
    seen: dict[tuple[str, ...], int] = {}
    for body in bodies:
        key = tuple(sorted(codes(body.get("code")))) or (str((body.get("code") or {}).get("text")),)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= count:
            yield body


def codes(concept: Any) -> set[str]:
    """The codes of a CodeableConcept, whatever their system."""
    codings = concept.get("coding", ()) if isinstance(concept, dict) else ()
    return {one["code"] for one in codings if "code" in one}


def _is_mistake(body: Json) -> bool:
    return body.get("status") == _MISTAKE or _MISTAKE in codes(body.get("verificationStatus"))


def _is(*types: str) -> Callable[[Json], bool]:
    return lambda body: body["resourceType"] in types


def _is_medication(body: Json) -> bool:
    return body["resourceType"] in {"MedicationRequest", "MedicationStatement"} and body.get("status") not in _OVER


def _is_problem(body: Json) -> bool:
    return body["resourceType"] == "Condition" and not codes(body.get("clinicalStatus")) & _PAST


def _is_past_illness(body: Json) -> bool:
    return body["resourceType"] == "Condition" and bool(codes(body.get("clinicalStatus")) & _PAST)


def _categories(body: Json) -> set[str]:
    return {code for one in body.get("category", ()) for code in codes(one)}


def _loinc(body: Json) -> set[str]:
    return {one.get("code", "") for one in body.get("code", {}).get("coding", ()) if one.get("system") == _LOINC}


def _is_vital_sign(body: Json) -> bool:
    return body["resourceType"] == "Observation" and "vital-signs" in _categories(body)


def _is_social(body: Json) -> bool:
    is_observation = body["resourceType"] == "Observation"
    return is_observation and ("social-history" in _categories(body) or bool(_loinc(body) & _SOCIAL))


def _is_pregnancy(body: Json) -> bool:
    return body["resourceType"] == "Observation" and bool(_loinc(body) & _PREGNANCY)


def _is_result(body: Json) -> bool:
    if body["resourceType"] == "DiagnosticReport":
        return True
    is_other = _is_vital_sign(body) or _is_social(body) or _is_pregnancy(body)
    return body["resourceType"] == "Observation" and not is_other


def _absent(code: str, display: str) -> Json:
    return {"coding": [{"system": ABSENT, "code": code, "display": display}], "text": display}


def _no_medications(subject: Json) -> Json:
    return {
        "resourceType": "MedicationStatement",
        "status": "unknown",
        "medicationCodeableConcept": _absent("no-medication-info", "No information about medications"),
        "subject": subject,
        "_effectiveDateTime": {"extension": _UNKNOWN},
    }


def _no_allergies(subject: Json) -> Json:
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": _ALLERGY_CLINICAL, "code": "active"}]},
        "code": _absent("no-allergy-info", "No information about allergies"),
        "patient": subject,
    }


def _no_problems(subject: Json) -> Json:
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": _CONDITION_CLINICAL, "code": "active"}]},
        "code": _absent("no-problem-info", "No information about problems"),
        "subject": subject,
    }


_SECTIONS = (
    Section("10160-0", "Medication summary", "ยาที่ใช้", _is_medication, _no_medications),
    Section("48765-2", "Allergies and intolerances", "การแพ้", _is("AllergyIntolerance"), _no_allergies),
    Section("11450-4", "Problem list", "ปัญหาสุขภาพ", _is_problem, _no_problems),
    Section("11369-6", "Immunizations", "การได้รับวัคซีน", _is("Immunization")),
    Section("47519-4", "History of procedures", "หัตถการ", _is("Procedure")),
    Section("46264-8", "Medical devices", "เครื่องมือแพทย์", _is("DeviceUseStatement")),
    Section("30954-2", "Results", "ผลการตรวจ", _is_result, newest=3),
    Section("8716-3", "Vital signs", "สัญญาณชีพ", _is_vital_sign, newest=3),
    Section("11348-0", "History of past illness", "ประวัติความเจ็บป่วย", _is_past_illness),
    Section("10162-6", "Pregnancy", "การตั้งครรภ์", _is_pregnancy),
    Section("29762-2", "Social history", "ประวัติทางสังคม", _is_social, newest=1),
    Section("47420-5", "Functional status", "ความสามารถในการทำกิจกรรม", _is("ClinicalImpression")),
    Section("18776-5", "Plan of care", "แผนการดูแล", _is("CarePlan")),
    Section("42348-3", "Advance directives", "หนังสือแสดงเจตนา", _is("Consent")),
)
