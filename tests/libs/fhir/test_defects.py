"""Thirty-two kinds of defects, each seeded into a resource that is right: what of them validation catches, and where."""

# ruff: noqa: E501 a table is read by its columns

import copy
from typing import Any

import pytest

from libs.fhir.body import BodyError, parse
from libs.fhir.validation import validate

LOINC = "http://loinc.org"
XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
RIGHT: dict[str, Any] = {
    "Observation": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
        "subject": {"reference": "Patient/p"},
        "effectivePeriod": {"start": "2024-03-01", "end": "2024-03-02"},
        "referenceRange": [{"low": {"value": 1}, "high": {"value": 2}}],
        "component": [
            {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {"value": 120, "unit": "mmHg"}},
            {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueInteger": 80},
        ],
    },
    "Patient": {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": XHTML},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
        "managingOrganization": {"reference": "#o"},
        "name": [{"given": ["a", "b"], "_given": [None, {"extension": [{"url": "urn:x", "valueCode": "y"}]}]}],
        "birthDate": "1984-02-29",
        "photo": [{"contentType": "image/png", "data": "QUJD"}],
    },
    "Bundle": {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": "urn:uuid:5f0c3c1e-0000-4000-8000-000000000001", "resource": {"resourceType": "Basic", "code": {"text": "x"}}},
            {"fullUrl": "urn:uuid:5f0c3c1e-0000-4000-8000-000000000002", "resource": {"resourceType": "Basic", "code": {"text": "y"}}},
        ],
    },
    "Questionnaire": {
        "resourceType": "Questionnaire",
        "status": "active",
        "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "string"}]}],
    },
}  # fmt: skip

# Kind of defect, resource, place, what is put there (... removes it), the expression that is named.
DEFECTS: list[tuple[str, str, str, Any, str]] = [
    ("an unknown element", "Observation", "colour", "red", "Observation.colour"),
    ("an unknown element deep inside", "Observation", "component.1.code.coding.0.colour", "red", "Observation.component[1].code.coding[0].colour"),
    ("a required element missing", "Observation", "code", ..., "Observation.code"),
    ("a required element missing in a backbone", "Observation", "component.1.code", ..., "Observation.component[1].code"),
    ("one where many stand", "Observation", "component", {"code": {"text": "x"}}, "Observation.component"),
    ("many where one stands", "Observation", "code", [{"text": "x"}], "Observation.code"),
    ("a string where an object stands", "Observation", "code", "85354-9", "Observation.code"),
    ("a string where a number stands", "Observation", "component.0.valueQuantity.value", "120", "Observation.component[0].value.ofType(Quantity).value"),
    ("a fraction where a whole number stands", "Observation", "component.1.valueInteger", 80.5, "Observation.component[1].value.ofType(integer)"),
    ("a number beyond its type", "Observation", "component.1.valueInteger", 2**31, "Observation.component[1].value.ofType(integer)"),
    ("a boolean for a number", "Observation", "component.1.valueInteger", True, "Observation.component[1].value.ofType(integer)"),
    ("a day that is none", "Patient", "birthDate", "2023-02-29", "Patient.birthDate"),
    ("a date in another notation", "Patient", "birthDate", "29/02/1984", "Patient.birthDate"),
    ("a time without its zone", "Observation", "effectivePeriod.start", "2024-03-01T10:00:00", "Observation.effective.ofType(Period).start"),
    ("two types of a choice", "Observation", "effectiveDateTime", "2024", "Observation.effective"),
    ("a type that a choice has not", "Observation", "component.1.valueMoney", {"value": 1}, "Observation.component[1].valueMoney"),
    ("a code outside a required binding", "Observation", "status", "done", "Observation.status"),
    ("an empty object", "Observation", "component.0.code", {}, "Observation.component[0].code"),
    ("an empty array", "Patient", "name", [], "Patient.name"),
    ("an empty string", "Patient", "name.0.given.0", "", "Patient.name[0].given[0]"),
    ("a null", "Observation", "subject", None, "Observation.subject"),
    ("a null without an extension", "Patient", "name.0.given.0", None, "Patient.name[0].given[0]"),
    ("extensions that do not match their array", "Patient", "name.0._given", [None], "Patient.name[0].given"),
    ("an extension with a value and extensions", "Patient", "extension", [{"url": "urn:x", "valueCode": "y", "extension": [{"url": "z", "valueCode": "y"}]}], "Patient.extension[0]"),
    ("a reference to a type that cannot be meant", "Observation", "subject.reference", "Medication/1", "Observation.subject.reference"),
    ("a reference to nothing contained", "Patient", "managingOrganization.reference", "#other", "Patient.managingOrganization.reference"),
    ("a contained resource that nobody refers to", "Patient", "managingOrganization", ..., "Patient"),
    ("an invariant of a datatype", "Observation", "effectivePeriod.end", "2024-02-01", "Observation.effective.ofType(Period)"),
    ("an invariant of an element", "Observation", "referenceRange.0", {"type": {"text": "x"}}, "Observation.referenceRange[0]"),
    ("an invariant over a whole resource", "Questionnaire", "item.0.item.0.linkId", "1", "Questionnaire"),
    ("an address twice in a bundle", "Bundle", "entry.1.fullUrl", "urn:uuid:5f0c3c1e-0000-4000-8000-000000000001", "Bundle"),
    ("active content in a narrative", "Patient", "text.div", XHTML.replace("x<", "<script>x</script><"), "Patient.text.div"),
]  # fmt: skip


def test_there_are_thirty_two_kinds():
    assert len({kind for kind, *_ in DEFECTS}) == 32


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_found_right(name):
    assert validate(RIGHT[name], name) == []


@pytest.mark.parametrize(("kind", "name", "path", "value", "expression"), DEFECTS, ids=[one[0] for one in DEFECTS])
def test_a_defect_is_caught_where_it_is(kind, name, path, value, expression):
    del kind
    body = copy.deepcopy(RIGHT[name])
    place: Any = body
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    issues = validate(body, name)
    assert expression in [one.expression for one in issues]
    assert all(one.severity == "error" and one.code for one in issues)


@pytest.mark.parametrize(
    "raw", [b'{"resourceType":"Basic"', b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":"\xff"}', b'{"a":"\\ud800"}']
)
def test_what_is_no_json_of_a_resource_is_no_resource(raw):
    with pytest.raises(BodyError):
        parse(raw)
