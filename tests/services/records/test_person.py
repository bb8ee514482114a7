"""What is on record about one person: over all registrations, within what the caller may see, in few statements."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.records.v1 import person_pb2, person_pb2_grpc, service_pb2

from libs.access.caller import Caller, CallerKind, Scopes
from libs.database.statements import counted_statements
from services.records.api.ground import Means
from services.records.api.person import PersonRecordsApi
from services.records.model import Operation, Sensitivity, Stored
from services.records.rules.lasting import newest_of_each_code
from services.records.rules.referring import references_of, supporting
from tests.services.records.stage import (
    DENY,
    A,
    B,
    Refused,
    Stage,
    a_condition,
    an_allergy,
    an_encounter,
    an_observation,
    refusal,
    treating,
)


async def ask(stage: Stage, method: str, request, token=None):
    stub = stage.running.stub(person_pb2_grpc.PersonRecordsServiceStub)
    try:
        return await getattr(stub, method)(request, metadata=token or stage.token(), timeout=20)
    except grpc.aio.AioRpcError as error:
        raise refusal(error) from None


async def everything(stage: Stage, registration: str, token=None, **more):
    request = person_pb2.ListEverythingRequest(registration_id=registration, **more)
    return await ask(stage, "ListEverything", request, token)


def keys(resources) -> list[str]:
    return [f"{one.type}/{one.id}" for one in resources]


def types(resources) -> list[str]:
    return [one.type for one in resources]


async def two_hospitals(stage: Stage) -> None:
    await stage.arrive("reg-a", A, person="p-1", key="k-1")
    await stage.arrive("reg-b", B, person="p-1", key="k-1")
    await stage.create(an_observation("reg-a"), A)
    await stage.create(an_encounter("reg-b"), B)


async def test_all_registrations_of_the_person_answer_alike_each_fact_with_its_source(stage: Stage):
    await two_hospitals(stage)
    for registration in ("reg-a", "reg-b"):
        found = await everything(stage, registration, treating(stage, A))
        assert types(found.resources) == ["Patient", "Patient", "Encounter", "Observation"]
        sources = {json.loads(one.body)["meta"]["source"].rpartition("/")[2] for one in found.resources}
        assert {one.organization_id for one in found.resources} == {A, B}
        assert len(sources) == 2


async def test_a_merge_and_an_unmerge_change_the_answer_and_move_no_record(stage: Stage):
    await stage.arrive("reg-a", A, person="p-1")
    await stage.arrive("reg-b", B, person="p-2")
    await stage.create(an_observation("reg-a"), A)
    held = await stage.create(an_encounter("reg-b"), B)
    token = treating(stage, A)
    assert len((await everything(stage, "reg-a", token)).resources) == 2
    before = await stage.read(f"Encounter/{held.id}", token)
    await stage.register("reg-b", B, person="p-1")
    assert types((await everything(stage, "reg-a", token)).resources) == [
        "Patient",
        "Patient",
        "Encounter",
        "Observation",
    ]
    assert await stage.found("Encounter?patient=reg-a", token) == [f"Encounter/{held.id}"]
    gathered = await ask(stage, "GatherSummary", person_pb2.GatherSummaryRequest(registration_id="reg-a"), token)
    assert sorted(types(gathered.resources)) == ["Encounter", "Observation", "Patient"]
    last = person_pb2.ListLastObservationsRequest(type="Observation", parameters=search(patient="reg-b"))
    assert len((await ask(stage, "ListLastObservations", last, token)).observations) == 1
    assert await stage.read(f"Encounter/{held.id}", token) == before
    await stage.register("reg-b", B, person="p-2")
    assert types((await everything(stage, "reg-a", token)).resources) == ["Patient", "Observation"]
    assert types((await everything(stage, "reg-b", token)).resources) == ["Patient", "Encounter"]
    assert not (await ask(stage, "ListLastObservations", last, token)).observations
    gathered = await ask(stage, "GatherSummary", person_pb2.GatherSummaryRequest(registration_id="reg-a"), token)
    assert types(gathered.resources) == ["Observation"]
    assert await stage.read(f"Encounter/{held.id}", token) == before


async def test_what_the_records_refer_to_comes_along(stage: Stage):
    await stage.arrive("reg-a", A)
    organization = await stage.create({"resourceType": "Organization", "name": "โรงพยาบาล"})
    practitioner = await stage.create({"resourceType": "Practitioner", "name": [{"text": "พญ. ใจดี"}]})
    role = await stage.create(
        {
            "resourceType": "PractitionerRole",
            "practitioner": {"reference": f"Practitioner/{practitioner.id}"},
            "organization": {"reference": f"Organization/{organization.id}"},
        }
    )
    await stage.create({**an_observation("reg-a"), "performer": [{"reference": f"PractitionerRole/{role.id}"}]})
    found = await everything(stage, "reg-a")
    assert sorted(types(found.referred)) == ["Organization", "Practitioner", "PractitionerRole"]
    narrowed = await everything(stage, "reg-a", types=["Observation", "PractitionerRole"])
    assert types(narrowed.resources) == ["Observation"]
    assert types(narrowed.referred) == ["PractitionerRole"]


async def test_pages_tell_each_resource_once_the_patient_first(stage: Stage):
    await stage.arrive("reg-a", A)
    for day in range(1, 8):
        await stage.create(an_observation("reg-a", on=f"2024-05-0{day}"))
    seen, token, pages = [], "", 0
    while True:
        page = await everything(stage, "reg-a", page_size=3, page_token=token)
        seen += keys(page.resources)
        pages += 1
        token = page.next_page_token
        if not token:
            break
    assert pages == 3
    assert len(seen) == len(set(seen)) == 8
    assert seen[0] == "Patient/reg-a"
    assert seen == keys((await everything(stage, "reg-a")).resources)
    with pytest.raises(Refused) as refused:
        first = await everything(stage, "reg-a", page_size=3)
        await everything(stage, "reg-a", page_size=3, page_token=first.next_page_token, types=["Observation"])
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_page_ends_where_a_message_would_grow_too_large(stage: Stage, monkeypatch):
    monkeypatch.setattr("services.records.api.person.MAX_PAGE_BYTES", 1000)
    await stage.arrive("reg-a", A)
    for day in range(1, 6):
        await stage.create(an_observation("reg-a", on=f"2024-05-0{day}"))
    seen, token = [], ""
    while True:
        page = await everything(stage, "reg-a", page_token=token)
        assert 1 <= len(page.resources) < 6
        seen += keys(page.resources)
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 6


async def test_dates_bound_what_happened_and_since_what_was_recorded(stage: Stage):
    await stage.arrive("reg-a", A)
    old = await stage.create(an_observation("reg-a", on="2020-01-01"))
    new = await stage.create(an_observation("reg-a", on="2024-05-01"))
    bounds = {"starts_at": Timestamp(), "ends_at": Timestamp()}
    bounds["starts_at"].FromDatetime(datetime(2024, 1, 1, tzinfo=UTC))
    bounds["ends_at"].FromDatetime(datetime(2025, 1, 1, tzinfo=UTC))
    assert keys((await everything(stage, "reg-a", **bounds)).resources) == ["Patient/reg-a", f"Observation/{new.id}"]
    before = {"ends_at": bounds["starts_at"]}
    assert keys((await everything(stage, "reg-a", **before)).resources) == ["Patient/reg-a", f"Observation/{old.id}"]
    since = Timestamp()
    since.FromDatetime(datetime(2024, 6, 2, tzinfo=UTC))
    assert not (await everything(stage, "reg-a", since=since)).resources
    stage.now[0] = datetime(2024, 6, 3, tzinfo=UTC)
    await stage.create(an_allergy("reg-a", "Aspirin"))
    assert types((await everything(stage, "reg-a", since=since)).resources) == ["AllergyIntolerance"]


async def test_only_what_the_caller_may_see_and_read(stage: Stage):
    await two_hospitals(stage)
    own = await everything(stage, "reg-a", stage.token(A))
    assert {one.organization_id for one in own.resources} == {A}
    await stage.create(a_condition("reg-a", "B20"), A)
    assert "Condition" not in types((await everything(stage, "reg-a", treating(stage, B))).resources)
    await stage.consent("k-1", B, DENY)
    with pytest.raises(Refused) as refused:
        await everything(stage, "reg-a", treating(stage, B))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_UNKNOWN")
    narrow = stage.token(A, scopes="user/Patient.r user/Observation.r")
    assert types((await everything(stage, "reg-a", narrow)).resources) == ["Patient", "Observation"]
    with pytest.raises(Refused) as refused:
        await everything(stage, "reg-a", stage.token(A, scopes="user/Observation.r"))
    assert refused.value.reason == "SCOPE_MISSING"


async def test_a_citizen_asks_for_their_own_without_naming_a_patient(stage: Stage):
    await two_hospitals(stage)
    await stage.arrive("reg-x", A, person="p-2", key="k-2")
    found = await everything(stage, "", stage.citizen("k-1"))
    assert types(found.resources) == ["Patient", "Patient", "Encounter", "Observation"]
    with pytest.raises(Refused):
        await everything(stage, "reg-x", stage.citizen("k-1"))
    with pytest.raises(Refused) as refused:
        await everything(stage, "", stage.token(A))
    assert refused.value.reason == "PERSON_UNKNOWN"


async def test_a_page_with_what_it_refers_to_takes_two_statements(stage: Stage):
    await stage.arrive("reg-a", A)
    organization = await stage.create({"resourceType": "Organization", "name": "โรงพยาบาล"})
    for _ in range(5):
        await stage.create({**an_observation("reg-a"), "performer": [{"reference": f"Organization/{organization.id}"}]})
    ground = stage.running.process.ground
    api = PersonRecordsApi(Means(stage.running.database, ground.clock, ground.pages))
    caller = Caller(CallerKind.CLIENT, "client/test", A, Scopes.parse("user/*.rs"))
    call: Any = SimpleNamespace(caller=caller, touch=lambda **_: None)
    with counted_statements() as run:
        found = await api.ListEverything(person_pb2.ListEverythingRequest(registration_id="reg-a"), call)
    assert (len(found.resources), len(found.referred)) == (6, 1)
    assert run == ["compartment.everything.own", "compartment.referred.own"]


async def test_a_summary_holds_the_newest_of_each_type_with_the_named_patient(stage: Stage):
    await two_hospitals(stage)
    await stage.create(an_allergy("reg-a", "Aspirin"), A)
    found = await ask(
        stage, "GatherSummary", person_pb2.GatherSummaryRequest(registration_id="reg-b"), treating(stage, A)
    )
    assert found.patient.id == "reg-b"
    assert sorted(types(found.resources)) == ["AllergyIntolerance", "Encounter", "Observation", "Patient"]
    with pytest.raises(Refused) as refused:
        await ask(stage, "GatherSummary", person_pb2.GatherSummaryRequest(registration_id="nobody"))
    assert refused.value.reason == "RESOURCE_UNKNOWN"


def search(**parameters) -> list[service_pb2.SearchParameter]:
    return [service_pb2.SearchParameter(name=name, value=value) for name, value in parameters.items()]


async def test_the_newest_of_each_code_over_both_hospitals(stage: Stage):
    await stage.arrive("reg-a", A, person="p-1")
    await stage.arrive("reg-b", B, person="p-1")
    for day, hospital, registration in ((1, A, "reg-a"), (2, B, "reg-b"), (3, A, "reg-a")):
        await stage.create(an_observation(registration, on=f"2024-05-0{day}", code="718-7"), hospital)
    await stage.create(an_observation("reg-b", on="2024-04-01", code="2345-7"), B)

    async def last(newest: int, **parameters) -> list[str]:
        request = person_pb2.ListLastObservationsRequest(
            type="Observation", newest=newest, parameters=search(**parameters)
        )
        found = await ask(stage, "ListLastObservations", request, treating(stage, A))
        return [json.loads(one.body)["effectiveDateTime"] for one in found.observations]

    assert await last(1, patient="reg-a") == ["2024-05-03", "2024-04-01"]
    assert await last(2, subject="Patient/reg-b") == ["2024-05-03", "2024-05-02", "2024-04-01"]
    assert await last(0, patient="reg-a", code="http://loinc.org|2345-7") == ["2024-04-01"]
    with pytest.raises(Refused) as refused:
        await last(1, code="718-7")
    assert refused.value.reason == "SEARCH_INVALID"


def observed(number: int, *codings: tuple[str, str]) -> Stored:
    body = {"code": {"coding": [{"system": system, "code": code} for system, code in codings]}}
    return Stored(
        "Observation",
        str(number),
        1,
        Operation.CREATE,
        datetime.now(UTC),
        "r",
        True,
        A,
        Sensitivity.GENERAL,
        json.dumps(body).encode(),
    )


def test_codes_that_share_a_coding_are_one_code():
    found = newest_of_each_code(
        [
            observed(1, ("loinc", "1")),
            observed(2, ("local", "a")),
            observed(3, ("loinc", "1"), ("local", "a")),
            observed(4, ("loinc", "2")),
        ],
        1,
    )
    assert [one.id for one in found] == ["1", "4"]


def test_references_are_read_off_the_bytes_and_texts_are_none():
    body = (
        b'{"a":{"reference":"Practitioner/1"},"b":[{"reference":"Patient/2"}],"c":"{\\"reference\\":\\"Location/3\\"}"}'
    )
    assert [str(one) for one in references_of([body, body])] == ["Practitioner/1", "Patient/2"]
    stored = observed(1)
    assert supporting([stored]) == []


async def test_labels_in_use_are_those_of_what_the_caller_may_see(stage: Stage):
    await stage.arrive("reg-a", A)
    await stage.arrive("reg-b", B)
    tag = {"system": "urn:tags", "code": "mine"}
    await stage.create({**an_observation("reg-a"), "meta": {"tag": [tag], "profile": ["http://example.org/p"]}}, A)
    await stage.create({**an_observation("reg-b"), "meta": {"tag": [{**tag, "code": "theirs"}]}}, B)
    found = await ask(stage, "CollectLabels", person_pb2.CollectLabelsRequest(type="Observation"))
    assert [one.code for one in found.tags] == ["mine"]
    assert list(found.profiles) == ["http://example.org/p"]
    assert [one.code for one in (await ask(stage, "CollectLabels", person_pb2.CollectLabelsRequest())).tags] == ["mine"]
    assert not (await ask(stage, "CollectLabels", person_pb2.CollectLabelsRequest(type="Patient"))).tags
