"""The specification's invariants: all are compiled but those named, and those written out say what the compiled ones say."""

import copy
from typing import Any

import pytest

from libs.fhir.definitions import rules
from libs.fhir.fhirpath import Environment, FhirPathError, compile_boolean
from libs.fhir.invariants import INVARIANTS, UNCHECKED, WRITTEN
from libs.fhir.validation import validate


def test_every_rule_of_the_specification_is_compiled_but_those_that_are_named():
    refused = set()
    keys = {rule.key for some in rules().values() for rule in some if not rule.is_warning}
    for some in rules().values():
        for rule in some:
            try:
                compile_boolean(rule.expression)
            except FhirPathError:
                refused.add(rule.key)
    assert refused == {"ctm-1"}
    assert len(keys) >= 205
    assert set(UNCHECKED) <= keys
    assert keys >= WRITTEN


CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
MISTAKE = {"coding": [{"system": VERIFICATION, "code": "entered-in-error"}]}
CODE = {"coding": [{"system": "urn:s", "code": "1"}]}
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "Extension": [{"url": "u"}, {"url": "u", "valueCode": "a"}, {"url": "u", "extension": [{}], "valueCode": "a"}],
    "Period": [
        {"start": "2024-02", "end": "2024-01"},
        {"start": "2024-01-01", "end": "2024-01-02"},
        {"start": "2024-01-01", "end": "2024-01-01"},
        {"start": "2024-01-01"},
        {"start": "2024", "end": "2024-05"},
    ],
    "Quantity": [{"code": "g"}, {"code": "g", "system": "urn:x"}, {"value": 1}],
    "Observation": [
        {"dataAbsentReason": CODE, "valueString": "x"},
        {"dataAbsentReason": CODE},
        {"code": CODE, "valueString": "x", "component": [{"code": CODE}]},
        {"code": CODE, "component": [{"code": CODE}]},
        {"code": CODE, "valueString": "x", "component": [{"code": {"text": "other"}}]},
    ],
    "Condition": [
        {"verificationStatus": MISTAKE, "clinicalStatus": CODE},
        {"verificationStatus": MISTAKE},
        {"abatementDateTime": "2024", "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]}},
        {"abatementDateTime": "2024", "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "resolved"}]}},
        {"abatementDateTime": "2024"},
    ],
    "AllergyIntolerance": [
        {},
        {"clinicalStatus": CODE},
        {"verificationStatus": {"coding": [{"system": ALLERGY, "code": "entered-in-error"}]}},
        {"verificationStatus": {"coding": [{"system": ALLERGY, "code": "entered-in-error"}]}, "clinicalStatus": CODE},
    ],
    "Patient.contact": [{"gender": "male"}, {"name": {"text": "x"}}],
    "ContactPoint": [{"value": "1"}, {"value": "1", "system": "phone"}, {}],
    "Organization": [{}, {"name": "x"}, {"identifier": [{}]}],
}


@pytest.mark.parametrize("path", SAMPLES)
def test_a_rule_written_out_says_what_the_compiled_one_says(path):
    compiled = [rule for rule in rules()[path] if rule.key in WRITTEN]
    assert compiled
    for sample in SAMPLES[path]:
        expected = {one.key for one in compiled if compile_boolean(one.expression)([sample], _around(sample)) is False}
        found = {broken.description.partition(":")[0] for one in INVARIANTS[path] if (broken := one(sample))}
        # Of the rules in one function the first that is broken is told.
        assert bool(found) == bool(expected), sample
        assert found <= expected


def _around(sample: dict[str, Any]) -> Environment:
    return Environment(sample, sample, context=sample, this=sample)


@pytest.mark.parametrize(
    ("expression", "truth"),
    [
        ("name.exists() and name.given.count() = 3", True),
        ("name.where(use = 'official').given.first() = 'a'", True),
        ("name[1].given[0] = 'c' and name.given.last() = 'c'", True),
        ("name.given.isDistinct() and name.given contains 'b' and 'b' in name.given", True),
        ("name.given.combine(name.given).isDistinct()", False),
        ("deceased is boolean and deceased.ofType(boolean) = false", True),
        ("value is Quantity", None),
        ("birthDate <= @1984-12-31 and birthDate > '1983'", True),
        ("birthDate < '1984'", None),
        ("telecom.empty() implies active", True),
        ("active xor name.empty()", True),
        ("name.all(given.exists())", True),
        ("name.select(given.first()) = ('a' | 'c')", True),
        ("iif(active, 'x', 'y') = 'x' and 'ab'.substring(1) = 'b' and ('a' & 'b') = 'ab'", True),
        ("descendants().where(use = 'official').count() = 1", True),
        ("Patient.active and %resource.active and $this.active", True),
        ("name.given.tail().where($index = 0) = 'b'", True),
        ("(1 + 2) * 2 - 1 = 5 and 7 div 2 = 3 and -1 < 0", True),
        ("nothing = 1", None),
        ("name.given.exists($this.matches('^[a-c]$')) and 'x'.matches('y').not()", True),
        ("gender.exists() and gender.hasValue().not()", True),
    ],
)
def test_what_an_expression_says(expression, truth):
    patient = {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "given": ["a", "b"]}, {"given": ["c"]}],
        "birthDate": "1984-02-29",
        "deceasedBoolean": False,
        "_gender": {"extension": [{"url": "urn:x", "valueCode": "y"}]},
    }
    assert compile_boolean(expression)([patient], _around(patient)) is truth


@pytest.mark.parametrize(
    "expression", ["name.", "name.grow()", "%elsewhere", "(name", "name name", "'open", "a or", ""]
)
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(FhirPathError):
        compile_boolean(expression)


def test_an_element_that_has_extensions_alone_is_there():
    value = {"name": "p", "_valueString": {"extension": [{"url": "urn:x", "valueCode": "y"}]}}
    assert validate({"resourceType": "Parameters", "parameter": [value]}, "Parameters") == []


def test_warnings_are_told_where_they_are_asked_for():
    body = {"resourceType": "Basic", "code": {"text": "x"}}
    before = copy.deepcopy(body)
    (issue,) = validate(body, "Basic", with_warnings=True)
    assert (issue.severity, issue.expression, issue.description[:5]) == ("warning", "Basic", "dom-6")
    assert validate(body, "Basic") == []
    assert body == before
