"""Patches and conditions: what they change, what they leave alone, and what they say when they cannot."""

import asyncio
import json

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.records.v1 import service_pb2

from services.records import __main__ as records_main
from services.records.model import Policy
from tests.services.records.stage import A, B, Refused, Stage, a_patient, an_observation, records

CREATED, UPDATED, UNCHANGED, DELETED = 1, 2, 3, 4
REVISE = json.dumps([{"op": "replace", "path": "/status", "value": "amended"}]).encode()


def entry(method, url, body=b"", **more):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service_pb2.TransactionEntry(method=method, url=url, body=content, **more)


async def run(stage: Stage, *entries, token=None, **more):
    request = service_pb2.ExecuteTransactionRequest(entries=entries, **more)
    return list((await stage.call("ExecuteTransaction", request, token)).results)


async def refused(stage: Stage, *entries, **more) -> Refused:
    with pytest.raises(Refused) as error:
        await run(stage, *entries, **more)
    return error.value


def numbered(number: str, **more):
    return {**an_observation("reg-1", **more), "identifier": [{"system": "urn:lab", "value": number}]}


async def test_a_patch_makes_a_version_of_what_is_stored(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    (tried,) = await run(stage, entry("PATCH", f"Observation/{made.id}", REVISE), validate_only=True)
    assert (tried.resource.version, (await stage.read(f"Observation/{made.id}"))["status"]) == (2, "final")
    (done,) = await run(stage, entry("PATCH", f"Observation/{made.id}", REVISE, if_match=1))
    assert (done.outcome, done.resource.version) == (UPDATED, 2)
    assert (await stage.read(f"Observation/{made.id}"))["status"] == "amended"
    (again,) = await run(stage, entry("PATCH", f"Observation/{made.id}", REVISE))
    assert (again.outcome, again.resource.version) == (UNCHANGED, 2)


async def test_a_fhirpath_patch_is_one_too(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    (done,) = await run(stage, entry("PATCH", f"Observation/{made.id}", patch))
    assert json.loads(done.resource.body)["status"] == "amended"
    parts[1]["valueString"] = "Observation.grow("
    error = await refused(stage, entry("PATCH", f"Observation/{made.id}", patch))
    place = "Bundle.entry[0].resource.parameter[0].part.where(name='path')"
    assert (error.reason, error.fields[0][0]) == ("PATCH_INVALID", place)


async def test_a_part_of_the_resource_is_merged_into_it(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create({**an_observation("reg-1"), "note": [{"text": "x"}]})
    part = {"status": "amended", "note": None, "code": {"text": "Hb"}}
    (done,) = await run(stage, entry("PATCH", f"Observation/{made.id}", part))
    merged = json.loads(done.resource.body)
    assert (merged["status"], merged["code"]["text"], "note" in merged) == ("amended", "Hb", False)
    assert merged["code"]["coding"] == [{"system": "http://loinc.org", "code": "718-7"}]


@pytest.mark.parametrize(
    ("patch", "reason", "place"),
    [
        (b"[", "PATCH_INVALID", "Bundle.entry[0].resource"),
        ([{"op": "grow"}], "PATCH_INVALID", "Bundle.entry[0].resource.operation[0].op"),
        ([{"op": "test", "path": "/status", "value": "x"}], "PATCH_REFUSED", "Bundle.entry[0].resource.operation[0].value"),
        ([{"op": "replace", "path": "/id", "value": "other"}], "PATCH_REFUSED", "Bundle.entry[0].resource"),
        ([{"op": "remove", "path": "/code"}], "RESOURCE_INVALID", "Bundle.entry[0].resource.code"),
    ],
)  # fmt: skip
async def test_a_patch_that_cannot_be_made_changes_nothing(stage: Stage, patch, reason, place):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    error = await refused(stage, entry("PATCH", f"Observation/{made.id}", patch))
    assert (error.reason, error.fields[0][0]) == (reason, place)
    request = service_pb2.ListHistoryRequest(type="Observation", id=made.id)
    assert len((await stage.call("ListHistory", request)).versions) == 1


async def test_a_patch_finds_nothing_of_what_the_caller_may_not_see(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    unseen = await refused(stage, entry("PATCH", f"Observation/{made.id}", REVISE), token=stage.token(B))
    never = await refused(stage, entry("PATCH", "Observation/never", REVISE), token=stage.token(B))
    assert (unseen.reason, unseen.message) == (never.reason, never.message) == ("RESOURCE_UNKNOWN", never.message)
    assert (await refused(stage, entry("PATCH", f"Observation/{made.id}", REVISE, if_match=4))).reason == (
        "VERSION_CONFLICT"
    )


async def test_patches_at_the_same_time_all_count(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create({**an_observation("reg-1"), "note": [{"text": "first"}]})
    patches = [[{"op": "add", "path": "/note/-", "value": {"text": str(number)}}] for number in range(8)]
    await asyncio.gather(*(run(stage, entry("PATCH", f"Observation/{made.id}", patch)) for patch in patches))
    stored = await stage.read(f"Observation/{made.id}")
    assert stored["meta"]["versionId"] == "9"
    assert {one["text"] for one in stored["note"]} == {"first", *map(str, range(8))}


async def test_a_conditional_update_creates_updates_or_refuses(stage: Stage):
    await stage.arrive("reg-1")
    url = "Observation?identifier=urn:lab|1"
    (first,) = await run(stage, entry("PUT", url, numbered("1")))
    assert (first.outcome, first.matched) == (CREATED, 0)
    (second,) = await run(stage, entry("PUT", url, numbered("1", value=2)))
    assert (second.outcome, second.matched, second.resource.id) == (UPDATED, 1, first.resource.id)
    (third,) = await run(stage, entry("PUT", url, {**numbered("1", value=3), "id": first.resource.id}))
    assert third.resource.version == 3
    error = await refused(stage, entry("PUT", url, {**numbered("1"), "id": "another"}))
    assert (error.reason, error.fields[0][0]) == ("BUNDLE_INVALID", "Bundle.entry[0].resource.id")
    error = await refused(stage, entry("PUT", "Observation?identifier=urn:lab|2", {**numbered("2"), "id": "mine"}))
    assert error.fields[0][0] == "Bundle.entry[0].resource.id"
    await stage.create(numbered("1"))
    for one in (entry("PUT", url, numbered("1")), entry("PATCH", url, REVISE), entry("DELETE", url)):
        error = await refused(stage, one)
        assert (error.reason, error.fields[0][0]) == ("MULTIPLE_MATCHES", "Bundle.entry[0].request.url")


async def test_conditional_updates_at_the_same_time_make_one_resource(stage: Stage):
    await stage.arrive("reg-1")
    writes = [run(stage, entry("PUT", "Observation?identifier=urn:lab|1", numbered("1", value=n))) for n in range(6)]
    results = await asyncio.gather(*writes)
    assert {one[0].resource.id for one in results} == {results[0][0].resource.id}
    assert sorted(one[0].resource.version for one in results) == [1, 2, 3, 4, 5, 6]


async def test_a_conditional_patch_and_a_conditional_deletion_take_the_one_match(stage: Stage):
    await stage.arrive("reg-1")
    made, url = await stage.create(numbered("1")), "Observation?identifier=urn:lab|1"
    (patched,) = await run(stage, entry("PATCH", url, REVISE))
    assert (patched.resource.id, patched.resource.version) == (made.id, 2)
    (deleted,) = await run(stage, entry("DELETE", url))
    assert (deleted.outcome, deleted.resource.id, deleted.matched) == (DELETED, made.id, 1)
    (nothing,) = await run(stage, entry("DELETE", url))
    assert (nothing.outcome, nothing.matched) == (0, 0)
    assert (await refused(stage, entry("PATCH", url, REVISE))).reason == "RESOURCE_UNKNOWN"


async def test_without_a_policy_ids_are_the_servers(stage: Stage):
    await stage.arrive("reg-1")
    with pytest.raises(Refused) as error:
        await stage.update({**an_observation("reg-1"), "id": "chosen"})
    assert error.value.reason == "RESOURCE_UNKNOWN"


async def test_a_policy_lets_a_condition_delete_many_and_an_update_choose_the_id(database_url, monkeypatch):
    monkeypatch.setattr(records_main, "policy_of", lambda _: Policy(updates_create=True, deletes_many=True))
    async with records(database_url("records")) as stage:
        await stage.arrive("reg-1")
        answer = await stage.update({**an_observation("reg-1"), "id": "chosen"})
        assert (answer.outcome, answer.resource.id) == (CREATED, "chosen")
        for _ in range(2):
            await stage.create(numbered("7"))
        (deleted,) = await run(stage, entry("DELETE", "Observation?identifier=urn:lab|7"))
        assert (deleted.outcome, deleted.matched) == (DELETED, 2)
        assert await stage.found("Observation?identifier=urn:lab|7") == []


async def test_two_entries_that_mean_one_resource_are_refused(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(numbered("1"))
    one, other = entry("PATCH", f"Observation/{made.id}", REVISE), entry("DELETE", "Observation?identifier=urn:lab|1")
    error = await refused(stage, one, other)
    assert (error.reason, error.fields) == ("BUNDLE_INVALID", [("Bundle.entry[1]", "duplicate")])


async def test_a_reference_under_the_servers_own_address_is_a_local_one(stage: Stage):
    await stage.arrive("reg-1")
    own = "https://nhip.example/fhir/R4"
    finding = {**an_observation("reg-1"), "subject": {"reference": f"{own}/Patient/reg-1"}}
    made = await stage.create(finding, base_url=own)
    assert json.loads(made.body)["subject"]["reference"] == "Patient/reg-1"
    (result,) = await run(stage, entry("POST", "Observation", finding), base_url=own)
    assert json.loads(result.resource.body)["subject"]["reference"] == "Patient/reg-1"
    assert len(await stage.found("Observation?patient=reg-1")) == 2


async def history(stage: Stage, token=None, **asked):
    versions = []
    request = service_pb2.ListHistoryRequest(**asked)
    while True:
        answer = await stage.call("ListHistory", request, token)
        versions += [(one.type, one.version, one.operation) for one in answer.versions]
        if not answer.next_page_token:
            return versions
        request.page_token = answer.next_page_token


async def test_the_history_of_everything_is_newest_first_and_pages(stage: Stage):
    await stage.arrive("reg-1")
    stage.now[0] = stage.now[0].replace(hour=4)
    made = json.loads((await stage.create(an_observation("reg-1"))).body)
    stage.now[0] = stage.now[0].replace(hour=5)
    await stage.update({**made, "status": "amended"})
    stage.now[0] = stage.now[0].replace(hour=6)
    await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=made["id"]))
    whole = [("Observation", 3, 3), ("Observation", 2, 2), ("Observation", 1, 1), ("Patient", 1, 1)]
    assert await history(stage) == whole
    assert await history(stage, page_size=1) == whole
    assert await history(stage, stage.token(B)) == []
    with pytest.raises(Refused) as error:
        await history(stage, stage.token(A, scopes="user/Observation.rs"))
    assert error.value.reason == "SCOPE_MISSING"


async def test_the_versions_of_a_moment_are_those_that_were_current_then(stage: Stage):
    await stage.arrive("reg-1")
    stage.now[0] = stage.now[0].replace(hour=4)
    made = json.loads((await stage.create(an_observation("reg-1"))).body)
    stage.now[0] = stage.now[0].replace(hour=6)
    await stage.update({**made, "status": "amended"})

    def moment(hour: int) -> Timestamp:
        found = Timestamp()
        found.FromDatetime(stage.now[0].replace(hour=hour, minute=30))
        return found

    for more in ({}, {"id": made["id"]}):
        for hours, versions in (((4, 5), [1]), ((6, 7), [2]), ((5, 6), [2, 1]), ((2, 3), [])):
            asked = {"type": "Observation", "at_from": moment(hours[0]), "at_until": moment(hours[1]), **more}
            assert [one[1] for one in await history(stage, **asked)] == versions


async def test_a_patient_in_a_conditional_update_has_the_registrations_id(stage: Stage):
    await stage.register("reg-1")
    body = a_patient("reg-1")
    del body["id"]
    url = "Patient?identifier=https://terms.sil-th.org/hcode/5/10661/HN|HN-reg-1"
    error = await refused(stage, entry("PUT", url, body))
    assert error.fields[0] == ("Bundle.entry[0].resource.id", "required")
    (made,) = await run(stage, entry("PUT", url, body, id="reg-1"))
    assert (made.outcome, made.resource.id) == (CREATED, "reg-1")
    (changed,) = await run(stage, entry("PUT", url, {**body, "gender": "male"}, id="reg-1"))
    assert (changed.outcome, changed.resource.id) == (UPDATED, "reg-1")


async def test_a_policy_enforces_the_profiles_that_are_claimed(database_url, monkeypatch):
    monkeypatch.setattr(records_main, "policy_of", lambda _: Policy(enforces_profiles=True))
    profile = "https://fhir-ig.sil-th.org/th/core/StructureDefinition/th-core-organization"
    hospital = {
        "resourceType": "Organization",
        "name": "x",
        "meta": {"profile": [profile, "urn:unknown"]},
        "identifier": [{"system": "https://bps.moph.go.th/hcode/5", "value": "1"}],
    }
    async with records(database_url("records")) as stage:
        for attempt in (stage.create(hospital), run(stage, entry("POST", "Organization", hospital))):
            with pytest.raises(Refused) as error:
                await attempt
            assert error.value.fields[0][0].endswith(".identifier[0].value")
        hospital["identifier"][0]["value"] = "10661"
        assert (await stage.create(hospital)).version == 1
