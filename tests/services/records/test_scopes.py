"""What a token's scopes do not grant has no part in any answer, also where the interaction itself is another's."""

import json

import grpc
import pytest
from nhip.records.v1 import service_pb2
from nhip.records.v1 import terminology_pb2 as pb

from tests.services.records.stage import A, B, Refused, Stage, an_encounter, an_observation
from tests.services.records.test_terminology import ask

SETS = "http://x.example/sets/1"
DENIED = grpc.StatusCode.PERMISSION_DENIED


async def test_a_condition_is_for_who_may_search_what_it_asks_about(stage: Stage):
    await stage.arrive("reg-1")
    await stage.create(an_observation("reg-1"))
    writing = stage.token(A, scopes="system/Observation.c")
    for condition in ("code=718-7", "code=nothing"):
        with pytest.raises(Refused) as refused:
            await stage.create(an_observation("reg-1"), token=writing, if_none_exist=condition)
        assert (refused.value.code, refused.value.reason) == (DENIED, "SCOPE_MISSING")
    assert await stage.create(an_observation("reg-1"), token=writing)


@pytest.mark.parametrize("condition", ["status=finished", "status=planned"])
async def test_a_conditional_reference_tells_nothing_of_a_type_that_is_not_granted(stage: Stage, condition):
    await stage.arrive("reg-1")
    await stage.create(an_encounter("reg-1"))
    finding = {**an_observation("reg-1"), "encounter": {"reference": f"Encounter?{condition}"}}
    entry = service_pb2.TransactionEntry(method="POST", url="Observation", body=json.dumps(finding).encode())
    request = service_pb2.ExecuteTransactionRequest(entries=[entry])
    with pytest.raises(Refused) as refused:
        await stage.call("ExecuteTransaction", request, stage.token(A, scopes="system/Observation.cruds"))
    assert (refused.value.code, refused.value.reason) == (DENIED, "SCOPE_MISSING")
    assert "Bundle.entry[0].resource.encounter.reference" in refused.value.message


@pytest.mark.parametrize("operation", ["test", "add"])
async def test_a_patch_is_for_who_may_read_what_it_rests_on(stage: Stage, operation):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    patch = json.dumps([{"op": operation, "path": "/status", "value": "final"}]).encode()
    entry = service_pb2.TransactionEntry(method="PATCH", url=f"Observation/{made.id}", body=patch)
    request = service_pb2.ExecuteTransactionRequest(entries=[entry])
    with pytest.raises(Refused) as refused:
        await stage.call("ExecuteTransaction", request, stage.token(A, scopes="system/Observation.u"))
    assert (refused.value.code, refused.value.reason) == (DENIED, "SCOPE_MISSING")
    assert await stage.call("ExecuteTransaction", request, stage.token(A, scopes="system/Observation.ru"))


@pytest.mark.parametrize("scopes", ["user/Observation.rs", "user/ValueSet.c"])
async def test_filed_value_sets_and_maps_are_for_who_may_read_them(stage: Stage, scopes):
    include = [{"system": "http://loinc.org", "concept": [{"code": "718-7"}]}]
    filed = await stage.create(
        {"resourceType": "ValueSet", "url": SETS, "status": "active", "compose": {"include": include}}
    )
    token = stage.token(A, scopes=scopes)
    for choice in ({"url": SETS}, {"id": filed.id}):
        request = pb.ExpandValueSetRequest(value_set=pb.ValueSetChoice(**choice))
        assert await ask(stage, "ExpandValueSet", request, stage.token(A, scopes="user/ValueSet.r"))
        with pytest.raises(Refused) as refused:
            await ask(stage, "ExpandValueSet", request, token)
        assert refused.value.reason == "VALUE_SET_UNKNOWN"


async def test_a_count_needs_no_order(stage: Stage):
    await stage.arrive("reg-1")
    await stage.create(an_observation("reg-1"))
    for asked in ("_count=0&_sort=code,-status", "_summary=count&_sort=-value-quantity,code"):
        assert (await stage.search(f"Observation?{asked}")).total == 1


async def test_a_foreign_registration_is_refused_alike_whether_or_not_it_is_filed(stage: Stage):
    told = []
    for registration, is_filed in (("reg-1", True), ("reg-2", False)):
        await stage.register(registration, B)
        if is_filed:
            await stage.file_patient(registration, B)
        with pytest.raises(Refused) as refused:
            await stage.file_patient(registration, A)
        told.append((refused.value.code, refused.value.message, refused.value.fields))
    assert told[0] == told[1]
