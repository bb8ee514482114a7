"""Decisions through the real chain: what they answer, announce, keep, and what a dry run leaves alone."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2
from sqlalchemy import text

from libs.database.engine import Database
from libs.database.statements import Statement
from services.patient_index.__main__ import run
from services.patient_index.api import replaying
from services.patient_index.wire import event_of
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import HOSPITAL_B, NOW, a_number

TOGETHER, APART = resources_pb2.OVERRIDE_KIND_TOGETHER, resources_pb2.OVERRIDE_KIND_APART
# What only a fault of ours or a slip by hand would do.
MISPLACE = Statement(
    "test.misplace",
    text("UPDATE registrations SET person_id = registration_id WHERE registration_id = CAST(:id AS uuid)"),
)
FORGET_PAIRS = Statement("test.forget_pairs", text("DELETE FROM held_apart"))
FORGET_OVERRIDES = Statement("test.forget_overrides", text("DELETE FROM overrides"))
FORGET_REGISTRATION = Statement(
    "test.forget_registration", text("DELETE FROM registrations WHERE registration_id = CAST(:id AS uuid)")
)


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


async def strangers(index: Index, count: int) -> list[resources_pb2.Registration]:
    names = "กขคงจ"
    return [
        (
            await index.register(
                number=a_number(one + 1),
                given=f"{names[one]}นพลกิตติ",
                family=f"{names[-1 - one]}วัฒนากุล",
                born=f"19{50 + 7 * one}-0{one + 1}-11",
                phone="",
                local_number=str(one),
            )
        ).registration
        for one in range(count)
    ]


async def merge(index: Index, source: str, target: str, **more):
    request = decisions_pb2.MergePersonsRequest(person_id=target, from_person_id=source, reason="one card", **more)
    return await index.stub.MergePersons(request, **index.hospital())


async def override(index: Index, one: str, other: str, kind):
    request = decisions_pb2.OverridePairRequest(
        registration_id=one, other_registration_id=other, kind=kind, reason="by court"
    )
    return await index.stub.OverridePair(request, **index.hospital())


async def revert(index: Index, decision_id: str):
    request = decisions_pb2.RevertDecisionRequest(decision_id=decision_id, reason="a slip")
    return await index.stub.RevertDecision(request, **index.hospital())


def placed(events) -> dict[str, str]:
    """Registration → person as a follower holds it that applies newer versions alone."""
    newest = {}
    for one in events:
        if one.version > newest.get(one.registration_id, (0, ""))[0]:
            newest[one.registration_id] = one.version, one.person_id
    return {registration: person for registration, (_, person) in newest.items()}


async def test_a_merge_is_announced_for_each_registration_and_a_revert_puts_each_back(index: Index):
    a, b, c = await strangers(index, 3)
    await index.link(b.registration_id, a.person_id)
    before = placed(await index.announced())
    answer = await merge(index, a.person_id, c.person_id)
    assert {one.registration_id for one in answer.moves} == {a.registration_id, b.registration_id}
    assert len(answer.person.registrations) == 3
    assert set(placed(await index.announced()).values()) == {c.person_id}
    (first, *_) = answer.decisions
    assert first.evidence.with_registration_id == c.registration_id
    assert first.evidence.fields
    await revert(index, first.decision_id)
    assert placed(await index.announced()) == before
    kept = await index.stub.GetDecision(
        decisions_pb2.GetDecisionRequest(decision_id=first.decision_id), **index.hospital()
    )
    assert list(kept.decisions) == list(answer.decisions)


async def test_a_dry_run_says_what_would_move_and_moves_nothing(index: Index):
    a, b, c = await strangers(index, 3)
    await index.link(b.registration_id, a.person_id)
    announced = await index.announced()
    tried = await merge(index, a.person_id, c.person_id, validate_only=True)
    moves = {(one.registration_id, one.previous_person_id, one.person_id) for one in tried.moves}
    assert moves == {(one.registration_id, a.person_id, c.person_id) for one in (a, b)}
    assert {one.organization_id for one in tried.moves} == {a.organization_id}
    group = decisions_pb2.RegistrationGroup(registration_ids=[b.registration_id])
    calls = [
        (
            index.stub.LinkRegistration,
            service_pb2.LinkRegistrationRequest,
            {"registration_id": c.registration_id, "person_id": a.person_id},
        ),
        (index.stub.UnlinkRegistration, service_pb2.UnlinkRegistrationRequest, {"registration_id": b.registration_id}),
        (index.stub.SplitPerson, decisions_pb2.SplitPersonRequest, {"person_id": a.person_id, "groups": [group]}),
        (
            index.stub.OverridePair,
            decisions_pb2.OverridePairRequest,
            {"registration_id": a.registration_id, "other_registration_id": b.registration_id, "kind": APART},
        ),
    ]
    for call, request, words in calls:
        answer = await call(request(**words, reason="trying", validate_only=True), **index.hospital())
        assert len(answer.moves) == 1, request
    assert await index.announced() == announced
    assert len((await index.person(a.person_id)).registrations) == 2


async def test_a_split_holds_apart_what_it_parts_whatever_is_registered_again(index: Index):
    first = (await index.register(number=a_number(1))).registration
    second = (await index.register(number=a_number(1), organization=HOSPITAL_B)).registration
    request = decisions_pb2.SplitPersonRequest(
        person_id=first.person_id,
        groups=[decisions_pb2.RegistrationGroup(registration_ids=[second.registration_id])],
        reason="two people with one card",
    )
    answer = await index.stub.SplitPerson(request, **index.hospital())
    assert [len(one.registrations) for one in answer.persons] == [1, 1]
    again = await index.register(number=a_number(1), organization=HOSPITAL_B, phone="0898765432")
    assert again.registration.person_id == answer.persons[1].person_id


async def test_what_cannot_be_decided_says_why(index: Index):
    a, b, c = await strangers(index, 3)
    await override(index, a.registration_id, b.registration_id, TOGETHER)
    nobody = "00000000-0000-7000-8000-000000000000"
    (decision,) = (await merge(index, c.person_id, b.person_id)).decisions
    calls = [
        (override(index, b.registration_id, a.registration_id, APART), "FAILED_PRECONDITION", "OVERRIDES_CONTRADICT"),
        (index.unlink(a.registration_id), "FAILED_PRECONDITION", "OVERRIDDEN_TOGETHER"),
        (merge(index, b.person_id, b.person_id), "INVALID_ARGUMENT", "PERSON_SAME"),
        (merge(index, c.person_id, a.person_id), "FAILED_PRECONDITION", "PERSON_MERGED"),
        (merge(index, nobody, b.person_id), "NOT_FOUND", "PERSON_UNKNOWN"),
        (merge(index, "no id", b.person_id), "NOT_FOUND", "PERSON_UNKNOWN"),
        (revert(index, nobody), "NOT_FOUND", "DECISION_UNKNOWN"),
        (override(index, a.registration_id, "no id", APART), "NOT_FOUND", "REGISTRATION_UNKNOWN"),
    ]
    for call, status, reason in calls:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        assert refusal(error.value)[:2] == (status, reason)
    assert decision.kind == resources_pb2.DECISION_KIND_MERGE


async def test_merges_of_each_into_the_other_at_once_end_with_one_person(index: Index):
    for _ in range(5):
        a, b = await strangers(index, 2)
        answers = await asyncio.gather(
            merge(index, a.person_id, b.person_id), merge(index, b.person_id, a.person_id), return_exceptions=True
        )
        # The one that came second finds that its person has gone.
        assert sorted(isinstance(one, Exception) for one in answers) == [False, True]
        placed_now = placed(await index.announced())
        assert placed_now[a.registration_id] == placed_now[b.registration_id]
        (decisions,) = (one.decisions for one in answers if not isinstance(one, Exception))
        await revert(index, decisions[0].decision_id)


async def test_a_registration_that_comes_while_its_person_is_merged_is_not_left_behind(index: Index):
    told = {"number": a_number(30)}
    for turn in range(5):
        first = (await index.register(**told, organization="99001", local_number=f"s{turn}")).registration
        # Without a number, for the index joins nobody to a person with two.
        other = (await index.register(given="กิตติ", family="มั่งมีสุข", born="1991-01-01", phone="")).registration
        person = (await index.person(first.person_id)).person_id
        _, second = await asyncio.gather(
            merge(index, person, other.person_id),
            index.register(**told, organization="99009", local_number=f"s{turn}"),
        )
        placed_now = placed(await index.announced())
        assert placed_now[second.registration.registration_id] == placed_now[first.registration_id]
        await index.unlink(other.registration_id)
        told = {"number": a_number(31 + turn)}


async def test_replay_finds_what_does_not_stand_as_decided_and_puts_it_right(index: Index, database_url):
    a, b, c = await strangers(index, 3)
    await merge(index, a.person_id, b.person_id)
    await index.unlink(a.registration_id)
    await override(index, a.registration_id, c.registration_id, APART)
    database: Database = index.running.database
    sound = await replaying.compare(database)
    assert (sound.is_sound, sound.registrations, sound.decisions) == (True, 3, 6)
    before = await index.announced()
    async with database.writing() as writer:
        await writer.execute(MISPLACE, id=c.registration_id)
        await writer.execute(FORGET_PAIRS)
        await writer.execute(FORGET_OVERRIDES)
    found = await replaying.compare(database)
    assert found.misplaced == {c.registration_id: c.person_id}
    assert (len(found.apart), len(found.overrides)) == (1, 1)
    assert await replaying.repair(database, found, event_of, NOW) == 1
    assert (await replaying.compare(database)).is_sound
    assert placed(await index.announced()) == placed(before)
    async with database.writing() as writer:
        await writer.execute(FORGET_REGISTRATION, id=a.registration_id)
    assert (await replaying.compare(database)).lost == [a.registration_id]


def test_the_command_compares_and_says_so(database_url, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NHIP_DATABASE_URL", database_url("patient_index"))
    monkeypatch.setenv("NHIP_SECRETS", str(tmp_path))
    assert run(["replay", "--check"]) == 0
    assert "0 decisions rebuild 0 registrations, and all stand as decided" in capsys.readouterr().out
    assert run(["replay", "--everything"]) == 2


async def test_who_asks_for_a_merged_person_is_told_who_stands_for_it_and_a_citizen_is_not(index: Index):
    a, b, c = await strangers(index, 3)
    await merge(index, a.person_id, b.person_id)
    await merge(index, b.person_id, c.person_id)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.person(a.person_id)
    assert refusal(error.value)[:2] == ("NOT_FOUND", "PERSON_MERGED")
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in rpc_status.from_call(error.value).details)
    assert dict(info.metadata) == {"person_id": c.person_id}
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.person(a.person_id, **index.citizen(a_number(9)))
    assert refusal(error.value)[:2] == ("NOT_FOUND", "PERSON_UNKNOWN")
