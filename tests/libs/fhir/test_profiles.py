"""The Thai core profiles: what they ask of identifiers, names and addresses, in both families of systems."""

# ruff: noqa: E501 a table is read by its columns

from typing import Any

import pytest

from libs.fhir.profiles import ADDRESS_CODE, LANGUAGE, ROOT, claimed_issues, profile_issues

PATIENT = f"{ROOT}/th-core-patient"
CID, PHR_CID = "https://terms.sil-th.org/id/th-cid", "https://www.dopa.go.th"
TYPE = "https://terms.sil-th.org/core/CodeSystem/cs-th-identifier-type"
# A synthetic one, with a sound last digit.
CITIZEN = "9100000000011"


def place(**codes: str) -> dict[str, Any]:
    return {
        "url": ADDRESS_CODE,
        "extension": [{"url": name, "valueCoding": {"code": code}} for name, code in codes.items()],
    }


def typed(code: str, **more: Any) -> dict[str, Any]:
    return {"type": {"coding": [{"system": TYPE, "code": code}]}, **more}


@pytest.mark.parametrize(
    "patient",
    [
        {},
        {"identifier": [{"system": CID, "value": CITIZEN}, {"system": "urn:other", "value": "x"}]},
        {"identifier": [typed("cid", system=PHR_CID, value=CITIZEN)]},
        {"identifier": [typed("PPN", system="http://hl7.org/fhir/sid/passport-THA", value="AA1")]},
        {"identifier": [typed("localHn", system="https://terms.sil-th.org/hcode/5/10661/HN", value="1")] * 2},
        {"name": [{"text": "x", "extension": [{"url": LANGUAGE, "valueCode": "th"}]}, {"text": "y"}]},
        {"address": [{"extension": [place(province="10", district="01", subdistrict="01")]}]},
        {"address": [{"extension": [place(province="10", district="1001", subdistrict="100101")]}]},
    ],
)
def test_what_the_profile_allows(patient):
    assert profile_issues({"resourceType": "Patient", **patient}, f"{PATIENT}|0.1.0") == []


@pytest.mark.parametrize(
    ("patient", "expression"),
    [
        ({"identifier": [{"system": CID, "value": "9100000000012"}]}, "Patient.identifier[0].value"),
        ({"identifier": [{"system": PHR_CID, "value": "1"}]}, "Patient.identifier[0].value"),
        ({"identifier": [{"system": CID}]}, "Patient.identifier[0].value"),
        ({"identifier": [typed("cid", value=CITIZEN)]}, "Patient.identifier[0].system"),
        ({"identifier": [typed("cid", system="urn:x", value=CITIZEN)]}, "Patient.identifier[0].system"),
        ({"identifier": [{"system": CID, "value": CITIZEN}, {"system": PHR_CID, "value": CITIZEN}]}, "Patient.identifier[1]"),
        ({"identifier": [typed("PPN", system="urn:x", value="A")]}, "Patient.identifier[0].system"),
        ({"identifier": [typed("localHn", system="https://terms.sil-th.org/hcode/5/10661/AN", value="1")]}, "Patient.identifier[0].system"),
        ({"name": [{"extension": [{"url": LANGUAGE, "valueCode": "th"}] * 2}]}, "Patient.name[0].extension"),
        ({"address": [{"extension": [place(province="10", district="99")]}]}, "Patient.address[0].extension"),
        ({"address": [{"extension": [place(province="10")] * 2}]}, "Patient.address[0].extension"),
    ],
)  # fmt: skip
def test_what_it_does_not_allow_is_told_where_it_is(patient, expression):
    assert [one.expression for one in profile_issues({"resourceType": "Patient", **patient}, PATIENT)] == [expression]


def test_a_profile_is_known_and_of_the_type():
    body = {"resourceType": "Patient", "meta": {"profile": ["urn:x", f"{ROOT}/th-core-organization"]}}
    assert [one.code for one in profile_issues(body, "urn:x")] == ["not-supported"]
    assert [one.code for one in claimed_issues(body)] == ["invalid"]
    assert claimed_issues({"resourceType": "Patient"}) == []
