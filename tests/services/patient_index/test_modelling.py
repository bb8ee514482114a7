"""Changing the model is a migration: register, score in the shadow, look, approve, adopt, go back."""

import asyncio
import json
from importlib import resources

import grpc
import pytest
from nhip.patient_index.v1 import models_pb2, resources_pb2, service_pb2

from services.patient_index import rules
from services.patient_index.api.shadowing import Shadowing
from services.patient_index.api.transaction import Index as Transactions
from services.patient_index.rules.weighing import FS_1
from services.patient_index.store import models
from services.patient_index.wire import event_of
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import HOSPITAL_A, HOSPITAL_B, NOW, key_of

FS_1_TEXT = resources.files(rules).joinpath("fs_1.json").read_text(encoding="utf-8")
JOIN, PART = models_pb2.FLIP_KIND_JOIN, models_pb2.FLIP_KIND_PART


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


def a_model(name: str, *, certain: float, **more) -> str:
    told = json.loads(FS_1_TEXT)
    told["name"] = name
    told["thresholds"]["certain"] = certain
    return json.dumps({**told, **more})


def as_steward(index: Index, name: str = "1") -> dict:
    metadata = index.running.token(
        scopes="matching.models registrations.link", organization=HOSPITAL_A, subject=f"practitioner/{name}"
    )
    return {"metadata": metadata, "timeout": 20}


async def register_model(index: Index, text: str, name: str = "1"):
    request = models_pb2.RegisterModelRequest(definition=text, reason="trained anew")
    return (await index.stub.RegisterModel(request, **as_steward(index, name))).model


async def shadow(index: Index, name: str):
    await index.stub.ShadowModel(models_pb2.ShadowModelRequest(name=name), **as_steward(index))
    async with asyncio.timeout(15):
        while True:
            model = (await index.stub.GetModel(models_pb2.GetModelRequest(name=name), **as_steward(index))).model
            if model.run.is_finished:
                return model.run
            await asyncio.sleep(0.02)


async def flips(index: Index, name: str, **more):
    request = models_pb2.ListFlipsRequest(name=name, **more)
    return await index.stub.ListFlips(request, **as_steward(index))


async def approve(index: Index, name: str, by: str = "2"):
    request = models_pb2.ApproveModelRequest(name=name, reason="looked at the flips")
    return (await index.stub.ApproveModel(request, **as_steward(index, by))).model


async def adopt(index: Index, name: str):
    request = models_pb2.AdoptModelRequest(name=name, reason="better")
    return await index.stub.AdoptModel(request, **as_steward(index))


async def refused(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return refusal(error.value)[1]


async def two_linked_by_the_model(index: Index):
    first = (await index.register()).registration
    second = (await index.register(organization=HOSPITAL_B)).registration
    assert first.person_id == second.person_id
    return first, second


# Alike but for a swapped date and a home far away: fs-1 puts it to review.
SLIP = {"born": "1984-05-02", "phone": "", "place": "570101"}


async def two_that_a_bolder_model_would_join(index: Index):
    first = (await index.register(born="1984-02-05", local_number="7")).registration
    second = (await index.register(**SLIP, organization=HOSPITAL_B, local_number="7")).registration
    assert first.person_id != second.person_id
    return first, second


async def reviews(index: Index):
    return (await index.stub.ListReviews(service_pb2.ListReviewsRequest(), **as_steward(index))).reviews


async def test_a_bolder_model_joins_and_a_shyer_one_parts_and_both_are_listed_before_anything_happens(index: Index):
    linked = await two_linked_by_the_model(index)
    alike = await two_that_a_bolder_model_would_join(index)
    announced = await index.announced()
    await register_model(index, a_model("fs-2", certain=0.0))
    await register_model(index, a_model("fs-3", certain=90.0))
    bold, shy = await shadow(index, "fs-2"), await shadow(index, "fs-3")
    assert (bold.scored, bold.registrations, bold.against, bold.parts) == (4, 4, "fs-1", 0)
    (join,) = [
        one
        for one in (await flips(index, "fs-2", kind=JOIN)).flips
        if {one.registration_id, one.other_registration_id} == {held.registration_id for held in alike}
    ]
    assert (join.kind, join.grade_after) == (JOIN, resources_pb2.MATCH_GRADE_CERTAIN)
    assert join.grade_before > join.grade_after
    (part,) = (await flips(index, "fs-3")).flips
    assert {part.registration_id, part.other_registration_id} == {held.registration_id for held in linked}
    assert (part.kind, part.grade_before, shy.parts) == (PART, resources_pb2.MATCH_GRADE_CERTAIN, 1)
    assert await index.announced() == announced


async def test_a_model_decides_only_after_another_person_approved_what_it_would_do(index: Index):
    await two_that_a_bolder_model_would_join(index)
    await register_model(index, a_model("fs-2", certain=0.0))
    assert await refused(approve(index, "fs-2")) == "MODEL_UNSCORED"
    await shadow(index, "fs-2")
    assert await refused(adopt(index, "fs-2")) == "MODEL_UNAPPROVED"
    assert await refused(approve(index, "fs-2", by="1")) == "MODEL_YOURS"
    assert list((await approve(index, "fs-2")).approved_by) == ["practitioner/2"]
    assert (await adopt(index, "fs-2")).previous == "fs-1"
    listed = (await index.stub.ListModels(models_pb2.ListModelsRequest(), **as_steward(index))).models
    assert [(one.name, one.is_adopted, one.definition) for one in listed] == [("fs-2", True, ""), ("fs-1", False, "")]


async def models_of(index: Index, registration) -> list[str]:
    request = service_pb2.ListDecisionsRequest(registration_id=registration.registration_id)
    return [one.model for one in (await index.stub.ListDecisions(request, **index.hospital())).decisions]


async def adopt_in_full(index: Index, name: str, certain: float):
    await register_model(index, a_model(name, certain=certain))
    await shadow(index, name)
    await approve(index, name)
    return await adopt(index, name)


async def test_the_adopted_model_decides_what_comes_until_the_old_one_is_adopted_again(index: Index):
    await two_that_a_bolder_model_would_join(index)
    await adopt_in_full(index, "fs-2", 0.0)
    third = (await index.register(**SLIP, organization="99007", given="ธนพลกิตติ")).registration
    fourth = (
        await index.register(**{**SLIP, "born": "1984-02-05"}, organization="99008", given="ธนพลกิตติ")
    ).registration
    assert (await models_of(index, fourth), fourth.person_id) == (["", "fs-2"], third.person_id)
    assert (await adopt(index, "fs-1")).previous == "fs-2"
    fifth = (await index.register(**SLIP, organization="99007", given="กมลชนก", local_number="3")).registration
    sixth = (
        await index.register(born="1984-02-05", phone="", organization="99008", given="กมลชนก", local_number="3")
    ).registration
    assert (await models_of(index, sixth), sixth.person_id == fifth.person_id) == ([""], False)
    # A model that decided before needs no new approval.
    assert (await adopt(index, "fs-2")).previous == "fs-1"


async def test_what_stood_stands_and_flips_are_for_people_until_going_back_withdraws_them(index: Index):
    linked = await two_linked_by_the_model(index)
    adopted = await adopt_in_full(index, "fs-3", 90.0)
    assert adopted.reviews == 1
    assert len((await index.person(linked[0].person_id)).registrations) == 2
    (asked,) = await reviews(index)
    assert asked.candidate.rule == "model-parts"
    await adopt(index, "fs-1")
    assert not await reviews(index)


INVALID = [
    "{}",
    "no json",
    a_model("fs-2", certain=1.0, comparisons=[]),
    a_model("fs-2", certain=1.0, prior=0),
    a_model("fs-2", certain=1.0, thresholds={"certain": 1.0}),
]


@pytest.mark.parametrize("text", INVALID)
async def test_a_model_that_could_not_decide_is_refused_with_what_is_wrong(index: Index, text):
    assert await refused(register_model(index, text)) == "MODEL_INVALID"


async def test_a_name_is_given_once_and_unknown_ones_are_said_to_be(index: Index):
    text = a_model("fs-2", certain=1.0)
    assert await register_model(index, text) == await register_model(index, text, "2")
    assert await refused(register_model(index, a_model("fs-2", certain=2.0))) == "MODEL_EXISTS"
    assert await refused(register_model(index, a_model("fs-1", certain=2.0))) == "MODEL_EXISTS"
    assert await refused(shadow(index, "fs-9")) == "MODEL_UNKNOWN"
    assert await refused(shadow(index, "fs-1")) == "MODEL_ADOPTED"
    assert await refused(flips(index, "fs-9")) == "MODEL_UNKNOWN"
    assert await refused(adopt(index, "fs-9")) == "MODEL_UNKNOWN"


async def test_flips_come_in_pages_that_hold_each_once(index: Index):
    for number in range(3):
        given = f"{'กขค'[number]}นพลกิตติ"
        await index.register(given=given, local_number=str(number), phone="")
        await index.register(given=given, local_number=str(number), phone="", organization=HOSPITAL_B)
    await register_model(index, a_model("fs-3", certain=90.0))
    run = await shadow(index, "fs-3")
    seen, token = [], ""
    while True:
        page = await flips(index, "fs-3", page_size=2, page_token=token)
        seen += [(one.registration_id, one.other_registration_id) for one in page.flips]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == run.parts == 3


async def test_a_run_that_was_cut_off_goes_on_and_counts_nothing_twice(index: Index, monkeypatch):
    await two_linked_by_the_model(index)
    await two_that_a_bolder_model_would_join(index)
    database = index.running.database
    await register_model(index, a_model("fs-3", certain=90.0))
    transactions = Transactions(database, key_of, event_of, dict)
    scoring = Shadowing(transactions, database, lambda: NOW)
    monkeypatch.setattr("services.patient_index.api.shadowing.SCORED_AT_ONCE", 1)
    async with database.writing() as writer:
        await writer.lock(models.LOCK)
        await models.begin_run(writer, "fs-3", FS_1.name, NOW)
    assert await scoring.score_some("fs-3")

    async def dies(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(models, "advance_run", dies)
        with pytest.raises(OSError, match="the disk is full"):
            await scoring.score_some("fs-3")
    # Another process, and the service's own work beside it.
    again = Shadowing(transactions, database, lambda: NOW)
    while await again.score_some("fs-3"):
        pass
    async with database.reading() as reader:
        run = await models.read_run(reader, "fs-3")
    assert (run.scored, run.registrations, run.parts, run.is_finished) == (4, 4, 1, True)
