"""Bundles from outside: what is registered, and how each entry is found again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exchange.mapping.bundle import SOURCE_ENTRY, BundleError, entries_of, filed, parse, registration_of
from tests.services.exchange.files import HCODE

HN = f"https://terms.sil-th.org/hcode/5/{HCODE}/HN"
CID = "https://terms.sil-th.org/id/th-cid"


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def an_entry(resource: dict[str, Any], url: str = "urn:uuid:1", **request: str) -> dict[str, Any]:
    asked = {"method": "POST", "url": resource["resourceType"], **request}
    return {"fullUrl": url, "resource": resource, "request": asked}


def a_patient(*identifiers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": list(identifiers), **more}


OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "BP"}}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "JSON_INVALID"),
        (b"{", "JSON_INVALID"),
        (b"\xff\xfe", "JSON_INVALID"),
        (b"[]", "BUNDLE_EXPECTED"),
        (b'{"resourceType": "Patient"}', "BUNDLE_EXPECTED"),
        (b'{"resourceType": "Bundle", "type": "searchset"}', "BUNDLE_TYPE"),
        (b'{"resourceType": "Bundle", "type": "batch", "entry": 5}', "BUNDLE_TOO_LARGE"),
        (json.dumps(bundle(*[{}] * 5001)).encode(), "BUNDLE_TOO_LARGE"),
    ],
)
def test_what_is_no_bundle_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(BundleError) as error:
        parse(data)
    assert error.value.reason == reason


@given(st.binary(max_size=60))
def test_no_bytes_bring_the_parser_down(data: bytes) -> None:
    try:
        found = parse(data)
    except BundleError:
        return
    assert found["resourceType"] == "Bundle"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(_JSON | st.fixed_dictionaries({"resource": _JSON, "request": _JSON, "fullUrl": _JSON}), max_size=3))
def test_no_entry_brings_the_mapping_down(entries: list[Any]) -> None:
    try:
        found = entries_of({"entry": entries}, HCODE)
    except BundleError:
        return
    assert len(found) == len(entries)


@given(_JSON, _JSON, _JSON)
def test_no_patient_brings_the_registration_down(identifier: Any, name: Any, address: Any) -> None:
    patient = a_patient({"system": HN, "value": "1"}, {"system": "x", "value": identifier}, name=name, address=address)
    (entry,) = entries_of(bundle(an_entry({**patient, "telecom": name, "extension": address})), HCODE)
    assert registration_of(entry, HCODE).local_number == "1"


def test_an_entry_without_a_way_back_is_stored_unless_it_is_there() -> None:
    (first,) = entries_of(bundle(an_entry(OBSERVATION)), HCODE)
    (again,) = entries_of(bundle(an_entry(OBSERVATION)), HCODE)
    (other,) = entries_of(bundle(an_entry(OBSERVATION, "urn:uuid:2")), HCODE)
    (elsewhere,) = entries_of(bundle(an_entry(OBSERVATION)), "99002")
    assert first == again
    assert len({one.if_none_exist for one in (first, other, elsewhere)}) == 3
    assert first.resource is not None
    assert first.resource["identifier"][0]["system"] == SOURCE_ENTRY
    assert first.resource["identifier"][0]["value"] in first.if_none_exist


def test_without_a_full_url_the_content_says_what_it_is() -> None:
    (first,) = entries_of(bundle({"resource": OBSERVATION}, kind="collection"), HCODE)
    (reordered,) = entries_of(bundle({"resource": dict(reversed(OBSERVATION.items()))}, kind="collection"), HCODE)
    (other,) = entries_of(bundle({"resource": {**OBSERVATION, "status": "amended"}}, kind="collection"), HCODE)
    assert first.if_none_exist == reordered.if_none_exist != other.if_none_exist


def test_what_the_sender_arranged_stays() -> None:
    put = an_entry({**OBSERVATION, "id": "o1"}, method="PUT", url="Observation/o1", ifMatch='W/"3"')
    put["request"]["url"] = "Observation/o1"
    conditional = an_entry(OBSERVATION, ifNoneExist="identifier=x|1")
    first, second = entries_of(bundle(put, conditional), HCODE)
    assert (first.method, first.url, first.if_match) == ("PUT", "Observation/o1", 3)
    assert (second.method, second.if_none_exist) == ("POST", "identifier=x|1")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("text", "ENTRY_INVALID"),
        ({"request": {"method": "POST", "url": "Observation"}}, "RESOURCE_MISSING"),
        ({"resource": {"resourceType": "no type"}, "request": {"method": "POST"}}, "RESOURCE_MISSING"),
        ({"resource": OBSERVATION, "request": {"method": "PATCH"}}, "METHOD_UNSUPPORTED"),
        ({"resource": {"resourceType": "Provenance"}, "request": {"method": "POST"}}, "IDENTIFIER_IMPOSSIBLE"),
    ],
)
def test_an_entry_that_cannot_be_taken_is_named(entry: Any, reason: str) -> None:
    with pytest.raises(BundleError) as error:
        entries_of(bundle(an_entry(OBSERVATION), entry), HCODE)
    assert (error.value.entry, error.value.reason) == (1, reason)
    assert "Bundle.entry[1]" in error.value.expression


@pytest.mark.parametrize(
    ("identifiers", "number", "others"),
    [
        ([{"system": HN, "value": "660001"}, {"system": CID, "value": "9"}], "660001", [(CID, "9")]),
        ([{"system": "https://www.dopa.go.th", "value": "9"}], "9", [(CID, "9")]),
        ([{"value": "77", "type": {"coding": [{"code": "MR"}]}}], "77", []),
        ([{"system": HN.replace(HCODE, "99002"), "value": "5"}, {"system": HN, "value": "6"}], "6",
         [(HN.replace(HCODE, "99002"), "5")]),
    ],
)  # fmt: skip
def test_a_patient_is_registered_under_the_organisations_own_number(
    identifiers: list[dict[str, Any]], number: str, others: list[tuple[str, str]]
) -> None:
    (entry,) = entries_of(bundle(an_entry(a_patient(*identifiers))), HCODE)
    found = registration_of(entry, HCODE)
    assert found.local_number == number
    assert [(one.system, one.value) for one in found.identifiers] == others


def test_a_patients_demographics_reach_the_index() -> None:
    code = "https://fhir-ig.sil-th.org/th/extensions/StructureDefinition/ex-address-address-code"
    parts = [{"url": "subdistrict", "valueCoding": {"code": "500101"}}]
    patient = a_patient(
        {"system": HN, "value": "1"},
        name=[{"given": ["สมหญิง"], "family": "ใจดี", "prefix": ["นาง"]}],
        gender="female",
        birthDate="1975-05",
        telecom=[{"system": "phone", "value": "0812345678"}],
        address=[{"line": ["1"], "postalCode": "50200", "extension": [{"url": code, "extension": parts}]}],
    )
    (entry,) = entries_of(bundle(an_entry(patient)), HCODE)
    found = registration_of(entry, HCODE)
    assert (found.birth_date, found.phone, found.names[0].language) == ("1975-05", "0812345678", "th")
    assert (found.address.place_code, found.address.postal_code) == ("500101", "50200")
    stored = filed(entry, "registration-1")
    assert (stored.id, stored.resource and stored.resource["id"]) == ("registration-1", "registration-1")
