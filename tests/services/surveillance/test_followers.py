"""What becomes of the two feeds, in whatever order they come."""

import asyncio
import itertools
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.database.engine import Database
from services.surveillance.diseases import packaged
from services.surveillance.followers import Followers
from services.surveillance.store import lists
from tests.services.surveillance.telling import (
    NOW,
    a_diagnosis,
    a_placement,
    announced,
    state,
    tell_index,
    tell_records,
)

SUSPECTED, CONFIRMED, DISCARDED = 1, 2, 3


@pytest.fixture
async def database(database_url):
    connected = await Database.connect(database_url("surveillance"), name="test", max_size=3)
    yield connected
    await connected.close()


@pytest.fixture
def followers():
    return Followers(packaged(), lambda: NOW)


async def listed(database: Database, **query):
    async with database.reading() as reader:
        return (await lists.list_cases(reader, lists.CaseQuery(**query), None, 100)).cases


async def test_a_reportable_diagnosis_becomes_a_case_with_place_age_and_week(database, followers):
    await tell_index(database, followers, a_placement("r1", "p1", home="501001", born="1984-02-29"))
    await tell_records(database, followers, a_diagnosis("d1", "A97.9", of="r1", onset="2026-07-28"))
    (case,) = await listed(database)
    assert case.finding.disease_code == "66"
    assert case.finding.icd10 == "A979"
    assert case.standing.person_id == "p1"
    assert case.standing.place_code == "501001"
    assert case.standing.age_years == 42
    assert case.standing.week_on == date(2026, 7, 27)
    assert await announced(database) == [(case.finding.case_id, 1, CONFIRMED)]


async def test_a_diagnosis_that_comes_before_its_placement_gets_its_place_when_it_comes(database, followers):
    await tell_records(database, followers, a_diagnosis("d1", "A90", of="r1"))
    (case,) = await listed(database)
    assert (case.standing.place_code, case.standing.person_id, case.standing.age_years) == ("", "", -1)
    await tell_index(database, followers, a_placement("r1", "p1"))
    (case,) = await listed(database)
    assert (case.standing.place_code, case.standing.person_id, case.standing.age_years) == ("501001", "p1", 42)
    assert [version for _, version, _ in await announced(database)] == [1, 2]


async def test_one_person_at_two_hospitals_counts_once_and_unlinking_counts_twice(database, followers):
    await tell_index(database, followers, a_placement("r1", "p1"), a_placement("r2", "p1", at="11042"))
    await tell_records(
        database, followers, a_diagnosis("d1", "A90", of="r1"), a_diagnosis("d2", "A90", of="r2", at="11042")
    )
    assert len(await listed(database)) == 1
    await tell_index(database, followers, a_placement("r2", "p2", at="11042", version=2))
    assert {case.standing.person_id for case in await listed(database)} == {"p1", "p2"}
    await tell_index(database, followers, a_placement("r2", "p1", at="11042", version=3))
    assert len(await listed(database)) == 1
    statuses = [status for _, _, status in await announced(database)]
    assert statuses == [CONFIRMED, CONFIRMED, DISCARDED]


async def test_when_a_registration_leaves_a_person_the_persons_other_findings_are_judged_anew(database, followers):
    await tell_index(database, followers, a_placement("r1", "p1"), a_placement("r2", "p1"))
    await tell_records(database, followers, a_diagnosis("d1", "A90", of="r1"), a_diagnosis("d2", "A90", of="r2"))
    (head,) = await listed(database)
    leaving = head.finding.registration_id
    await tell_index(database, followers, a_placement(leaving, "p9", version=2))
    assert len(await listed(database)) == 2


@pytest.mark.parametrize(
    "change",
    [
        a_diagnosis("d1", "A90", of="r1", version=2, status="refuted"),
        a_diagnosis("d1", "A90", of="r1", version=2, status="entered-in-error"),
        a_diagnosis("d1", "J00", of="r1", version=2),
        a_diagnosis("d1", of="r1", version=2, deleted=True),
    ],
    ids=["refuted", "entered-in-error", "changed", "deleted"],
)
async def test_a_diagnosis_that_no_longer_holds_stops_counting_and_stays_readable(database, followers, change):
    await tell_records(database, followers, a_diagnosis("d1", "A90", of="r1"))
    await tell_records(database, followers, change)
    assert await listed(database) == []
    (case,) = await listed(database, include_discarded=True)
    assert case.standing.status == DISCARDED
    assert [status for _, _, status in await announced(database)] == [CONFIRMED, DISCARDED]


async def test_a_diagnosis_changed_to_another_disease_moves_to_that_disease(database, followers):
    await tell_records(database, followers, a_diagnosis("d1", "A90", of="r1"))
    await tell_records(database, followers, a_diagnosis("d1", "A92.0", of="r1", version=2))
    assert [case.finding.disease_code for case in await listed(database)] == ["84"]


async def test_codes_of_other_systems_name_no_disease(database, followers):
    change = a_diagnosis("d1", "A90", of="r1")
    event = change.event.replace(b"http://hl7.org/fhir/sid/icd-10", b"http://snomed.info/sct/abcdefg")
    assert event != change.event
    change.event = event
    await tell_records(database, followers, change)
    assert await listed(database) == []


async def test_telling_the_same_twice_changes_nothing(database, followers):
    changes = [a_diagnosis("d1", "A90", of="r1"), a_diagnosis("d2", "J180", of="r1")]
    await tell_records(database, followers, *changes)
    before = await state(database), await announced(database)
    await tell_records(database, followers, *changes)
    assert (await state(database), await announced(database)) == before


def an_outbreak(weeks: int = 12, cases: int = 5):
    """One case of another disease long ago, so that the weeks before are known; then many cases in one week."""
    first = date(2026, 7, 27) - timedelta(weeks=weeks)
    yield a_diagnosis("early", "J180", of="early", onset=first.isoformat(), place="501001")
    for number in range(cases):
        yield a_diagnosis(f"d{number}", "A90", of=f"r{number}", onset="2026-07-28", place="501001")


async def alerts_of(database: Database):
    async with database.reading() as reader:
        return await lists.list_alerts(reader, "", "", None, 100)


async def test_a_week_that_stands_out_raises_one_alert_for_the_province_and_one_for_the_district(database, followers):
    await tell_records(database, followers, *an_outbreak())
    assert sorted(alert.cell.place_code for alert in await alerts_of(database)) == ["50", "5010"]
    await tell_records(database, followers, a_diagnosis("more", "A90", of="more", place="501001"))
    raised = await alerts_of(database)
    assert [alert.cases for alert in raised] == [6, 6]
    async with database.pool.acquire() as connection:
        keys = await connection.fetch("SELECT key FROM changes WHERE feed = 'surveillance'")
    assert sorted(row["key"] for row in keys if row["key"] in {one.alert_id for one in raised}) == sorted(
        one.alert_id for one in raised
    )


async def test_two_cases_in_a_week_raise_no_alert(database, followers):
    await tell_records(database, followers, *an_outbreak(cases=2))
    assert await alerts_of(database) == []


async def test_a_platform_that_knows_no_weeks_before_raises_no_alert(database, followers):
    await tell_records(database, followers, *an_outbreak(weeks=5))
    assert await alerts_of(database) == []


async def test_an_alert_whose_cases_were_refuted_is_listed_no_longer(database, followers):
    await tell_records(database, followers, *an_outbreak())
    refuted = [a_diagnosis(f"d{n}", "A90", of=f"r{n}", version=2, status="refuted") for n in range(3)]
    await tell_records(database, followers, *refuted)
    assert await alerts_of(database) == []


async def test_earlier_cases_that_arrive_late_raise_or_lower_what_they_make_known(database, followers):
    early, *outbreak = an_outbreak()
    await tell_records(database, followers, *outbreak)
    assert await alerts_of(database) == []
    await tell_records(database, followers, early)
    assert len(await alerts_of(database)) == 2
    busy = [
        a_diagnosis(
            f"b{week}-{n}",
            "A90",
            of=f"b{week}-{n}",
            onset=str(date(2026, 7, 28) - timedelta(weeks=week)),
            place="501001",
        )
        for week in range(3, 10)
        for n in range(week)
    ]
    await tell_records(database, followers, *busy)
    assert await alerts_of(database) == []


async def test_a_rebuild_from_snapshots_ends_where_the_feeds_end(database, followers):
    records = [*an_outbreak(), a_diagnosis("gone", "A90", of="r1", place="501001")]
    placements = [a_placement(f"r{n}", f"p{n // 2}") for n in range(5)]
    await tell_index(database, followers, *placements)
    await tell_records(database, followers, *records)
    async with database.writing() as writer:
        await followers.reset_placements(writer)
        await followers.apply_placements(writer, placements[:2])
        await followers.apply_placements(writer, placements[2:])
    kept = [change for change in records if change.key != "Condition/gone"]
    async with database.writing() as writer:
        await followers.reset_records(writer)
        await followers.apply_records(writer, kept[:3])
        await followers.apply_records(writer, kept[3:])
    rebuilt = await state(database)
    assert {one["diagnosis_id"] for one in rebuilt[0] if one["stated_status"] == DISCARDED} == {"gone"}
    assert len(await listed(database)) == 4


REGISTRATIONS = ["r1", "r2", "r3", "r4"]


@st.composite
def told(draw):
    """Histories of both feeds: for each key its changes in the order of versions."""
    index = [
        [
            a_placement(
                registration,
                draw(st.sampled_from(["p1", "p2"])),
                version=version,
                home=draw(st.sampled_from(["501001", "5010", ""])),
            )
            for version in range(1, draw(st.integers(0, 3)) + 1)
        ]
        for registration in REGISTRATIONS
    ]
    records = []
    for number in range(draw(st.integers(1, 7))):
        registration = draw(st.sampled_from(REGISTRATIONS))
        versions = []
        for version in range(1, draw(st.integers(1, 3)) + 1):
            onset = date(2026, 3, 2) + timedelta(days=draw(st.sampled_from([0, 1, 20, 70, 71, 140])))
            versions.append(
                a_diagnosis(
                    f"d{number}",
                    draw(st.sampled_from(["A90", "A979", "J180", "A850", "I10"])),
                    of=registration,
                    at=draw(st.sampled_from(["10661", "11042"])),
                    onset=onset.isoformat(),
                    status=draw(st.sampled_from(["", "provisional", "refuted"])),
                    place=draw(st.sampled_from(["", "570101"])),
                    version=version,
                )
            )
        records.append(versions)
    return index, records


async def tell_mixed(database, followers, told, random, *, batch: int, again: bool) -> None:
    """Both feeds, mixed; the changes of one key stay in their order, as the feeds promise."""
    index, records = told
    waiting = [("index", list(changes)) for changes in index if changes]
    waiting += [("records", list(changes)) for changes in records]
    order = []
    while waiting:
        feed, changes = waiting[random.randrange(len(waiting))]
        order.append((feed, changes.pop(0)))
        waiting = [one for one in waiting if one[1]]
    for feed, group in itertools.groupby(order, key=lambda one: one[0]):
        changes = [change for _, change in group]
        tell = tell_index if feed == "index" else tell_records
        for start in range(0, len(changes), batch):
            for _ in range(2 if again else 1):
                await tell(database, followers, *changes[start : start + batch])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told(), st.randoms(use_true_random=False), st.sampled_from([1, 2, 50]), st.booleans())
async def test_cases_counts_and_alerts_do_not_depend_on_the_order_of_the_feeds(
    database, followers, told, random, batch, again
):
    outcomes = []
    for is_mixed in (False, True):
        async with database.pool.acquire() as connection:
            await connection.execute("TRUNCATE cases, placements, alerts")
        if is_mixed:
            await tell_mixed(database, followers, told, random, batch=batch, again=again)
        else:
            index, records = told
            for changes in index:
                await tell_index(database, followers, *changes)
            for changes in records:
                await tell_records(database, followers, *changes)
        outcomes.append(await state(database))
    assert outcomes[0] == outcomes[1]


async def test_both_feeds_told_at_the_same_time_never_count_a_person_twice(database, followers):
    for number in range(8):
        one, other, person = f"a{number}", f"b{number}", f"p{number}"
        await asyncio.gather(
            tell_index(database, followers, a_placement(one, person), a_placement(other, person)),
            tell_records(database, followers, a_diagnosis(f"d{one}", "A90", of=one)),
            tell_records(database, followers, a_diagnosis(f"d{other}", "A90", of=other)),
        )
    cases = await listed(database)
    assert sorted(case.standing.person_id for case in cases) == [f"p{number}" for number in range(8)]
