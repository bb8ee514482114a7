"""Whatever leads a search, it finds the same: what is walked and what is tried against all that match, sorted."""

import json
import random

import pytest

from libs.fhir.moments import Span, span_of
from services.records.rules.queries import DateCondition
from services.records.store.searching import frequencies, pages
from services.records.store.searching.leading import LASTING, Beginnings, Lead, Plan, beginnings, plan_of
from tests.services.records.stage import A, B, Stage, an_encounter, an_observation, treating

QUERIES = (
    "Observation?code=718-7",
    "Observation?code=718-7&_sort=date",
    "Observation?code=718-7&date=2024-05",
    "Observation?code=718-7&date=ge2024-05-10&_sort=date",
    "Observation?code=718-7&date=ge2024-05-10&_sort=-date",
    "Observation?code=718-7&date=gt2024-05-10&date=lt2024-05-20&_sort=date",
    "Observation?code=718-7&date=sa2024-05-10,eb2024-05-03&_sort=date",
    "Observation?code=718-7&date=ne2024-05-10&_sort=-date",
    "Observation?code=718-7&date=ap2024-05-10&_sort=-date",
    "Observation?code=718-7&value-quantity=gt10",
    "Observation?code=718-7&value-quantity=le10&_sort=date",
    "Observation?code=718-7&value-quantity=12",
    "Observation?code=718-7&status=final,amended",
    "Observation?code=718-7&status=final&value-quantity=ge10&date=ge2024-05-05",
    "Observation?code=718-7&patient.gender=female",
    "Observation?code=718-7&patient.gender=female&value-quantity=lt10",
    "Observation?patient.gender=female",
    "Observation?patient.gender=female&status=final&_sort=-date",
    "Observation?value-quantity=gt10",
    "Observation?value-quantity=gt10&_sort=date",
    "Observation?value-quantity=lt10&date=ge2024-05-10",
    "Observation?code-value-quantity=718-7$gt10",
    "Observation?component-value-quantity=gt10",
    "Observation?status=final&date=2024-05",
    "Observation?code=718-7&_sort=value-quantity,-date",
    "Patient?gender=female&birthdate=1984",
    "Patient?_has:Observation:patient:code=718-7&gender=female",
    "Encounter?date=ge2024-05-10&class=AMB&_sort=date",
)


@pytest.fixture
async def ward(stage: Stage) -> Stage:
    """Sixty measurements, of which some share a day, some last, some have no number, some are hidden, changed or gone."""
    seeded = random.Random(5)  # noqa: S311 the same every time, and no secret
    for number in (1, 2, 3):
        await stage.arrive(f"reg-{number}")
    await stage.arrive("reg-9", B)
    for number in range(60):
        patient, organization = (f"reg-{number % 3 + 1}", A) if number % 5 else ("reg-9", B)
        made = an_observation(
            patient,
            code=seeded.choice(("718-7", "718-7", "2345-7")),
            on=f"2024-05-{seeded.randint(1, 25):02d}",
            value=seeded.randint(6, 14),
        )
        made["status"] = seeded.choice(("final", "final", "amended"))
        match number % 6:
            case 1:
                del made["valueQuantity"]
            case 2:
                del made["effectiveDateTime"]
                end = "" if number % 4 else f"2024-05-{seeded.randint(26, 30)}"
                made["effectivePeriod"] = {
                    "start": f"2024-{seeded.choice(('01', '05'))}-02",
                    **({"end": end} if end else {}),
                }
            case 3:
                del made["valueQuantity"]
                made["component"] = [{"code": made["code"], "valueQuantity": {"value": seeded.randint(6, 14)}}]
        stored = await stage.create(made, organization)
        if number % 11 == 0:
            await stage.update({**made, "id": stored.id, "code": {"text": "another"}}, organization)
    for day in (3, 11, 28):
        await stage.create(an_encounter("reg-1", on=f"2024-05-{day:02d}T09:00:00+07:00"))
    return stage


async def in_pages(stage: Stage, query: str, count: int = 4) -> list[str]:
    """The keys of all pages."""
    page = await stage.search(f"{query}&_count={count}", treating(stage, A))
    found = [one.id for one in page.matches]
    while page.next_page_token:
        page = await stage.search(f"{query}&_count={count}", treating(stage, A), page_token=page.next_page_token)
        found += [one.id for one in page.matches]
    return found


async def test_whatever_leads_the_pages_are_the_same(ward: Stage, monkeypatch: pytest.MonkeyPatch):
    def by_values(query) -> Plan:
        return Plan(Lead.VALUES, order=plan_of(query).order)

    def learnt(*, many: bool) -> None:
        monkeypatch.setattr(frequencies, "_is_many", lambda _: many)

    with monkeypatch.context() as plain:
        plain.setattr(pages, "plan_of", by_values)
        expected = {query: await in_pages(ward, query) for query in QUERIES}
    assert sum(map(len, expected.values())) > 300
    assert sum(1 for found in expected.values() if not found) == 0
    # Trials that always suffice, that sometimes do, and that never do.
    for entries in (1000, 9, 1):
        monkeypatch.setattr(pages, "_TRIAL", {Lead.CODE: entries, Lead.ORDER: entries})
        for many in (True, False):
            learnt(many=many)
            assert {query: await in_pages(ward, query) for query in QUERIES} == expected


async def test_totals_are_of_all_that_match_whatever_leads_their_page(ward: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frequencies, "_is_many", lambda _: True)
    for query in QUERIES:
        page = await ward.search(f"{query}&_count=3&_total=accurate", treating(ward, A))
        assert page.total == len(await in_pages(ward, query)) > 0, query


async def test_a_walk_that_is_tried_is_told_from_one_that_leads(ward: Stage, monkeypatch: pytest.MonkeyPatch):
    operating = ward.token(purpose=1, scopes="user/*.cruds audit.read")
    monkeypatch.setattr(frequencies, "_is_many", lambda _: True)
    for query, lead in (
        ("Observation?code=718-7&value-quantity=gt10", "code by date"),
        ("Observation?value-quantity=gt10", "order"),
        ("Observation?value-quantity=gt10&_total=accurate", "values"),
        ("Observation?patient.family=ใจดี", "values"),
    ):
        told = json.loads((await ward.search(f"{query}&_count=2&_explain=true", operating)).explanation)
        assert told["lead"] == lead, query


def on(prefix: str, day: str = "2024-05-10") -> DateCondition:
    return DateCondition(("effective",), True, ((prefix, the(day)),))


def the(day: str) -> Span:
    span = span_of(day)
    assert span is not None
    return span


@pytest.mark.parametrize(
    ("prefix", "first", "last"),
    [
        ("eq", "low", "high"),
        ("sa", "high", None),
        ("lt", None, "low"),
        ("eb", None, "low"),
        ("le", None, "high"),
        ("ne", None, None),
        ("ap", None, None),
    ],
)
def test_a_walk_begins_and_ends_where_a_match_can(prefix: str, first: str | None, last: str | None):
    day = the("2024-05-10")
    expected = Beginnings(first and getattr(day, first), last and getattr(day, last), None)
    assert beginnings([on(prefix)]) == expected


@pytest.mark.parametrize("prefix", ["ge", "gt"])
def test_what_is_later_began_lately_unless_it_lasts(prefix: str):
    assert beginnings([on(prefix)]) == Beginnings(None, None, the("2024-05-10").low - LASTING)


def test_of_several_conditions_the_narrowest_bound_counts_and_of_alternatives_the_widest():
    sooner, later = the("2024-05-10"), the("2024-05-20")
    assert beginnings([on("sa"), on("sa", "2024-05-20")]).first == later.high
    either = DateCondition(("effective",), True, (("eq", later), ("eq", sooner)))
    assert beginnings([either]) == Beginnings(sooner.low, later.high, None)
    assert beginnings([DateCondition(("effective",), True, (("eq", later), ("ne", sooner)))]) == Beginnings(
        None, None, None
    )
    assert beginnings([DateCondition(("issued",), False, (("eq", later),))]) == Beginnings(None, None, None)
