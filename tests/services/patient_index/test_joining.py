"""Links of a batch: hundreds in one call, each decided and refused by itself, and never against what somebody said."""

import asyncio
from typing import Any

import grpc
import pytest
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2

from libs.database.statements import counted_statements
from libs.ids import new_id
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import CLINIC, HOSPITAL_A, HOSPITAL_B, a_message, a_number

MERGED, TOGETHER, REFUSED = (
    decisions_pb2.LINK_OUTCOME_MERGED,
    decisions_pb2.LINK_OUTCOME_TOGETHER,
    decisions_pb2.LINK_OUTCOME_REFUSED,
)


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


async def registered(index: Index, count: int) -> list[resources_pb2.Registration]:
    """So many registrations at one hospital that have nothing in common."""
    messages = [
        a_message(
            number=a_number(100 + number),
            given=f"สม{number}",
            family=f"ใจ{number}",
            born=f"19{50 + number % 40}-0{1 + number % 9}-11",
            local_number=str(number),
            phone="",
        )
        for number in range(count)
    ]
    request = service_pb2.BatchRegisterRequest(registrations=messages)
    results = (await index.stub.BatchRegister(request, **index.hospital())).results
    return [resources_pb2.Registration(registration_id=one.registration_id, person_id=one.person_id) for one in results]


def a_link(one: Any, other: Any, weight: float = 12.5) -> decisions_pb2.PairLink:
    fields = [resources_pb2.FieldWeight(field="given_name", level="exact", weight=7.0)]
    return decisions_pb2.PairLink(
        registration_id=one.registration_id,
        other_registration_id=other.registration_id,
        weight=weight,
        fields=fields,
    )


async def batch(index: Index, *links: decisions_pb2.PairLink, **told: Any) -> decisions_pb2.BatchLinkResponse:
    request = decisions_pb2.BatchLinkRequest(links=links, model="batch-1", reason="a batch", **told)
    return await index.stub.BatchLink(request, **index.hospital())


async def persons(index: Index, *registrations: Any) -> list[str]:
    answers = []
    for one in registrations:
        request = service_pb2.GetRegistrationRequest(registration_id=one.registration_id)
        answers.append((await index.stub.GetRegistration(request, **index.hospital())).registration.person_id)
    return answers


async def test_pairs_become_decisions_with_the_batchs_model_and_evidence_and_are_announced(index: Index):
    a, b, c = await registered(index, 3)
    told = await batch(index, a_link(a, b), a_link(b, c, weight=9.25))
    assert [one.outcome for one in told.results] == [MERGED, MERGED]
    assert (
        set(await persons(index, a, b, c))
        == {told.results[1].person_id}
        == {min(a.person_id, b.person_id, c.person_id)}
    )
    request = decisions_pb2.GetDecisionRequest(decision_id=told.results[1].decision_id)
    decision = (await index.stub.GetDecision(request, **index.hospital())).decisions[0]
    assert (decision.kind, decision.model, decision.weight) == (resources_pb2.DECISION_KIND_MERGE, "batch-1", 9.25)
    assert [(one.field, one.level, one.weight) for one in decision.evidence.fields] == [("given_name", "exact", 7.0)]
    assert {decision.registration_id, decision.evidence.with_registration_id} == {b.registration_id, c.registration_id}
    announced = {one.registration_id: one.person_id for one in await index.announced()}
    assert set(announced.values()) == {told.results[1].person_id}
    moved = {one.registration_id for one in told.moves}
    assert len(moved) == 2
    (access,) = [one for one in await index.accesses() if one.method == "BatchLink"]
    assert moved <= set(access.registration_ids)


async def test_each_pair_is_refused_by_itself_and_the_others_go_on(index: Index):
    a, b, c, d, e, f, g = await registered(index, 7)
    await index.link(a.registration_id, b.person_id)
    await index.unlink(a.registration_id)
    apart = decisions_pb2.OverridePairRequest(
        registration_id=c.registration_id,
        other_registration_id=d.registration_id,
        kind=resources_pb2.OVERRIDE_KIND_APART,
        reason="two people",
    )
    await index.stub.OverridePair(apart, **index.hospital())
    nobody = resources_pb2.Registration(registration_id=new_id())
    nonsense = resources_pb2.Registration(registration_id="nonsense")
    told = await batch(
        index,
        *(a_link(a, b), a_link(c, d), a_link(e, nobody), a_link(nonsense, e), a_link(e, e), a_link(f, g), a_link(g, f)),
    )
    assert [(one.outcome, one.error_reason) for one in told.results] == [
        (REFUSED, "HELD_APART"),
        (REFUSED, "OVERRIDDEN_APART"),
        (REFUSED, "REGISTRATION_UNKNOWN"),
        (REFUSED, "REGISTRATION_UNKNOWN"),
        (REFUSED, "REGISTRATION_SAME"),
        (MERGED, ""),
        (TOGETHER, ""),
    ]
    for result, pair in zip(told.results, ((a, b), (c, d)), strict=False):
        said = result.error_pair
        assert {said.registration_id, said.other_registration_id} == {one.registration_id for one in pair}
    assert len(set(await persons(index, a, b, c, d, e))) == 5


async def test_a_chain_that_would_bring_two_together_who_are_held_apart_stops_there(index: Index):
    a, b, c = await registered(index, 3)
    await index.link(a.registration_id, c.person_id)
    await index.unlink(a.registration_id)
    told = await batch(index, a_link(a, b), a_link(b, c))
    assert [(one.outcome, one.error_reason) for one in told.results] == [(MERGED, ""), (REFUSED, "HELD_APART")]
    one, other, third = await persons(index, a, b, c)
    assert one == other != third


async def test_the_same_again_changes_nothing_and_a_retry_is_given_the_same_answer(index: Index):
    a, b = await registered(index, 2)
    first = await batch(index, a_link(a, b), request_id="once")
    assert await batch(index, a_link(a, b), request_id="once") == first
    again = await batch(index, a_link(a, b))
    assert [one.outcome for one in again.results] == [TOGETHER]
    assert not again.moves
    assert len(await index.announced()) == 3


async def test_a_dry_run_says_who_would_move_and_moves_nobody(index: Index):
    a, b = await registered(index, 2)
    told = await batch(index, a_link(a, b), validate_only=True)
    assert ([one.outcome for one in told.results], len(told.moves)) == ([MERGED], 1)
    assert await persons(index, a, b) == [a.person_id, b.person_id]


async def test_what_a_batch_joined_is_taken_back_exactly(index: Index):
    a, b, c = await registered(index, 3)
    told = await batch(index, a_link(a, b), a_link(b, c))
    for result in reversed(told.results):
        request = decisions_pb2.RevertDecisionRequest(decision_id=result.decision_id, reason="a bad batch")
        await index.stub.RevertDecision(request, **index.hospital())
    assert await persons(index, a, b, c) == [a.person_id, b.person_id, c.person_id]


async def test_hundreds_of_pairs_cost_as_many_statements_as_one_and_two_batches_at_once_do_not_part(
    index: Index,
):
    people = await registered(index, 404)
    with counted_statements() as few:
        await batch(index, a_link(people[0], people[1]))
    with counted_statements() as many:
        told = await batch(index, *(a_link(people[at], people[at + 1]) for at in range(2, 402, 2)))
    assert {one.outcome for one in told.results} == {MERGED}
    assert len(many) == len(few)
    forward = [a_link(people[at], people[at + 2]) for at in range(2, 60, 2)]
    answers = await asyncio.gather(batch(index, *forward), batch(index, *reversed(forward)))
    assert sum(one.outcome == MERGED for answer in answers for one in answer.results) == len(forward)
    assert len(set(await persons(index, *people[2:62]))) == 1


async def test_only_who_may_link_loads_a_batch(index: Index):
    a, b = await registered(index, 2)
    request = decisions_pb2.BatchLinkRequest(links=[a_link(a, b)], model="batch-1", reason="a batch")
    for organization in (HOSPITAL_A, HOSPITAL_B, CLINIC):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await index.stub.BatchLink(
                request, **index.hospital(organization, "registrations.write registrations.read")
            )
        assert refusal(caught.value)[0] == "PERMISSION_DENIED"
