"""What comes at the same time is carried out together, and each is answered for itself."""

import asyncio
import json

import grpc
import pytest
from nhip.audit.v1.events_pb2 import AccessEvent
from nhip.records.v1 import service_pb2
from sqlalchemy import text

from libs.database.statements import Statement
from tests.services.records.stage import A, B, Refused, a_patient, an_allergy, an_observation, an_order, treating

STORED = Statement(
    "test.stored", text("SELECT id, organization_id, written_by::text AS written_by FROM resources WHERE type = :type")
)
ACCESSES = Statement("test.accesses", text("SELECT event FROM changes WHERE feed = 'access' ORDER BY position"))
ANNOUNCED = Statement("test.announced", text("SELECT count(*) FROM changes WHERE feed = 'records' AND key LIKE :like"))


async def accesses(stage):
    async with stage.running.database.reading() as reader:
        return [AccessEvent.FromString(row["event"]) for row in await reader.fetch(ACCESSES)]


async def stored(stage, resource_type):
    async with stage.running.database.reading() as reader:
        return await reader.fetch(STORED, type=resource_type)


async def all_of(*calls):
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_many_creations_share_a_transaction_and_each_is_stored_announced_and_recorded(stage):
    await stage.arrive("reg-1")
    made = await all_of(*(stage.create(an_observation("reg-1", value=number)) for number in range(40)))
    rows = await stored(stage, "Observation")
    assert {one.id for one in made} == {row["id"] for row in rows}
    assert [json.loads(one.body)["valueQuantity"]["value"] for one in made] == list(range(40))
    assert len({row["written_by"] for row in rows}) < 40
    recorded = [event for event in await accesses(stage) if event.method == "CreateResource"]
    assert sorted(one for event in recorded for one in event.resources if one.startswith("Observation")) == sorted(
        f"Observation/{one.id}" for one in made
    )
    async with stage.running.database.reading() as reader:
        assert await reader.fetch_value(ANNOUNCED, like="Observation/%") == 40


async def test_what_is_refused_among_others_is_refused_alone(stage):
    await stage.arrive("reg-1")
    calls = [stage.create(an_observation("nobody" if number % 3 == 0 else "reg-1")) for number in range(12)]
    answers = await all_of(*calls)
    refused = [number for number, one in enumerate(answers) if isinstance(one, Refused)]
    assert refused == [0, 3, 6, 9]
    assert {answers[number].reason for number in refused} == {"REFERENCE_UNKNOWN"}
    assert len(await stored(stage, "Observation")) == 8
    failed = [event for event in await accesses(stage) if event.reason == "REFERENCE_UNKNOWN"]
    assert len(failed) == 4


async def test_each_caller_files_in_the_name_of_their_own_organisation(stage):
    await stage.arrive("reg-1")
    await stage.arrive("reg-2", B)
    calls = [stage.create(an_observation(f"reg-{1 + number % 2}"), (A, B)[number % 2]) for number in range(10)]
    made = await all_of(*calls)
    assert [one.organization_id for one in made] == [A, B] * 5
    foreign = await all_of(*(stage.create(an_observation("reg-2"), A) for _ in range(3)))
    assert {one.reason for one in foreign} <= {"ORGANIZATION_FOREIGN", "REFERENCE_UNKNOWN"}


async def test_one_patient_filed_twice_at_once_is_filed_once(stage):
    await stage.register("reg-1")
    answers = await all_of(*(stage.file_patient("reg-1") for _ in range(6)))
    assert sorted(one.reason for one in answers if isinstance(one, Refused)) == ["RESOURCE_EXISTS"] * 5
    assert len(await stored(stage, "Patient")) == 1


async def test_one_that_the_database_refuses_does_not_take_the_others_with_it(stage):
    await stage.arrive("reg-1")
    spoilt = an_observation("reg-1")
    spoilt["note"] = [{"text": "a\u0000b"}]
    answers = await all_of(stage.create(spoilt), *(stage.create(an_observation("reg-1")) for _ in range(5)))
    assert isinstance(answers[0], Refused)
    assert len(await stored(stage, "Observation")) == 5


async def test_an_order_against_an_allergy_is_refused_among_others(stage):
    await stage.arrive("reg-1")
    await stage.create(an_allergy("reg-1", "Penicillin"))
    answers = await all_of(
        stage.create(an_order("reg-1", "Amoxicillin")), *(stage.create(an_observation("reg-1")) for _ in range(5))
    )
    assert answers[0].reason == "ALLERGY_CONFLICT"
    assert len(await stored(stage, "Observation")) == 5


async def test_each_reads_what_they_may_see_though_they_read_at_once(stage):
    await stage.arrive("reg-1", key="citizen")
    made = await stage.create(an_observation("reg-1"))
    await stage.consent("citizen", B, 2)
    request = service_pb2.ReadResourceRequest(type="Observation", id=made.id)
    callers = [stage.token(A), treating(stage, B), stage.citizen("citizen"), treating(stage, "10663")] * 5
    answers = await all_of(*(stage.call("ReadResource", request, token) for token in callers))
    for place, answer in enumerate(answers):
        if place % 4 == 1:
            assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_UNKNOWN")
        else:
            assert answer.resource.body == made.body
    refused = [event for event in await accesses(stage) if event.method == "ReadResource" and event.outcome == 2]
    assert [event.organization_id for event in refused] == [B] * 5


@pytest.mark.parametrize("missing", ["nothing", "x" * 64])
async def test_what_is_not_there_is_told_to_whom_it_concerns(stage, missing):
    await stage.arrive("reg-1")
    calls = [stage.read(f"Patient/{one}") for one in ("reg-1", missing, "reg-1")]
    first, second, third = await all_of(*calls)
    assert first == third
    assert first["id"] == a_patient("reg-1")["id"]
    assert second.reason == "RESOURCE_UNKNOWN"
