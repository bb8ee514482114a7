"""Validation: what is right passes, and each kind of defect is found where it is."""

import copy
from typing import Any

import pytest

from libs.fhir.definitions import definitions
from libs.fhir.validation import validate

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o-1",
    "meta": {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00.000Z"},
    "status": "final",
    "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
    ],
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": "Hb"},
    "subject": {"reference": "Patient/p-1"},
    "effectiveDateTime": "2024-03-01T08:30:00+07:00",
    "_effectiveDateTime": {"extension": [{"url": "urn:x", "valueString": "about"}]},
    "valueQuantity": {"value": 13.2, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
    "referenceRange": [{"low": {"value": 12}, "high": {"value": 15.5}}],
    "component": [{"code": {"text": "x"}, "valueInteger": 3}],
}

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [
        {
            "family": "Jaidee",
            "given": [None, "S."],
            "_given": [{"extension": [{"url": "urn:x", "valueCode": "y"}]}, None],
        }
    ],
    "birthDate": "1984-02",
    "gender": "female",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "contained": [{"resourceType": "Organization", "id": "org", "name": "x"}],
    "managingOrganization": {"reference": "#org"},
}


def test_what_is_right_has_no_issue():
    assert validate(OBSERVATION, "Observation") == []
    assert validate(PATIENT, "Patient") == []


def changed(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one place changed; None removes it."""
    whole = copy.deepcopy(resource)
    place: Any = whole
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "expression", "code"),
    [
        ("status", ..., "Observation.status", "required"),
        ("status", "done", "Observation.status", "code-invalid"),
        ("status", ["final"], "Observation.status", "value"),
        ("status", None, "Observation.status", "structure"),
        ("code", ..., "Observation.code", "required"),
        ("code", {}, "Observation.code", "structure"),
        ("code", "718-7", "Observation.code", "structure"),
        ("colour", "red", "Observation.colour", "structure"),
        ("code.colour", "red", "Observation.code.colour", "structure"),
        ("category", {"text": "x"}, "Observation.category", "structure"),
        ("category", [], "Observation.category", "structure"),
        ("category.0", None, "Observation.category[0]", "structure"),
        ("valueString", "x", "Observation.value", "structure"),
        ("valueColour", "x", "Observation.valueColour", "structure"),
        ("valueQuantity.value", "13.2", "Observation.value.ofType(Quantity).value", "value"),
        ("valueQuantity.value", True, "Observation.value.ofType(Quantity).value", "value"),
        ("valueQuantity.system", ..., "Observation.value.ofType(Quantity)", "invariant"),
        ("effectiveDateTime", "2024-02-30", "Observation.effective.ofType(dateTime)", "value"),
        ("effectiveDateTime", "2024-03-01T08:30:00", "Observation.effective.ofType(dateTime)", "value"),
        ("effectiveDateTime", "01/03/2024", "Observation.effective.ofType(dateTime)", "value"),
        ("effectiveDateTime", "", "Observation.effective.ofType(dateTime)", "value"),
        ("subject.reference", "Medication/1", "Observation.subject.reference", "value"),
        ("subject.reference", "Patient/../x", "Observation.subject.reference", "value"),
        ("subject.reference", "Patient", "Observation.subject.reference", "value"),
        ("subject.type", "Group", "Observation.subject.type", "invalid"),
        ("subject", {"reference": ""}, "Observation.subject.reference", "value"),
        ("component.0.valueInteger", 3.5, "Observation.component[0].value.ofType(integer)", "value"),
        ("component.0.valueInteger", 2**31, "Observation.component[0].value.ofType(integer)", "value"),
        ("component.0.code", ..., "Observation.component[0].code", "required"),
        ("dataAbsentReason", {"text": "x"}, "Observation.dataAbsentReason", "invariant"),
        ("_effectiveDateTime", {"colour": "red"}, "Observation.effective.ofType(dateTime).colour", "structure"),
        ("_effectiveDateTime.extension.0.url", ..., "Observation.effective.ofType(dateTime).extension[0].url", "required"),
        ("_effectiveDateTime.extension.0.valueString", ..., "Observation.effective.ofType(dateTime).extension[0]", "invariant"),
        ("id", "a b", "Observation.id", "value"),
        ("meta.lastUpdated", "2024", "Observation.meta.lastUpdated", "value"),
        ("code.text", "   ", "Observation.code.text", "value"),
        ("resourceType", "Patient", "Observation.resourceType", "structure"),
    ],
)  # fmt: skip
def test_a_defect_is_found_where_it_is(path, value, expression, code):
    issues = validate(changed(OBSERVATION, path, value), "Observation")
    assert (expression, code) in [(one.expression, one.code) for one in issues]


@pytest.mark.parametrize(
    ("path", "value", "expression", "code"),
    [
        ("name.0._given", [None], "Patient.name[0].given", "structure"),
        ("name.0._given", ..., "Patient.name[0].given[0]", "structure"),
        ("gender", "F", "Patient.gender", "code-invalid"),
        ("birthDate", "1984-02-29T00:00:00Z", "Patient.birthDate", "value"),
        ("text.div", "<div><script>x</script></div>", "Patient.text.div", "value"),
        ("text.div", '<div onclick="x()"></div>', "Patient.text.div", "value"),
        ("contained.0.resourceType", "Thing", "Patient.contained[0].resourceType", "structure"),
        ("contained.0.colour", "x", "Patient.contained[0].colour", "structure"),
        ("contained.0.id", ..., "Patient.contained[0].id", "invariant"),
        ("contact", [{"gender": "male"}], "Patient.contact[0]", "invariant"),
        ("telecom", [{"value": "1"}], "Patient.telecom[0].system", "invariant"),
        ("identifier", [{"period": {"start": "2024-02", "end": "2024-01"}}], "Patient.identifier[0].period", "invariant"),
    ],
)  # fmt: skip
def test_a_defect_of_a_person_is_found_where_it_is(path, value, expression, code):
    issues = validate(changed(PATIENT, path, value), "Patient")
    assert (expression, code) in [(one.expression, one.code) for one in issues]


def test_states_of_conditions_and_allergies_hold_together():
    system = "http://terminology.hl7.org/CodeSystem"
    condition = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/1"},
        "clinicalStatus": {"coding": [{"system": f"{system}/condition-clinical", "code": "active"}]},
    }
    assert validate(condition, "Condition") == []
    assert [one.description[:5] for one in validate({**condition, "abatementDateTime": "2024"}, "Condition")] == [
        "con-4"
    ]
    other = {**condition, "clinicalStatus": {"coding": [{"system": "urn:x", "code": "active"}]}}
    assert [one.code for one in validate(other, "Condition")] == ["code-invalid"]
    allergy = {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}}
    assert [one.description[:5] for one in validate(allergy, "AllergyIntolerance")] == ["ait-1"]


def test_a_recursive_type_is_checked_to_its_depth():
    item: dict[str, Any] = {"linkId": "1", "answer": [{"valueString": 1}]}
    for _ in range(5):
        item = {"linkId": "1", "item": [item]}
    issues = validate(
        {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [item]}, "QuestionnaireResponse"
    )
    assert [one.code for one in issues] == ["value"]
    assert issues[0].expression.count("item[0]") == 6


def test_every_type_compiles_and_refuses_what_it_has_not():
    for name in definitions().resource_types:
        expressions = [one.expression for one in validate({"resourceType": name, "noSuchElement": 1}, name)]
        assert f"{name}.noSuchElement" in expressions


def test_a_type_that_is_none_is_refused():
    assert [one.code for one in validate({"resourceType": "Thing"}, "Thing")] == ["not-supported"]
