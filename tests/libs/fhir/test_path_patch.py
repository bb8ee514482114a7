"""FHIRPath Patch: each operation, the places that paths lead to, and what is refused with its place."""

# ruff: noqa: E501 a table is read by its columns

from typing import Any

import pytest

from libs.fhir.json_patch import PatchError
from libs.fhir.path_patch import apply

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1984-02-29",
    "deceasedBoolean": False,
    "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}, {"system": "c", "value": "3"}],
    "contact": [{"name": {"text": "x"}, "gender": "male"}],
}


def operation(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    found = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        if isinstance(value, dict):
            found.append({"name": name, **value})
        else:
            found.append({"name": name, "valueInteger" if isinstance(value, int) else "valueString": value})
    return {"name": "operation", "part": found}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return apply(PATIENT, {"resourceType": "Parameters", "parameter": list(operations)})


def string(value: str) -> dict[str, Any]:
    return {"valueString": value}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (operation("add", "Patient", name="gender", value={"valueCode": "male"}), {"gender": "male"}),
        (
            operation("add", "Patient", name="contact", value={"part": [{"name": "name", "part": [{"name": "text", "valueString": "y"}]}]}),
            {"contact": [{"name": {"text": "x"}, "gender": "male"}, {"name": {"text": "y"}}]},
        ),
        (
            operation("add", "Patient", name="name", value={"part": [{"name": "given", "valueString": "a"}, {"name": "given", "valueString": "b"}, {"name": "family", "valueString": "c"}]}),
            {"name": [{"given": ["a", "b"], "family": "c"}]},
        ),
        (operation("add", "Patient.contact[0]", name="address", value={"valueAddress": {"city": "z"}}), {"contact": [{"name": {"text": "x"}, "gender": "male", "address": {"city": "z"}}]}),
        (operation("add", "Patient", name="multipleBirth", value={"valueInteger": 2}), {"multipleBirthInteger": 2}),
        (operation("delete", "Patient.birthDate"), {"birthDate": ...}),
        (operation("delete", "Patient.nothing"), {}),
        (operation("delete", "Patient.identifier.where(system = 'b')"), {"identifier": [PATIENT["identifier"][0], PATIENT["identifier"][2]]}),
        (operation("delete", "Patient.contact.first()"), {"contact": ...}),
        (operation("replace", "Patient.birthDate", value={"valueDate": "1985"}), {"birthDate": "1985"}),
        (operation("replace", "Patient.deceased", value={"valueDateTime": "2024"}), {"deceasedBoolean": ..., "deceasedDateTime": "2024"}),
        (operation("replace", "Patient.contact.where(gender = 'male').name.text", value=string("z")), {"contact": [{"name": {"text": "z"}, "gender": "male"}]}),
        (operation("insert", "Patient.identifier", value={"valueIdentifier": {"value": "0"}}, index=0), {"identifier": [{"value": "0"}, *PATIENT["identifier"]]}),
        (operation("move", "Patient.identifier", source=2, destination=0), {"identifier": [PATIENT["identifier"][2], *PATIENT["identifier"][:2]]}),
    ],
)  # fmt: skip
def test_an_operation_changes_a_copy(change, expected):
    whole = {name: value for name, value in {**PATIENT, **expected}.items() if value is not ...}
    before = {**PATIENT}
    assert patched(change) == whole
    assert before == PATIENT


@pytest.mark.parametrize(
    ("change", "place", "is_malformed"),
    [
        ({"name": "change"}, "parameter[0].name", True),
        (operation("grow", "Patient"), "parameter[0].part.where(name='type')", True),
        (operation("add", "Patient", name="gender"), "parameter[0]", True),
        (operation("delete", "Patient."), "parameter[0].part.where(name='path')", True),
        (operation("delete", "Patient.descendants()"), "parameter[0].part.where(name='path')", True),
        (operation("delete", "Patient.identifier.where(value.matches('(a+)+$'))"), "parameter[0].part.where(name='path')", True),
        (operation("delete", "Patient.identifier"), "parameter[0].part.where(name='path')", False),
        (operation("replace", "Patient.gender", value=string("x")), "parameter[0].part.where(name='path')", False),
        (operation("delete", "Patient"), "parameter[0].part.where(name='path')", False),
        (operation("replace", "Patient", value=string("x")), "parameter[0].part.where(name='path')", False),
        (operation("add", "Patient", name="birthDate", value=string("x")), "parameter[0].part.where(name='name')", False),
        (operation("add", "Patient", name="colour", value=string("x")), "parameter[0].part.where(name='name')", False),
        (operation("insert", "Patient.identifier", value=string("x"), index=4), "parameter[0].part.where(name='index')", False),
        (operation("move", "Patient.identifier", source=3, destination=0), "parameter[0].part.where(name='source')", False),
        (operation("move", "Patient.birthDate", source=0, destination=0), "parameter[0].part.where(name='path')", False),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_with_its_place(change, place, is_malformed):
    with pytest.raises(PatchError) as refused:
        patched(change)
    assert (refused.value.issue.expression, refused.value.is_malformed) == (place, is_malformed)


@pytest.mark.parametrize(
    "parameters", [{}, {"resourceType": "Parameters"}, {"resourceType": "Basic", "parameter": [1]}]
)
def test_what_is_no_parameters_is_no_patch(parameters):
    with pytest.raises(PatchError):
        apply(PATIENT, parameters)
