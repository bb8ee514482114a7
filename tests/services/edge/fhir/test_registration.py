"""FHIR Patient to registration and back, as pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nhip.types.v1 import types_pb2

from libs.errors import InvalidArgumentError
from services.edge.fhir.patient import (
    ADDRESS_CODE,
    LANGUAGE,
    PATIENT_NATIONALITY,
    STRUCTURED_LINE,
    to_patient,
    to_registration,
)
from tests.services.edge.fhir.stored import CID, CITIZEN, HN, a_patient

NINE = "https://terms.sil-th.org/hcode/9/AA0010661/HN"
FOREIGN = "https://terms.sil-th.org/hcode/5/10662/HN"
PASSPORT = "http://hl7.org/fhir/sid/passport-THA"


def _typed(code, value="7", system=""):
    return {"type": {"coding": [{"code": code}]}, "value": value, **({"system": system} if system else {})}


@pytest.mark.parametrize(
    ("identifiers", "number", "systems"),
    [
        ([{"system": HN, "value": "7"}], "7", []),
        ([{"system": NINE, "value": "7"}], "7", []),
        ([_typed("localHn")], "7", []),
        ([_typed("MR", system="urn:oid:1.2.3")], "7", []),
        ([{"system": CID, "value": CITIZEN}, {"system": HN, "value": " 7 "}], "7", [CID]),
        ([{"system": "https://www.dopa.go.th", "value": CITIZEN}], CITIZEN, [CID]),
        ([_typed("cid", CITIZEN)], CITIZEN, [CID]),
        ([{"system": PASSPORT, "value": "A1"}, {"system": CID, "value": CITIZEN}], CITIZEN, [PASSPORT, CID]),
        ([{"system": PASSPORT, "value": "A1"}], "A1", [PASSPORT]),
        ([{"system": FOREIGN, "value": "8"}, {"system": PASSPORT, "value": "A1"}], "A1", [FOREIGN, PASSPORT]),
        ([_typed("MR", "8", FOREIGN), _typed("MR", "7", HN)], "7", [FOREIGN]),
    ],
)
def test_the_organisations_own_number_is_found(identifiers, number, systems):
    found = to_registration(a_patient(identifier=identifiers), "10661")
    assert found.local_number == number
    assert [one.system for one in found.identifiers] == systems


@pytest.mark.parametrize("identifiers", [None, [], "x", [7], [{"system": CID}], [{"system": FOREIGN, "value": "8"}]])
def test_another_hospitals_number_or_none_is_not_enough(identifiers):
    with pytest.raises(InvalidArgumentError) as refused:
        to_registration(a_patient(identifier=identifiers), "10661", "Bundle.entry[2].resource")
    assert refused.value.reason == "LOCAL_NUMBER_MISSING"
    assert refused.value.fields[0].field == "Bundle.entry[2].resource.identifier"


def test_names_come_in_both_scripts_the_official_one_first():
    names = [
        {"given": ["Somchai"], "family": "Jaidee"},
        {"use": "official", "extension": [{"url": LANGUAGE, "valueCode": "th"}], "text": "นายสมชาย ใจดี"},
        {"use": "old"},
    ]
    found = to_registration(a_patient(name=names), "10661").names
    assert [(name.language, name.given, name.family) for name in found] == [
        ("th", "สมชาย", "ใจดี"),
        ("en", "Somchai", "Jaidee"),
    ]
    assert found[0].prefix == "นาย"


def test_a_thai_address_becomes_a_place():
    address = {
        "line": ["12/3", "ถนนสุขุมวิท"],
        "postalCode": "10110",
        "extension": [
            {
                "url": ADDRESS_CODE,
                "extension": [
                    {"url": "province", "valueCodeableConcept": {"coding": [{"code": "10"}]}},
                    {"url": "district", "valueCoding": {"code": "1001"}},
                    {"url": "subdistrict", "valueString": "100101"},
                ],
            },
            {"url": STRUCTURED_LINE, "extension": [{"url": "villageNo", "valueString": "5"}]},
        ],
    }
    found = to_registration(a_patient(address=[address]), "10661").address
    assert found == types_pb2.Address(line="12/3 ถนนสุขุมวิท", village="05", place_code="100101", postal_code="10110")


def test_nationality_and_death_are_told():
    extension = [
        {
            "url": PATIENT_NATIONALITY,
            "extension": [{"url": "code", "valueCodeableConcept": {"coding": [{"code": "099"}]}}],
        }
    ]
    found = to_registration(a_patient(extension=extension, deceasedDateTime="2026-01-31T10:00:00+07:00"), "10661")
    assert (found.nationality, found.death_date) == ("099", "2026-01-31")


def test_what_the_index_knows_becomes_a_patient_that_registers_the_same():
    first = to_registration(a_patient(), "10661")
    again = to_registration(to_patient(first), "10661")
    assert again == first


_words = st.sampled_from(["HN", HN, CID, "1000", "http://[", "male"])
_keys = st.sampled_from(
    ["system", "value", "type", "coding", "code", "extension", "url", "given", "text", "line", "valueCoding"]
)
_parts = st.sampled_from(
    ["identifier", "name", "address", "telecom", "extension", "gender", "birthDate", "deceasedDateTime"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_parts, _json))
def test_whatever_a_patient_holds_it_is_mapped_or_refused_by_name(document):
    try:
        found = to_registration({"resourceType": "Patient", **document}, "10661")
    except InvalidArgumentError as error:
        refused = error.reason
    else:
        refused = "" if found.local_number else "mapped without a number"
    assert refused in {"", "LOCAL_NUMBER_MISSING"}
