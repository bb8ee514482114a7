"""Pure decisions: sensitivity, placement, bundles, queries."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.access.caller import Caller, CallerKind
from libs.errors import InvalidArgumentError
from libs.fhir.references import LocalReference
from services.records.model import Intent, Looked, Operation, Outcome, Sensitivity, Target
from services.records.rules.bundles import FullUrls
from services.records.rules.deciding import decide, wanted_targets
from services.records.rules.filing import content_hash, finished
from services.records.rules.index_entries import STRING, entries_of, text_token
from services.records.rules.queries import parse_query
from services.records.rules.sensitivity import is_sensitive_code, sensitivity_of
from tests.services.records.stage import A, B, a_condition, a_patient, an_encounter, an_observation

CALLER = Caller(CallerKind.CLIENT, "client/1", A)
NOTHING = Looked({}, {}, {})


@pytest.mark.parametrize(
    ("code", "is_sensitive"),
    [
        ("B20", True), ("B24.9", True), ("Z21", True), ("F10.2", True), ("F329", True), ("F99", True), ("O04.4", True),
        ("T74.1", True), ("B19.9", False), ("B25", False), ("F09", False), ("O03", False), ("A97.1", False), ("", False),
    ],
)  # fmt: skip
def test_which_diagnoses_are_sensitive(code, is_sensitive):
    assert is_sensitive_code(code) is is_sensitive
    assert (sensitivity_of(a_condition("r", code or "x")) is Sensitivity.SENSITIVE) is is_sensitive


def test_a_code_of_another_system_that_looks_alike_is_not_sensitive():
    body = an_observation("r", code="B20")
    assert sensitivity_of(body) is Sensitivity.GENERAL


def test_a_sensitive_reason_makes_the_visit_sensitive():
    visit = {**an_encounter("r"), "reasonCode": a_condition("r", "F32")["code"] and [a_condition("r", "F32")["code"]]}
    assert sensitivity_of(visit) is Sensitivity.SENSITIVE


def creating(body, resource_id="new", **more):
    return Intent(
        Operation.CREATE, body["resourceType"], resource_id, {**body, "id": resource_id}, is_new_id=True, **more
    )


def decided(*intents, looked=NOTHING):
    return decide(intents, wanted_targets(intents), looked, CALLER)


def test_what_refers_to_a_persons_record_is_filed_with_that_person():
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": "Observation/o-1"}],
        "recorded": "2024-01-01T00:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    }
    stored = Looked(
        {}, {LocalReference("Observation", "o-1"): Target("reg-1", is_personal=True, organization_id=A)}, {}
    )
    (decision,) = decided(creating(provenance), looked=stored)
    assert (decision.filed_under, decision.is_personal) == ("reg-1", True)
    foreign = Looked(
        {}, {LocalReference("Observation", "o-1"): Target("reg-1", is_personal=True, organization_id=B)}, {}
    )
    (other,) = decided(creating(provenance), looked=foreign)
    assert other.error is not None
    assert other.error.reason == "ORGANIZATION_FOREIGN"


def test_what_is_about_nobody_is_filed_by_itself():
    (decision,) = decided(creating({"resourceType": "Medication"}, "m-1"))
    assert (decision.filed_under, decision.is_personal) == ("Medication/m-1", False)


def test_a_rejection_takes_down_what_rests_on_it_and_nothing_else():
    looked = Looked({}, {LocalReference("Patient", "reg-1"): Target("reg-1", is_personal=True, organization_id=A)}, {})
    visit = creating(an_encounter("nobody"), "e-1")
    finding = creating({**an_observation("reg-1"), "encounter": {"reference": "Encounter/e-1"}}, "o-1")
    derived = creating({**an_observation("reg-1"), "derivedFrom": [{"reference": "Observation/o-1"}]}, "o-2")
    free = creating(an_observation("reg-1"), "o-3")
    outcomes = [one.outcome for one in decided(derived, finding, visit, free, looked=looked)]
    assert outcomes == [Outcome.REJECTED, Outcome.REJECTED, Outcome.REJECTED, Outcome.CREATED]


def test_the_content_is_what_was_said_and_not_what_the_server_added():
    body = an_observation("r")
    first = finished(body, "o-1", 1, datetime(2024, 1, 1, tzinfo=UTC), A)
    assert content_hash(orjson.loads(first), A) == content_hash(body, A)
    second = finished(orjson.loads(first), "o-1", 2, datetime(2025, 1, 1, tzinfo=UTC), A)
    assert orjson.loads(second)["meta"]["versionId"] == "2"
    assert content_hash({**body, "status": "amended"}, A) != content_hash(body, A)
    assert content_hash({**body, "meta": {"tag": [{"code": "x"}]}}, A) != content_hash(body, A)


def test_references_to_entries_become_references_to_ids():
    urls = FullUrls()
    urls.add(0, "urn:uuid:a", "Patient/1")
    urls.add(1, "https://x.example/fhir/Encounter/9", "Encounter/2")
    body = {
        "subject": {"reference": "urn:uuid:a"},
        "encounter": {"reference": "Encounter/9"},
        "performer": [
            {"reference": "#in"},
            {"reference": "Practitioner/3"},
            {"reference": "https://x.example/fhir/Encounter/9"},
        ],
    }
    urls.rewritten(2, body, "https://x.example/fhir/Observation/8", {})
    assert body == {
        "subject": {"reference": "Patient/1"},
        "encounter": {"reference": "Encounter/2"},
        "performer": [{"reference": "#in"}, {"reference": "Practitioner/3"}, {"reference": "Encounter/2"}],
    }
    with pytest.raises(InvalidArgumentError) as taken:
        urls.add(3, "urn:uuid:a", "Patient/2")
    assert taken.value.fields[0].field == "Bundle.entry[3].fullUrl"


def refused(name, value):
    """The error of a query with one parameter; None if it is understood."""
    try:
        parse_query("Observation", [(name, value)])
    except InvalidArgumentError as error:
        return error
    return None


@given(st.text(max_size=30), st.text(max_size=60))
def test_a_query_is_understood_or_refused_and_never_breaks(name, value):
    error = refused(name, value)
    assert error is None or error.reason == "SEARCH_INVALID"


@given(
    st.sampled_from(["code", "date", "subject", "_id", "_sort", "_include", "identifier", "_lastUpdated"]),
    st.text(max_size=40),
)
def test_any_value_of_a_known_parameter_is_understood_or_refused(name, value):
    error = refused(name, value)
    assert error is None or error.fields[0].field == name


def test_names_and_dates_of_a_person_are_in_the_index():
    entries = entries_of(a_patient("reg-1"), "Patient")
    assert {"jaidee", "สมศรี", "นาง"} <= {text for _, text in entries.texts}
    assert text_token("Patient", "name.family", STRING, "jaidee") in entries.tokens
    assert entries.occurred_from.year == 1984
    assert len(set(entries.tokens)) == len(entries.tokens)
