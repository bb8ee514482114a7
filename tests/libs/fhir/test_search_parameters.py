"""Search parameters: compiled from the specification's table, and what they find."""

from datetime import UTC, datetime

import pytest

from libs.fhir.compartments import patient_of
from libs.fhir.definitions import definitions
from libs.fhir.moments import asked, span_of
from libs.fhir.paths import PathError, compile_path
from libs.fhir.references import parse_local
from libs.fhir.search_numbers import INFINITY, Number, Token
from libs.fhir.search_parameters import normalized, parameters_of, principal_date, supported
from libs.fhir.search_values import values_of


def test_every_parameter_of_every_type_is_understood_but_named_queries():
    table = definitions().searches
    unknown = {
        row.name
        for name in definitions().resource_types
        for row in (*table["Resource"], *table["DomainResource"], *table.get(name, ()))
        if row.name not in parameters_of(name)
    }
    assert unknown == {"_query"}


def test_what_is_supported_is_listed_for_a_capability_statement():
    assert {("identifier", "token"), ("deceased", "token"), ("_text", "string")} <= set(supported("Patient"))
    assert ("_lastUpdated", "date") in supported("Patient")
    assert ("near", "special") in supported("Location")
    assert ("code-value-quantity", "composite") in supported("Observation")


def test_what_a_resource_is_found_by():
    values = values_of(
        {
            "resourceType": "Encounter",
            "meta": {"tag": [{"system": "urn:t", "code": "x"}], "profile": ["urn:p"]},
            "status": "finished",
            "class": {"system": "urn:c", "code": "AMB"},
            "subject": {"reference": "Patient/1/_history/2", "identifier": {"system": "urn:n", "value": "9"}},
            "serviceProvider": {"reference": "https://x.example/Organization/1"},
            "period": {"start": "2024-05-02T09:00:00+07:00"},
            "length": {"value": 3, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"},
        },
        "Encounter",
    )
    assert ("status", Token("http://hl7.org/fhir/encounter-status", "finished")) in values.tokens
    assert {("class", Token("urn:c", "AMB")), ("meta.tag", Token("urn:t", "x"))} <= values.tokens
    assert ("meta.profile", "urn:p") in values.uris
    assert values.references == {("subject", "Patient/1"), ("serviceProvider", "https://x.example/Organization/1")}
    assert values.identified == {("subject", Token("urn:n", "9"))}
    ((path, span),) = values.dates
    assert (path, span.low, span.high.year) == ("period", datetime(2024, 5, 2, 2, tzinfo=UTC), 9999)
    assert values.numbers == {Number("length", 3.0, 3.0, "http://unitsofmeasure.org", "d", "days")}


def test_parts_of_one_element_are_found_together():
    codes = [{"system": "http://loinc.org", "code": one} for one in ("8480-6", "8462-4")]
    body = {
        "resourceType": "Observation",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "component": [
            {"code": {"coding": [code]}, "valueQuantity": {"value": value}}
            for code, value in zip(codes, (120, 80), strict=True)
        ],
    }
    found = {(one.about[0].code, one.low) for one in values_of(body, "Observation").numbers}
    assert found == {("8480-6", 120.0), ("8462-4", 80.0)}


def test_what_a_reader_reads_is_found_without_what_they_do_not():
    body = {
        "resourceType": "Condition",
        "id": "secret-id",
        "text": {"status": "generated", "div": "<div>ไข้ <b>สูง</b> &amp; ไอ</div>"},
        "code": {"coding": [{"system": "urn:s", "code": "R50", "display": "Fever"}], "text": "ไข้สูง"},
        "note": [{"text": "three days"}],
        "recordedDate": "2024-05-02",
    }
    values = values_of(body, "Condition")
    assert values.narrative.split() == ["ไข้", "สูง", "&", "ไอ"]
    assert [line.strip() for line in values.content.splitlines()][1:] == ["Fever", "ไข้สูง", "three days"]
    assert ("code", "Fever") in values.token_texts


@pytest.mark.parametrize(
    ("quantity", "low", "high"),
    [
        ({"value": 5.4}, 5.4, 5.4),
        ({"value": 5, "comparator": "<"}, -INFINITY, 5.0),
        ({"value": 5, "comparator": ">="}, 5.0, INFINITY),
    ],
)
def test_a_quantity_is_a_span_of_numbers(quantity, low, high):
    (found,) = values_of({"resourceType": "Observation", "valueQuantity": quantity}, "Observation").numbers
    assert (found.low, found.high) == (low, high)


def test_a_condition_on_a_path_is_held():
    patient = {"telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}]}
    found = values_of(patient, "Patient").tokens
    phone, mail = "telecom[system=phone]", "telecom[system=email]"
    assert {(phone, Token("", "1")), (mail, Token("", "2"))} <= found
    assert (phone, Token("", "2")) not in found


@pytest.mark.parametrize(
    "expression", ["Patient.name.", "Observation.code", "Patient.exists()", "Patient.name ~ 'x'", "Patient.noSuch"]
)
def test_an_expression_beyond_what_is_understood_is_refused(expression):
    with pytest.raises(PathError):
        compile_path(expression, "Patient")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "2023-12-31T17:00", "2024-12-31T17:00"),
        ("2024-02", "2024-01-31T17:00", "2024-02-29T17:00"),
        ("2024-12", "2024-11-30T17:00", "2024-12-31T17:00"),
        ("2024-02-29", "2024-02-28T17:00", "2024-02-29T17:00"),
        ("2024-02-29T10:00:00Z", "2024-02-29T10:00", "2024-02-29T10:00:01"),
        ("2024-02-29T10:00:00.123+07:00", "2024-02-29T03:00:00.123", "2024-02-29T03:00:00.124"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00", "2017-01-01T00:00:01"),
    ],
)
def test_a_date_is_a_span_of_time(text, low, high):
    span = span_of(text)
    assert span is not None
    assert (span.low, span.high) == tuple(datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (low, high))


@pytest.mark.parametrize("text", ["", "2024-13", "2024-02-30", "24", "2024-02-29T10:00:00", "tomorrow", "0000"])
def test_what_is_no_date_has_no_span(text):
    assert span_of(text) is None


def test_a_search_may_leave_out_seconds_and_zone():
    span = asked("2024-02-29T10:00")
    assert span is not None
    assert (span.high - span.low).total_seconds() == 60
    assert asked("2024-02-29T03:00Z") == asked("2024-02-29T10:00+07:00") == asked("2024-02-29T10:00 07:00") == span
    assert asked("2024-02-29T25:00Z") is None
    assert asked("2024-02-29T10:00:00 07:00") == asked("2024-02-29T10:00:00+07:00")


def test_text_is_compared_without_case_and_latin_accents_and_thai_as_it_is():
    assert normalized("  MÜLLER   Ñandú ") == "muller nandu"
    assert normalized("สมศรี  ใจดี") == "สมศรี ใจดี"
    assert normalized("ป่า") != normalized("ปา")


def test_the_date_that_matters_is_known_for_each_type():
    assert [principal_date(one) for one in ("Patient", "Encounter", "Condition", "MedicationRequest", "Organization")] == [
        "birthdate", "date", "recorded-date", "authoredon", "",
    ]  # fmt: skip


def test_whom_a_resource_is_about():
    allergy = {"patient": {"reference": "Patient/1"}, "recorder": {"reference": "Patient/2"}}
    assert patient_of(allergy, "AllergyIntolerance") == ("patient", parse_local("Patient/1"))
    coverage = {"beneficiary": {"reference": "Patient/3"}, "policyHolder": {"reference": "Patient/4"}}
    assert patient_of(coverage, "Coverage") == ("beneficiary", parse_local("Patient/3"))
    assert patient_of({"subject": {"reference": "Group/1"}}, "Observation") is None
    assert patient_of({"name": "x"}, "Organization") is None
