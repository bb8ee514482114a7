"""The table of FHIR definitions, rebuilt from published bundles."""

import json
from pathlib import Path

import pytest

from tools import fhir_definitions

BASE = "http://hl7.org/fhir/StructureDefinition/"
SETS = [
    {
        "resourceType": "CodeSystem",
        "url": "urn:s",
        "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b"}]}],
    },
    {"resourceType": "ValueSet", "url": "urn:v/states", "compose": {"include": [{"system": "urn:s"}]}},
    {"resourceType": "ValueSet", "url": "urn:v/open", "compose": {"include": [{"system": "urn:s", "filter": []}]}},
]
THING = {
    "resourceType": "StructureDefinition",
    "id": "Thing",
    "kind": "resource",
    "derivation": "specialization",
    "snapshot": {
        "element": [
            {"path": "Thing"},
            {
                "path": "Thing.id", "min": 0, "max": "1", "base": {"path": "Resource.id"},
                "type": [{"code": "http://hl7.org/fhirpath/System.String"}],
            },
            {
                "path": "Thing.state", "min": 1, "max": "1", "base": {"path": "Thing.state"}, "type": [{"code": "code"}],
                "binding": {"strength": "required", "valueSet": "urn:v/states|4.0.1"},
            },
            {
                "path": "Thing.open", "min": 0, "max": "*", "base": {"path": "Thing.open"}, "type": [{"code": "code"}],
                "binding": {"strength": "required", "valueSet": "urn:v/open"},
            },
            {"path": "Thing.part", "min": 0, "max": "*", "base": {"path": "Thing.part"}, "type": [{"code": "BackboneElement"}]},
            {
                "path": "Thing.part.of", "min": 0, "max": "1", "base": {"path": "Thing.part.of"},
                "type": [{"code": "Reference", "targetProfile": [BASE + "Patient"]}],
            },
            {"path": "Thing.part.again", "min": 0, "max": "1", "base": {"path": "x"}, "contentReference": "#Thing.part"},
            {
                "path": "Thing.value[x]", "min": 0, "max": "1", "base": {"path": "x"},
                "type": [{"code": "string"}, {"code": "Age"}],
            },
        ]
    },
}  # fmt: skip
SEARCHES = [
    {
        "url": "urn:p/of",
        "code": "of",
        "type": "reference",
        "base": ["Thing", "Other"],
        "expression": "Other.x | Thing.part.of",
        "target": ["Patient"],
    }
]  # fmt: skip


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the tool makes of a folder of bundles."""
    files = {
        "valuesets.json": SETS, "v3-codesystems.json": [], "v2-tables.json": [], "profiles-types.json": [],
        "profiles-resources.json": [THING, {**THING, "id": "vital", "derivation": "constraint"}],
        "search-parameters.json": SEARCHES,
    }  # fmt: skip
    for name, resources in files.items():
        bundle = {"entry": [{"resource": one} for one in resources]}
        (tmp_path / name).write_text(json.dumps(bundle), encoding="utf-8")
    compartment = {"resource": [{"code": "Thing", "param": ["of"]}, {"code": "Other"}]}
    (tmp_path / "compartmentdefinition-patient.json").write_text(json.dumps(compartment), encoding="utf-8")
    monkeypatch.setattr(fhir_definitions, "OUTPUT", tmp_path / "r4.json")
    fhir_definitions.main(tmp_path)
    return json.loads((tmp_path / "r4.json").read_text(encoding="utf-8"))


def test_elements_are_rows_of_facts(table):
    assert table["resources"] == ["Thing"]
    assert table["structures"] == {
        "Thing": [
            ["id", 0, False, ["id"]],
            ["state", 1, False, ["code"], "states"],
            ["open", 0, True, ["code"]],
            ["part", 0, True, ["@Thing.part"]],
            ["value[x]", 0, False, ["string", "Age"]],
        ],
        "Thing.part": [["of", 0, False, ["Reference"], "", ["Patient"]], ["again", 0, False, ["@Thing.part"]]],
    }


def test_required_codes_are_listed_where_they_can_be(table):
    assert table["codes"] == {"states": {"urn:s": ["a", "b"]}}


def test_a_search_keeps_the_terms_of_its_own_type(table):
    assert table["searches"]["Thing"] == [["of", "reference", "Thing.part.of", ["Patient"]]]
    assert table["searches"]["Other"] == [["of", "reference", "Other.x", ["Patient"]]]
    assert table["patient_compartment"] == {"Thing": ["of"]}
