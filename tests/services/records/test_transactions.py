"""Transactions: all or nothing, in one commit, references among entries replaced."""

import asyncio
import json

import grpc
import pytest
from nhip.records.v1 import service_pb2

from tests.services.records.stage import (
    A,
    B,
    Refused,
    Stage,
    a_condition,
    a_patient,
    an_allergy,
    an_encounter,
    an_observation,
    an_order,
)

VISIT = "urn:uuid:5f0c3c1e-0000-4000-8000-000000000001"
CREATED, UPDATED, UNCHANGED, DELETED = 1, 2, 3, 4


def post(body, full_url="", **more):
    return service_pb2.TransactionEntry(
        full_url=full_url, method="POST", url=body["resourceType"], body=json.dumps(body).encode(), **more
    )


def put(body, **more):
    url = f"{body['resourceType']}/{body['id']}"
    return service_pb2.TransactionEntry(method="PUT", url=url, body=json.dumps(body).encode(), **more)


def of(method, url):
    return service_pb2.TransactionEntry(method=method, url=url)


async def run(stage: Stage, *entries, token=None, **more):
    request = service_pb2.ExecuteTransactionRequest(entries=entries, **more)
    return list((await stage.call("ExecuteTransaction", request, token)).results)


async def counts(stage: Stage) -> list[int]:
    return [
        (await stage.search(f"{name}?_summary=count")).total
        for name in ("Patient", "Encounter", "Observation", "Condition")
    ]


async def test_a_person_with_a_visit_comes_in_one_transaction(stage: Stage):
    patient, visit = a_patient("reg-1"), an_encounter("x")
    visit["subject"] = {"reference": "urn:uuid:5f0c3c1e-0000-4000-8000-000000000009"}
    finding = {**an_observation("reg-1"), "encounter": {"reference": VISIT}}
    results = await run(
        stage,
        post(finding),
        post(visit, VISIT),
        post(patient, "urn:uuid:5f0c3c1e-0000-4000-8000-000000000009", id="reg-1"),
    )
    assert [one.outcome for one in results] == [CREATED] * 3
    filed = json.loads(results[0].resource.body)
    assert filed["encounter"]["reference"] == f"Encounter/{results[1].resource.id}"
    stored = await stage.read(f"Encounter/{results[1].resource.id}")
    assert stored["subject"]["reference"] == "Patient/reg-1"


async def test_a_relative_reference_means_the_entry_of_the_same_base(stage: Stage):
    await stage.arrive("reg-1")
    finding = {**an_observation("reg-1"), "encounter": {"reference": "Encounter/local-1"}}
    results = await run(
        stage,
        post(an_encounter("reg-1"), "https://his.example/fhir/Encounter/local-1"),
        post(finding, "https://his.example/fhir/Observation/local-2"),
    )
    assert json.loads(results[1].resource.body)["encounter"]["reference"] == f"Encounter/{results[0].resource.id}"


async def test_deletions_updates_and_reads_go_together(stage: Stage):
    await stage.arrive("reg-1")
    gone, kept = await stage.create(an_observation("reg-1")), await stage.create(an_observation("reg-1"))
    results = await run(
        stage,
        of("GET", f"Observation/{kept.id}"),
        put({**json.loads(kept.body), "status": "amended"}, if_match=1),
        post(an_observation("reg-1")),
        of("DELETE", f"Observation/{gone.id}"),
    )
    assert [one.outcome for one in results] == [0, UPDATED, CREATED, DELETED]
    assert json.loads(results[0].resource.body)["status"] == "amended"


@pytest.mark.parametrize(
    ("bad", "reason", "place"),
    [
        (post({**an_observation("reg-1"), "status": "done"}), "RESOURCE_INVALID", "Bundle.entry[1].resource.status"),
        (post(an_observation("nobody")), "REFERENCE_UNKNOWN", "Bundle.entry[1].resource.subject"),
        (
            post({**an_observation("reg-1"), "encounter": {"reference": "urn:uuid:0-0"}}),
            "BUNDLE_INVALID",
            "Bundle.entry[1].resource.encounter.reference",
        ),
        (post(an_observation("reg-1"), VISIT), "BUNDLE_INVALID", "Bundle.entry[1].fullUrl"),
        (of("DELETE", "Observation/never"), "RESOURCE_UNKNOWN", "Bundle.entry[1].request"),
        (of("GET", "Observation/never"), "RESOURCE_UNKNOWN", "Bundle.entry[1].request.url"),
        (of("DELETE", "Observation"), "BUNDLE_INVALID", "Bundle.entry[1].request.url"),
        (of("GET", "Observation?code=1"), "BUNDLE_INVALID", "Bundle.entry[1].request.url"),
        (of("GET", "../secrets/1"), "BUNDLE_INVALID", "Bundle.entry[1].request.url"),
        (put({**an_observation("reg-1"), "id": "never"}), "RESOURCE_UNKNOWN", "Bundle.entry[1].resource"),
        (
            post({**an_observation("reg-1"), "encounter": {"reference": "Encounter?identifier=urn:x|1"}}),
            "REFERENCE_UNKNOWN",
            "Bundle.entry[1].resource.encounter.reference",
        ),
    ],
)
async def test_one_wrong_entry_leaves_nothing_of_the_others(stage: Stage, bad, reason, place):
    await stage.arrive("reg-1")
    before = await counts(stage)
    for validate_only in (True, False):
        if validate_only and bad.method == "GET" and reason == "RESOURCE_UNKNOWN":
            continue
        with pytest.raises(Refused) as refused:
            await run(stage, post(an_encounter("reg-1"), VISIT), bad, validate_only=validate_only)
        assert (refused.value.reason, refused.value.fields[0][0]) == (reason, place)
    assert await counts(stage) == before


async def test_whoever_wants_no_bodies_is_answered_what_was_read_alone(stage: Stage):
    await stage.register("reg-1")
    read = service_pb2.TransactionEntry(method="GET", url="Patient/reg-1")
    for validate_only in (True, False):
        patient, visit, *more = await run(
            stage,
            post(a_patient("reg-1"), id="reg-1"),
            post(an_encounter("reg-1"), VISIT),
            *([] if validate_only else [read]),
            validate_only=validate_only,
            omit_bodies=True,
        )
        assert (patient.resource.id, patient.resource.body, patient.outcome) == ("reg-1", b"", CREATED)
        assert (visit.resource.version, visit.resource.body) == (1, b"")
        assert [json.loads(one.resource.body)["id"] for one in more] == ([] if validate_only else ["reg-1"])
    assert (await stage.read(f"Encounter/{visit.resource.id}"))["id"] == visit.resource.id


async def test_a_dry_run_of_a_good_transaction_stores_nothing(stage: Stage):
    await stage.arrive("reg-1")
    before = await counts(stage)
    results = await run(
        stage, post(an_encounter("reg-1"), VISIT), post(a_condition("reg-1", "J10")), validate_only=True
    )
    assert [one.outcome for one in results] == [CREATED, CREATED]
    assert await counts(stage) == before


async def test_conditions_name_what_is_stored(stage: Stage):
    await stage.arrive("reg-1")
    visit = await stage.create({**an_encounter("reg-1"), "identifier": [{"system": "urn:vn", "value": "66-1"}]})
    finding = {**an_observation("reg-1"), "encounter": {"reference": "Encounter?identifier=urn:vn|66-1"}}
    again = {**an_encounter("reg-1"), "identifier": [{"system": "urn:vn", "value": "66-1"}]}
    about_it = {**a_condition("reg-1", "J10"), "encounter": {"reference": VISIT}}
    results = await run(
        stage, post(finding), post(again, VISIT, if_none_exist="identifier=urn:vn|66-1"), post(about_it)
    )
    assert [one.outcome for one in results] == [CREATED, UNCHANGED, CREATED]
    assert json.loads(results[0].resource.body)["encounter"]["reference"] == f"Encounter/{visit.id}"
    assert json.loads(results[2].resource.body)["encounter"]["reference"] == f"Encounter/{visit.id}"
    await stage.create(again)
    with pytest.raises(Refused) as refused:
        await run(stage, post(finding))
    assert refused.value.reason == "MULTIPLE_MATCHES"


async def test_scopes_are_checked_entry_by_entry(stage: Stage):
    await stage.arrive("reg-1")
    token = stage.token(A, scopes="user/Encounter.c")
    assert await run(stage, post(an_encounter("reg-1")), token=token)
    with pytest.raises(Refused) as refused:
        await run(stage, post(an_encounter("reg-1")), post(an_observation("reg-1")), token=token)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_an_order_is_held_against_an_allergy_of_the_same_transaction(stage: Stage):
    await stage.arrive("reg-1")
    with pytest.raises(Refused) as refused:
        await run(stage, post(an_allergy("reg-1", "Amoxicillin")), post(an_order("reg-1", "Ampicillin 500 mg")))
    assert refused.value.reason == "ALLERGY_CONFLICT"
    assert refused.value.fields[0][0] == "Bundle.entry[1].resource.medication.ofType(CodeableConcept)"


async def test_another_organisations_registration_spoils_the_whole(stage: Stage):
    await stage.arrive("reg-1", A)
    await stage.arrive("reg-2", B)
    before = await counts(stage)
    with pytest.raises(Refused) as refused:
        await run(stage, post(an_observation("reg-1")), post(an_observation("reg-2")))
    assert refused.value.reason == "REFERENCE_UNKNOWN"
    assert await counts(stage) == before


async def test_two_entries_do_not_change_one_resource(stage: Stage):
    await stage.arrive("reg-1")
    made = json.loads((await stage.create(an_observation("reg-1"))).body)
    with pytest.raises(Refused) as refused:
        await run(stage, put(made), of("DELETE", f"Observation/{made['id']}"))
    assert refused.value.reason == "BUNDLE_INVALID"


async def test_of_two_conditional_creations_at_once_one_is_made(stage: Stage):
    await stage.arrive("reg-1")
    body = {**an_observation("reg-1"), "identifier": [{"system": "urn:lab", "value": "9"}]}
    condition = "identifier=urn:lab|9"
    both = await asyncio.gather(
        *(run(stage, post(body, if_none_exist=condition)) for _ in range(3)),
        *(stage.create(body, if_none_exist=condition) for _ in range(3)),
    )
    ids = {one[0].resource.id if isinstance(one, list) else one.id for one in both}
    assert len(ids) == 1


async def test_eight_writers_of_one_resource_lose_no_version(stage: Stage):
    await stage.arrive("reg-1")
    made = json.loads((await stage.create(an_observation("reg-1", value=0))).body)

    async def write(value: int) -> int:
        answer = await stage.update({**made, "valueQuantity": {"value": value}})
        return answer.resource.version

    versions = await asyncio.gather(*(write(value) for value in range(1, 9)))
    assert sorted(versions) == list(range(2, 10))
    request = service_pb2.ListHistoryRequest(type="Observation", id=made["id"])
    history = (await stage.call("ListHistory", request)).versions
    assert [one.version for one in history] == list(range(9, 0, -1))
    assert {json.loads(one.body)["valueQuantity"]["value"] for one in history} == set(range(9))


async def test_of_eight_writers_over_one_version_one_wins(stage: Stage):
    await stage.arrive("reg-1")
    made = json.loads((await stage.create(an_observation("reg-1", value=0))).body)

    async def write(value: int) -> str:
        try:
            await stage.update({**made, "valueQuantity": {"value": value}}, if_match=1)
        except Refused as refused:
            return refused.reason
        return "won"

    outcomes = await asyncio.gather(*(write(value) for value in range(1, 9)))
    assert sorted(outcomes) == ["VERSION_CONFLICT"] * 7 + ["won"]
