"""Review through the real chain: claimed by one at a time, decided by as many as it needs, and measured blindly."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from nhip.patient_index.v1 import resources_pb2, reviews_pb2, service_pb2
from prometheus_client import REGISTRY

from libs.clock import system_clock
from services.patient_index import figures
from services.patient_index.rules.reviewing import REVIEW_RULES
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import HOSPITAL_A, HOSPITAL_B, a_number

SAME, DIFFERENT, UNSURE = reviews_pb2.VERDICT_SAME, reviews_pb2.VERDICT_DIFFERENT, reviews_pb2.VERDICT_UNSURE
DONE, WAITS, DISPUTED = (
    reviews_pb2.REVIEW_OUTCOME_CARRIED_OUT,
    reviews_pb2.REVIEW_OUTCOME_WAITS,
    reviews_pb2.REVIEW_OUTCOME_DISPUTED,
)
BRIDE = {"prefix": "นางสาว", "given": "วรรณา", "sex": 2}


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


def reviewer(index: Index, name: str) -> dict:
    metadata = index.running.token(scopes="registrations.link", organization=HOSPITAL_A, subject=f"practitioner/{name}")
    return {"metadata": metadata, "timeout": 20}


async def a_married_woman(index: Index):
    """Two registrations that are probably one person."""
    maiden = (await index.register(**BRIDE)).registration
    married = (await index.register(**BRIDE, family="มั่งมีสุข", organization=HOSPITAL_B)).registration
    return maiden, married


async def a_contradicted_number(index: Index):
    """Two that show one number and are not alike: four eyes."""
    told = {"number": a_number(1), "phone": ""}
    first = (await index.register(**told)).registration
    second = (
        await index.register(**told, given="กิตติ", family="มั่งมีสุข", born="1991-01-01", organization=HOSPITAL_B)
    ).registration
    return first, second


async def claim(index: Index, name: str, *pair: resources_pb2.Registration):
    request = reviews_pb2.ClaimReviewRequest()
    if pair:
        request.registration_id, request.other_registration_id = (one.registration_id for one in pair)
    return await index.stub.ClaimReview(request, **reviewer(index, name))


async def decide(index: Index, name: str, pair, verdict):
    one, other = pair
    request = reviews_pb2.DecideReviewRequest(
        registration_id=one.registration_id,
        other_registration_id=other.registration_id,
        verdict=verdict,
        reason="seen both cards",
    )
    return await index.stub.DecideReview(request, **reviewer(index, name))


async def refused(call) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return refusal(error.value)[1]


async def persons(index: Index, pair) -> set[str]:
    placed = {one.registration_id: one.person_id for one in await index.announced()}
    return {placed[one.registration_id] for one in pair}


async def test_one_verdict_joins_an_ordinary_pair_and_keeps_who_said_so(index: Index):
    pair = await a_married_woman(index)
    task = (await claim(index, "1")).task
    assert {task.registration.registration_id, task.candidate.registration.registration_id} == {
        one.registration_id for one in pair
    }
    assert task.reviewers_needed == 1
    answer = await decide(index, "1", pair, SAME)
    assert answer.outcome == DONE
    assert len(await persons(index, pair)) == 1
    assert list(answer.decisions[0].evidence.reviewers) == ["practitioner/1"]
    assert not (await index.stub.ListReviews(service_pb2.ListReviewsRequest(), **reviewer(index, "1"))).reviews
    assert not (await claim(index, "2")).HasField("task")


async def test_two_people_are_held_apart_and_not_asked_about_again(index: Index):
    pair = await a_married_woman(index)
    await claim(index, "1", *pair)
    answer = await decide(index, "1", pair, DIFFERENT)
    assert [one.kind for one in answer.decisions] == [resources_pb2.DECISION_KIND_PART]
    await index.register(**BRIDE, family="มั่งมีสุข", organization=HOSPITAL_B, place="501201")
    assert not (await index.stub.ListReviews(service_pb2.ListReviewsRequest(), **reviewer(index, "1"))).reviews


async def test_a_review_is_worked_on_by_one_at_a_time_until_it_is_given_back(index: Index):
    pair = await a_married_woman(index)
    given = await asyncio.gather(claim(index, "1"), claim(index, "2"))
    assert sorted(one.HasField("task") for one in given) == [False, True]
    holder, other = ("1", "2") if given[0].HasField("task") else ("2", "1")
    assert await refused(claim(index, other, *pair)) == "REVIEW_TAKEN"
    assert await refused(decide(index, other, pair, SAME)) == "REVIEW_NOT_YOURS"
    request = reviews_pb2.ReleaseReviewRequest(
        registration_id=pair[0].registration_id, other_registration_id=pair[1].registration_id
    )
    await index.stub.ReleaseReview(request, **reviewer(index, holder))
    assert (await claim(index, other, *pair)).HasField("task")


async def test_a_claim_expires_and_with_it_the_right_to_decide(database_url):
    now = [system_clock()]
    async with an_index(database_url, lambda: now[0]) as index:
        pair = await a_married_woman(index)
        await claim(index, "1")
        now[0] += REVIEW_RULES.lease + timedelta(minutes=1)
        assert await refused(decide(index, "1", pair, SAME)) == "REVIEW_NOT_YOURS"
        assert (await claim(index, "2")).HasField("task")


async def test_contradicted_numbers_need_two_reviewers_who_say_the_same(index: Index):
    pair = await a_contradicted_number(index)
    assert (await claim(index, "1", *pair)).task.reviewers_needed == 2
    assert (await decide(index, "1", pair, SAME)).outcome == WAITS
    assert len(await persons(index, pair)) == 2
    # The same reviewer is not given it again, by name or by turn.
    assert not (await claim(index, "1")).HasField("task")
    assert await refused(claim(index, "1", *pair)) == "REVIEW_TAKEN"
    assert (await claim(index, "2")).HasField("task")
    answer = await decide(index, "2", pair, SAME)
    assert (answer.outcome, len(await persons(index, pair))) == (DONE, 1)
    assert list(answer.decisions[0].evidence.reviewers) == ["practitioner/1", "practitioner/2"]


async def test_a_dispute_goes_before_others_and_a_third_reviewer_ends_it(index: Index):
    pair = await a_contradicted_number(index)
    for name, verdict, outcome in (("1", SAME, WAITS), ("2", DIFFERENT, DISPUTED), ("3", DIFFERENT, DONE)):
        await claim(index, name, *pair)
        assert (await decide(index, name, pair, verdict)).outcome == outcome
    assert len(await persons(index, pair)) == 2


async def test_what_does_not_wait_cannot_be_claimed(index: Index):
    maiden, _ = await a_married_woman(index)
    assert await refused(claim(index, "1", maiden, maiden)) == "REVIEW_UNKNOWN"


async def test_a_sample_is_judged_blindly_by_two_and_tells_precision_and_recall(index: Index):
    for number in range(3):
        told = {"number": a_number(number + 1), "given": f"{'กขค'[number]}นพล", "local_number": f"s{number}"}
        await index.register(**told)
        await index.register(**told, organization=HOSPITAL_B)
    await a_married_woman(index)
    drawn = await index.stub.DrawSample(reviews_pb2.DrawSampleRequest(size=200), **reviewer(index, "1"))
    assert (drawn.linked > 0, drawn.unlinked > 0) == (True, True)
    judged = set()
    for name in ("1", "2"):
        while True:
            task = (await index.stub.ClaimSample(reviews_pb2.ClaimSampleRequest(), **reviewer(index, name))).task
            if not task.registration.registration_id:
                break
            # Nothing tells whether the index thinks them one.
            assert not task.registration.person_id
            assert not task.other.person_id
            judged.add((task.registration.registration_id, task.other.registration_id))
            is_same = task.registration.names[0].given == task.other.names[0].given
            request = reviews_pb2.JudgeSampleRequest(
                registration_id=task.registration.registration_id,
                other_registration_id=task.other.registration_id,
                verdict=SAME if is_same else DIFFERENT,
            )
            await index.stub.JudgeSample(request, **reviewer(index, name))
            assert await refused(index.stub.JudgeSample(request, **reviewer(index, name))) == "REVIEW_NOT_YOURS"
    quality = await index.stub.GetQuality(reviews_pb2.GetQualityRequest(), **reviewer(index, "1"))
    total = quality.qualities[0]
    assert (total.dimension, total.precision.share) == ("all", 1.0)
    assert total.precision.total == 3
    assert 0 < total.recall.share < 1
    assert total.precision.low < 0.5 < total.precision.high == 1.0
    assert quality.agreement.counted == quality.agreement.total == len(judged)
    assert {one.dimension for one in quality.qualities} == {"all", "region", "age", "nationality", "script"}
    await figures.refresh(index.running.database, system_clock)
    labels = {"dimension": "all", "stratum": "", "bound": "share"}
    assert REGISTRY.get_sample_value("nhip_linkage_precision", labels) == 1.0
    assert REGISTRY.get_sample_value("nhip_linkage_recall", labels) == pytest.approx(total.recall.share)
    assert REGISTRY.get_sample_value("nhip_reviews_open", {"state": "waiting"}) >= 1
    assert 0 < REGISTRY.get_sample_value("nhip_review_oldest_seconds") < 3600
