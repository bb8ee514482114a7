"""Surveillance through real stubs and the real chain, following feeds that are really served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.audit.v1 import events_pb2 as audit_events
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.feed.v1 import service_pb2_grpc as feed_pb2_grpc
from nhip.patient_index.v1 import events_pb2 as index_events
from nhip.records.v1 import events_pb2 as record_events
from nhip.surveillance.v1 import events_pb2, resources_pb2, service_pb2, service_pb2_grpc

from libs.access.caller import PUBLIC_HEALTH, TREATMENT, CallerKind
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground
from services.surveillance.__main__ import build
from services.surveillance.diseases import packaged
from services.surveillance.followers import Followers
from tests.services.surveillance.telling import NOW, a_diagnosis, a_placement, tell_index, tell_records
from tests.support.serving import Running, make_secrets, serving

STUB = service_pb2_grpc.SurveillanceServiceStub
DISTRICT = "5010"


@asynccontextmanager
async def surveillance(database_url, **options) -> AsyncIterator[Running]:
    async with serving("surveillance", build, database_url("surveillance"), clock=lambda: NOW, **options) as running:
        yield running


async def call(
    running: Running,
    method: str,
    request,
    *,
    purpose: int = PUBLIC_HEALTH,
    organization: str = "00000",
    scopes: str = "surveillance.read",
    **token,
):
    token = running.token(scopes=scopes, purpose=purpose, organization=organization, **token)
    return await getattr(running.stub(STUB), method)(request, metadata=token, timeout=5)


async def refused(awaitable) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    info = error_details_pb2.ErrorInfo()
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
    return caught.value.code().name, info.reason


async def two_hospitals(running: Running) -> None:
    """Three people with dengue: two at 10661, one of them also at 11042, and a third at 11042 only."""
    followers = Followers(packaged(), lambda: NOW)
    await tell_index(
        running.database,
        followers,
        a_placement("r1", "p1"),
        a_placement("r2", "p2", home="501002"),
        a_placement("r3", "p1", at="11042"),
        a_placement("r4", "p4", at="11042", home="570101"),
    )
    await tell_records(
        running.database,
        followers,
        a_diagnosis("d1", "A90", of="r1", onset="2026-07-20"),
        a_diagnosis("d2", "A90", of="r2", onset="2026-07-28", status="provisional"),
        a_diagnosis("d3", "A90", of="r3", at="11042", onset="2026-07-23"),
        a_diagnosis("d4", "A90", of="r4", at="11042", onset="2026-07-29"),
        a_diagnosis("d5", "J180", of="r4", at="11042", onset="2026-07-29", status="refuted"),
    )


async def test_public_health_sees_every_case_once_newest_first(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        listed = await call(running, "ListCases", service_pb2.ListCasesRequest(disease_code="66"))
    assert [case.registration_id for case in listed.cases] == ["r4", "r2", "r1"]
    assert listed.total == 3
    case = listed.cases[1]
    assert (case.disease_name, case.disease_name_th) == ("Dengue fever", "ไข้เด็งกี")
    assert (case.week, case.onset_date, case.place_code) == ("2026-W31", "2026-07-28", "501002")
    assert case.status == resources_pb2.CASE_STATUS_SUSPECTED
    assert case.report_due_at.ToSeconds() - case.recorded_at.ToSeconds() == 7 * 24 * 3600


async def test_a_facility_sees_its_own_cases_and_no_others(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)

        async def seen_by(organization: str, **filters) -> list[str]:
            request = service_pb2.ListCasesRequest(**filters)
            listed = await call(running, "ListCases", request, purpose=TREATMENT, organization=organization)
            assert listed.total == len(listed.cases)
            return [case.registration_id for case in listed.cases]

        assert await seen_by("10661") == ["r2", "r1"]
        assert await seen_by("11042") == ["r4", "r3"]
        assert await seen_by("10661", registration_id="r4") == []
        assert await seen_by("99999") == []


async def test_a_citizens_token_opens_no_line_list(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        listed = await call(
            running,
            "ListCases",
            service_pb2.ListCasesRequest(),
            organization="",
            kind=CallerKind.CITIZEN,
            citizen_key="k",
        )
    assert listed.total == 0


async def test_a_line_list_is_narrowed_by_place_date_and_registration(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)

        async def found(**filters) -> list[str]:
            listed = await call(running, "ListCases", service_pb2.ListCasesRequest(**filters))
            assert listed.total == len(listed.cases)
            return [case.registration_id for case in listed.cases]

        assert await found(place_code="50") == ["r2", "r1"]
        assert await found(place_code="501002") == ["r2"]
        assert await found(from_date="2026-07-21", to_date="2026-07-28") == ["r2"]
        # The episode of the person behind r3 stands under r1.
        assert await found(registration_id="r3") == ["r1"]
        assert await found(include_discarded=True, disease_code="31") == ["r4"]
        assert await found(disease_code="31") == []


async def test_pages_of_a_line_list_hold_every_case_once(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        seen, token = [], ""
        while True:
            request = service_pb2.ListCasesRequest(page_size=1, page_token=token)
            page = await call(running, "ListCases", request)
            assert page.total == 3
            seen += [case.registration_id for case in page.cases]
            token = page.next_page_token
            if not token:
                break
        assert seen == ["r4", "r2", "r1"]
        first = await call(running, "ListCases", service_pb2.ListCasesRequest(page_size=1))
        other = service_pb2.ListCasesRequest(page_size=1, disease_code="66", page_token=first.next_page_token)
        assert await refused(call(running, "ListCases", other)) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_who_looked_at_which_case_is_on_record(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        await call(running, "ListCases", service_pb2.ListCasesRequest(place_code="57"))
        async with running.database.pool.acquire() as connection:
            row = await connection.fetchval("SELECT event FROM changes WHERE feed = 'access'")
    event = audit_events.AccessEvent.FromString(row)
    assert list(event.registration_ids) == ["r4"]
    assert event.resource_count == 1
    assert event.purpose == PUBLIC_HEALTH


async def test_a_weekly_series_has_every_week_and_what_the_detector_makes_of_it(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        followers = Followers(packaged(), lambda: NOW)
        long_ago = a_diagnosis("early", "J180", of="early", onset="2026-01-05")
        outbreak = [
            a_diagnosis(f"o{number}", "A90", of=f"o{number}", onset="2026-07-27", place="501003") for number in range(4)
        ]
        await tell_records(running.database, followers, long_ago, *outbreak)
        request = service_pb2.GetWeeklySeriesRequest(
            disease_code="66", place_code=DISTRICT, from_week="2026-W10", to_week="2026-W31"
        )
        series = await call(running, "GetWeeklySeries", request, purpose=0)
        assert [week.week for week in series.weeks] == [f"2026-W{number:02d}" for number in range(10, 32)]
        assert [week.cases for week in series.weeks][-2:] == [1, 5]
        assert not series.weeks[0].HasField("expected")
        assert series.weeks[1].HasField("upper_bound")
        last = series.weeks[-1]
        assert (last.starts_on, last.is_alarm, last.expected) == ("2026-07-27", True, 0.0)
        assert not last.HasField("score")
        alerts = await call(running, "ListAlerts", service_pb2.ListAlertsRequest(place_code=DISTRICT))
        assert [(alert.week, alert.cases, alert.detector) for alert in alerts.alerts] == [("2026-W31", 5, "ears-c2")]
        whole = await call(running, "GetWeeklySeries", service_pb2.GetWeeklySeriesRequest(disease_code="66"))
        assert len(whole.weeks) == 52
        assert whole.weeks[-1].week == "2026-W32"
        assert sum(week.cases for week in whole.weeks) == 7


@pytest.mark.parametrize(
    ("method", "request_", "expected"),
    [
        ("GetWeeklySeries", {"disease_code": "99"}, ("NOT_FOUND", "DISEASE_UNKNOWN")),
        ("GetWeeklySeries", {"disease_code": "66", "to_week": "2025-W53"}, ("INVALID_ARGUMENT", "WEEK_IMPOSSIBLE")),
        (
            "GetWeeklySeries",
            {"disease_code": "66", "from_week": "2026-W05", "to_week": "2026-W04"},
            ("INVALID_ARGUMENT", "WEEK_RANGE"),
        ),
        ("GetWeeklySeries", {"disease_code": "66", "from_week": "1980-W01"}, ("INVALID_ARGUMENT", "WEEK_RANGE")),
        ("ListCases", {"from_date": "2026-02-30"}, ("INVALID_ARGUMENT", "DATE_IMPOSSIBLE")),
        ("ListCases", {"place_code": "1"}, ("INVALID_ARGUMENT", "FIELD_INVALID")),
        ("ListCases", {"page_token": "bogus"}, ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")),
        ("ListAlerts", {"disease_code": "99"}, ("NOT_FOUND", "DISEASE_UNKNOWN")),
    ],
)
async def test_a_wrong_question_is_refused_with_its_reason(database_url, method, request_, expected):
    async with surveillance(database_url) as running:
        request = getattr(service_pb2, f"{method}Request")(**request_)
        assert await refused(call(running, method, request)) == expected


async def test_alerts_come_in_pages(database_url):
    async with surveillance(database_url) as running:
        followers = Followers(packaged(), lambda: NOW)
        long_ago = a_diagnosis("early", "J180", of="early", onset="2026-01-05")
        outbreak = [a_diagnosis(f"o{n}", "A90", of=f"o{n}", onset="2026-07-27", place="501003") for n in range(4)]
        await tell_records(running.database, followers, long_ago, *outbreak)
        first = await call(running, "ListAlerts", service_pb2.ListAlertsRequest(page_size=1))
        request = service_pb2.ListAlertsRequest(page_size=1, page_token=first.next_page_token)
        second = await call(running, "ListAlerts", request)
    assert {first.alerts[0].place_code, second.alerts[0].place_code} == {"50", DISTRICT}
    assert second.next_page_token == ""


async def test_the_diseases_are_listed_with_their_codes_and_deadlines(database_url):
    async with surveillance(database_url) as running:
        listed = await call(running, "ListDiseases", service_pb2.ListDiseasesRequest())
    assert len(listed.diseases) == 57
    dengue = next(one for one in listed.diseases if one.disease_code == "66")
    assert list(dengue.icd10) == ["A90", "A97"]
    assert dengue.report_within_hours == 168


async def test_a_snapshot_tells_every_case_and_every_standing_alert(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        stub = running.stub(feed_pb2_grpc.FeedServiceStub)
        stream = stub.Snapshot(
            feed_pb2.SnapshotRequest(feed="surveillance"), metadata=running.as_service("audit"), timeout=5
        )
        events = [
            events_pb2.SurveillanceEvent.FromString(change.event) async for page in stream for change in page.changes
        ]
    statuses = sorted(event.case_changed.status for event in events)
    assert statuses == [1, 2, 2, 3, 3]


async def a_source(ground: Ground) -> Assembly:
    """A service with a feed and nothing else: what a followed service is to its followers."""
    return Assembly(apis={}, feeds=[Feed(ground.settings.service)])


async def test_a_diagnosis_announced_by_records_stands_on_the_list_and_in_the_count_of_its_district(
    database_url, tmp_path
):
    secrets = make_secrets(tmp_path)
    async with (
        serving("records", a_source, database_url("records"), secrets=secrets) as records,
        serving("patient_index", a_source, database_url("patient_index"), secrets=secrets) as index,
        surveillance(
            database_url,
            secrets=secrets,
            peers={"records": records.process.address, "patient_index": index.process.address},
        ) as running,
    ):
        stub = running.stub(feed_pb2_grpc.FeedServiceStub)
        told = stub.Follow(feed_pb2.FollowRequest(feed="surveillance"), metadata=running.as_service("audit"))
        async with index.database.writing() as writer:
            event = index_events.PatientIndexEvent.FromString(a_placement("r1", "p1").event)
            writer.announce("patient_index", "r1", event, is_new=True)
        async with records.database.writing() as writer:
            event = record_events.RecordsEvent.FromString(a_diagnosis("d1", "A97.9", of="r1").event)
            writer.announce("records", "Condition/d1", event, is_new=True)
        async with asyncio.timeout(10):
            async for response in told:
                places = [
                    events_pb2.SurveillanceEvent.FromString(change.event).case_changed.place_code
                    for change in response.changes
                ]
                if "501001" in places:
                    break
        told.cancel()
        listed = await call(running, "ListCases", service_pb2.ListCasesRequest(registration_id="r1"))
        assert [case.person_id for case in listed.cases] == ["p1"]
        request = service_pb2.GetWeeklySeriesRequest(disease_code="66", place_code=DISTRICT)
        series = await call(running, "GetWeeklySeries", request)
        assert sum(week.cases for week in series.weeks) == 1


async def test_cases_are_counted_for_whoever_links_and_named_to_whom_the_line_list_shows_them(database_url):
    async with surveillance(database_url) as running:
        await two_hospitals(running)
        request = service_pb2.CountCasesRequest(registration_ids=["r1", "r3", "r9"], limit=10)
        linker = {"scopes": "registrations.link"}
        everybody = await call(running, "CountCases", request, **linker)
        assert (everybody.count, [one.registration_id for one in everybody.items]) == (2, ["r1", "r3"])
        own = await call(running, "CountCases", request, purpose=TREATMENT, organization="11042", **linker)
        assert (own.count, [one.registration_id for one in own.items]) == (2, ["r3"])
        assert await refused(call(running, "CountCases", request)) == ("PERMISSION_DENIED", "SCOPE_MISSING")
