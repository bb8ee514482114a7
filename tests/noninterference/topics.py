"""What requests are about: types, codes, parameters and the references between types."""

import json

from libs.fhir.search_parameters import SearchParameter, parameters_of
from tests.noninterference import words
from tests.noninterference.world import DIRECTORY, RECORDS

TYPES = ("Patient", *RECORDS, *DIRECTORY)
Pairs = list[tuple[str, str]]
CODES = (
    (words.LOINC, words.TESTS),
    (words.ICD10, words.DIAGNOSES),
    (words.ACT, ("AMB", "IMP")),
    (words.TAGS, ("a", "b")),
    ("", ("final", "finished", "active", "female", "current")),
    (words.CONFIDENTIALITY, ("R",)),
    (words.LICENCE, ("1", "2")),
    (words.HN, ("HN-1", "HN-2")),
)
# What the worlds' bodies are found by; the rest mostly find nothing.
USEFUL = frozenset(
    {
        *(("Observation", name) for name in ("code", "date", "value-quantity", "encounter", "patient", "subject")),
        *(("Observation", name) for name in ("performer", "has-member", "status", "code-value-quantity", "combo-code")),
        *(("Encounter", name) for name in ("class", "status", "date", "patient", "service-provider", "participant")),
        *(("Condition", name) for name in ("code", "recorded-date", "onset-date", "patient", "subject", "encounter")),
        *(("Patient", name) for name in ("name", "family", "gender", "birthdate", "identifier", "_id")),
        *(("List", name) for name in ("item", "patient", "status")),
        *(("Provenance", name) for name in ("target", "recorded", "patient")),
        *(("Practitioner", name) for name in ("name", "identifier")),
        *(("AllergyIntolerance", name) for name in ("code", "patient", "criticality")),
        *(("MedicationRequest", name) for name in ("patient", "medication", "authoredon", "encounter")),
        *(("Location", name) for name in ("near", "name", "organization")),
        *((kind, name) for kind in TYPES for name in ("_tag", "_lastUpdated", "_text", "_content", "_profile")),
    }
)


def targets(parameter: SearchParameter) -> list[str]:
    return [one for one in TYPES if not parameter.targets or one in parameter.targets]


def _links(kind: str) -> tuple[Pairs, Pairs]:
    """The references of a type, with what they may point at, and those that may point at it, with whose they are."""
    known = [(source, one) for source in TYPES for one in parameters_of(source).values() if one.kind == "reference"]
    forth = [(one.name, target) for source, one in known if source == kind for target in targets(one)]
    back = [(source, one.name) for source, one in known if kind in targets(one)]
    return sorted(forth), sorted(back)


LINKS = {kind: _links(kind) for kind in TYPES}
LABELS = json.dumps(
    {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": words.TAGS, "code": "b"}]}}],
    }
)
