"""What is shown of persons: golden views with their sources, who holds records, and why two are thought one."""

import xml.etree.ElementTree as ET
from datetime import timedelta
from itertools import pairwise

import grpc
import pytest
from nhip.patient_index.v1 import resources_pb2, service_pb2, viewing_pb2

from services.patient_index.rules.drawing import draw
from services.patient_index.rules.explaining import bits, explain, word
from services.patient_index.rules.placing import weigh
from services.patient_index.rules.surviving import SURVIVORSHIP_1, Telling, read_rules, survivor
from services.patient_index.rules.weighing import FS_1
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import (
    CLINIC,
    HOSPITAL_B,
    NOW,
    a_message,
    a_number,
    a_person,
    a_world,
)
from tests.services.patient_index.test_rules_placing import at_a, at_b, registered

NUMBER = a_number(1)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


async def file(index: Index, **told) -> resources_pb2.Registration:
    """Registers with what `a_message` does not tell: when it was written, a death."""
    days, death = told.pop("days_ago", 0), told.pop("died", "")
    message = a_message(**told)
    message.source_updated_at.FromDatetime(NOW - timedelta(days=days))
    message.death_date = death
    request = service_pb2.RegisterRequest(registration=message)
    return (await index.stub.Register(request, **index.hospital(message.organization_id))).registration


async def golden(index: Index, person_id: str, **call) -> viewing_pb2.GoldenView:
    request = viewing_pb2.GetGoldenViewRequest(person_id=person_id)
    return (await index.stub.GetGoldenView(request, **(call or index.hospital()))).view


def telling(one: str, meaning: str, **more) -> Telling:
    return Telling(one, meaning, more.get("fullness", 1), more.get("trust", 0), NOW + timedelta(more.get("days", 0)))


WINNERS = [
    ([telling("a", "x")], ("complete",), ("a", "only", 1, 0)),
    ([telling("a", "x"), telling("b", "y", fullness=2)], ("complete", "recent"), ("b", "complete", 1, 1)),
    ([telling("a", "x", trust=1), telling("b", "y")], ("complete", "trusted"), ("b", "trusted", 1, 1)),
    ([telling("a", "x"), telling("b", "y", days=1)], ("trusted", "recent"), ("b", "recent", 1, 1)),
    (
        [telling("c", "x", days=9), telling("b", "y"), telling("a", "y")],
        ("agreed", "recent"),
        ("a", "agreed", 2, 1),
    ),
    ([telling("b", "x"), telling("a", "y")], ("recent",), ("a", "first", 1, 1)),
]


@pytest.mark.parametrize(("tellings", "criteria", "expected"), WINNERS)
def test_the_first_criterion_that_tells_two_apart_decides_whatever_the_order(tellings, criteria, expected):
    for order in (tellings, tellings[::-1]):
        won = survivor(order, criteria)
        assert (won.registration_id, won.won_by, won.agreeing, won.differing) == expected


def test_what_nobody_tells_nobody_wins_and_rules_name_only_what_is_known():
    assert survivor([], ("recent",)) is None
    with pytest.raises(ValueError, match="luck"):
        read_rules('{"name": "x", "trust": [], "fields": {"sex": ["luck"]}}')
    assert set(SURVIVORSHIP_1.fields) <= {field.name for field in viewing_pb2.GoldenView.DESCRIPTOR.fields}


async def test_each_field_of_a_golden_view_comes_from_the_registration_that_tells_it_best(index: Index):
    old = await file(index, number=NUMBER, born="1984-02-29", phone="081-111-1111", days_ago=900, family="ใจดีงาม")
    new = await file(
        index, number=NUMBER, born="1984", phone="089-999-9999", place="100101", organization=HOSPITAL_B, days_ago=10
    )
    await file(
        index,
        number=NUMBER,
        phone="",
        organization=CLINIC,
        days_ago=5,
        roman=("Somchai", "Jaidee"),
        place="",
        born="1984",
    )
    view = await golden(index, old.person_id)
    source = {one.field: one for one in view.sources}
    assert (view.birth_date, source["birth_date"].registration_id) == ("1984-02-29", old.registration_id)
    assert (source["birth_date"].won_by, source["birth_date"].differing) == ("complete", 2)
    assert (view.phone, source["phone"].registration_id, source["phone"].won_by) == (
        "089-999-9999",
        new.registration_id,
        "recent",
    )
    assert source["phone"].written_at == new.source_updated_at
    assert (view.address.place_code, source["address"].organization_id) == ("100101", HOSPITAL_B)
    assert (view.name_en.given, view.name_th.given, source["name_th"].won_by) == ("Somchai", "สมชาย", "only")
    assert [one.value for one in view.identifiers] == [NUMBER]
    assert (view.rules, view.is_unnamed) == ("survivorship-1", False)


async def test_a_death_that_one_registration_tells_is_not_undone_by_one_that_does_not(index: Index):
    first = await file(index, number=NUMBER, died="2026-01-02", days_ago=30)
    await file(index, number=NUMBER, organization=HOSPITAL_B, days_ago=1)
    view = await golden(index, first.person_id)
    assert view.death_date == "2026-01-02"


@pytest.mark.parametrize("given", ["ไม่ทราบ", "-", "ชายไม่ทราบชื่อ", "บุตรนางสาวสมหญิง", ""])
async def test_placeholders_are_nobodys_name_and_two_of_them_are_two_people(index: Index, given):
    told = {"given": given, "family": "ไม่ทราบ", "prefix": "", "phone": ""}
    first = await file(index, **told)
    second = await file(index, **told, organization=HOSPITAL_B)
    assert first.person_id != second.person_id
    view = await golden(index, first.person_id)
    assert view.is_unnamed
    assert not view.HasField("name_th")
    assert {one.field for one in view.sources} >= {"birth_date", "sex"}


async def test_twins_keep_a_view_each(index: Index):
    first = await file(index, given="ธนพล")
    second = await file(index, given="ธนกร", local_number="2")
    assert {(await golden(index, one.person_id)).name_th.given for one in (first, second)} == {"ธนพล", "ธนกร"}


def explained(language="en", **told):
    world = a_world()
    first, second = registered(world, at_a(**told), at_b())
    found = weigh(world, first.held.features, second.held.registration_id, first.held.registration_id)
    return explain(found, language)


def test_the_steps_of_an_explanation_add_up_to_the_weight():
    told = explained()
    assert told.steps[0].total == pytest.approx(told.prior + told.steps[0].weight)
    assert told.steps[-1].total == pytest.approx(told.match.weight)
    assert told.prior == pytest.approx(FS_1.prior_bits)


def test_every_level_of_the_model_has_words_in_both_languages():
    for field, levels in FS_1.comparisons.items():
        for language in ("th", "en"):
            assert word("fields", field, language) not in ("", field)
        for level in (*levels, "missing"):
            thai, english = word("levels", level, "th"), word("levels", level, "en")
            assert thai != english, level


def test_a_level_that_has_no_words_yet_is_called_by_its_name():
    assert word("levels", "same_moon_phase", "th") == "same moon phase"


@pytest.mark.parametrize(("weight", "told"), [(12.345, "+12.3"), (-4, "\u22124.0"), (0.04, "0")])
def test_weights_are_told_with_their_sign(weight, told):
    assert bits(weight) == told


@pytest.mark.parametrize("language", ["th", "en"])
def test_the_picture_tells_every_field_in_text_and_holds_nobodys_values(language):
    told = explained(language, family="มั่งมีสุข")
    drawn = draw(told)
    root = ET.fromstring(drawn)  # noqa: S314 our own picture
    assert root.get("role") == "img"
    assert {one.get("id") for one in root.iter() if one.get("id")} == set(root.get("aria-labelledby").split())
    texts = [one.text for one in root.iter(f"{SVG}text")]
    for step in told.steps:
        assert {step.name, step.finding, bits(step.weight)} <= set(texts)
    assert len([one for one in root.iter(f"{SVG}g") if one.get("role") == "listitem"]) == len(told.steps) + 2
    features = a_person(family="มั่งมีสุข")
    for value in (features.given, features.family, features.birth_date, features.phone, "ใจดีงาม"):
        assert value not in drawn


def test_each_bar_begins_where_the_last_one_ended_and_stays_within_the_picture():
    root = ET.fromstring(draw(explained(family="มั่งมีสุข", sex=2, born="1950-01-01")))  # noqa: S314 our own picture
    bars = [one for one in root.iter(f"{SVG}rect") if one.get("y")]
    spans = [(float(one.get("x")), float(one.get("x")) + float(one.get("width"))) for one in bars]
    width = float(root.get("width"))
    assert all(0 < left < right < width for left, right in spans)
    for (left, right), (next_left, next_right) in pairwise(spans[:-1]):
        assert min(abs(one - other) for one in (left, right) for other in (next_left, next_right)) < 2


async def explain_pair(index: Index, one: str, other: str, language=viewing_pb2.LANGUAGE_TH, **call):
    request = viewing_pb2.ExplainMatchRequest(registration_id=one, other_registration_id=other, language=language)
    return (await index.stub.ExplainMatch(request, **call)).explanation


async def test_a_citizen_learns_in_thai_or_english_why_their_registrations_are_one_and_of_nobody_else(index: Index):
    first = await file(index, number=NUMBER)
    second = await file(index, number=NUMBER, organization=HOSPITAL_B, family="มั่งมีสุข")
    other = await file(index, number=a_number(2), given="กิตติ", family="เจริญพร", local_number="9")
    me = index.citizen(NUMBER)
    thai = await explain_pair(index, first.registration_id, second.registration_id, **me)
    assert thai.rule == "citizen-id-and-birth-date"
    assert "เลขประจำตัวประชาชนและวันเกิดตรงกัน" in thai.conclusion
    assert {one.name for one in thai.fields} >= {"ชื่อ", "นามสกุล"}
    english = await explain_pair(index, first.registration_id, second.registration_id, viewing_pb2.LANGUAGE_EN, **me)
    assert {one.field: one.finding for one in english.fields}["family_name"] == "different"
    assert english.weight == pytest.approx(english.prior + sum(one.weight for one in english.fields))
    picture = viewing_pb2.DrawMatchRequest(
        registration_id=first.registration_id, other_registration_id=second.registration_id
    )
    drawn = await index.stub.DrawMatch(picture, **me)
    assert drawn.content_type == "image/svg+xml"
    assert "ชื่อ" in drawn.body.decode()
    for pair in ((first, other), (other, first), (other, other)):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await explain_pair(index, pair[0].registration_id, pair[1].registration_id, **me)
        assert refusal(error.value)[:2] == ("NOT_FOUND", "REGISTRATION_UNKNOWN")


async def test_a_form_is_explained_against_a_registration(index: Index):
    held = await file(index, number=NUMBER)
    request = viewing_pb2.ExplainFormRequest(
        registration_id=held.registration_id,
        form=a_message(organization="", local_number="", born="1984-03-29"),
        language=viewing_pb2.LANGUAGE_EN,
    )
    told = (await index.stub.ExplainForm(request, **index.hospital())).explanation
    findings = {one.field: one.finding for one in told.fields}
    assert findings["given_name"] == "the same"
    assert told.fields[-1].total == pytest.approx(told.weight)
    request.form.birth_date = "2570-01-01"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.stub.ExplainForm(request, **index.hospital())
    assert refusal(error.value) == ("INVALID_ARGUMENT", "BIRTH_DATE_INVALID", ["form.birth_date"])
