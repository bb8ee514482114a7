"""Rights, tariffs, the audit log and the feeds around a claim; through real stubs and the real chain."""

import asyncio

from nhip.audit.v1 import events_pb2 as audit_events
from nhip.claims.v1 import events_pb2, resources_pb2, service_pb2
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.feed.v1 import service_pb2_grpc as feed_pb2_grpc
from nhip.patient_index.v1 import events_pb2 as index_events
from nhip.records.v1 import events_pb2 as record_events
from nhip.types.v1.types_pb2 import Money

from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground
from services.claims.followers import sweep
from tests.services.claims.calling import (
    APPROVED,
    RECEIVED,
    REJECTED,
    a_hub,
    a_hub_with_a_visit,
    refused,
)
from tests.services.claims.telling import (
    DAY,
    NOW,
    OTHER_HOSPITAL,
    a_claim,
    a_placement,
    a_right,
    a_visit,
)
from tests.support.serving import make_secrets, serving


async def test_rights_are_stored_or_rejected_one_by_one_and_the_same_right_changes_nothing(database_url):
    async with a_hub(database_url) as hub:
        await hub.places(a_placement("r1", "p1"), a_placement("r2", "p1", at=OTHER_HOSPITAL))
        results = await hub.grant(
            a_right("r1"),
            a_right("r1", starts_on="2026-02-30"),
            a_right("", scheme="ucs"),
            a_right("r1", starts_on="2026-01-01", ends_on="2025-01-01"),
            a_right("r1"),
        )
        assert [result.is_created for result in results] == [True, False, False, False, False]
        assert [result.error_reason for result in results] == [
            "",
            "DATE_IMPOSSIBLE",
            "FIELD_INVALID",
            "PERIOD_REVERSED",
            "",
        ]
        assert results[0].id == results[4].id
        assert [result.is_created for result in await hub.grant(a_right("r1"))] == [False]
        # A right that ends keeps its id.
        ended = await hub.grant(a_right("r1", ends_on="2026-08-04"))
        assert (ended[0].id, ended[0].is_created) == (results[0].id, False)

        async def held(registration_id: str, on: str) -> int:
            request = service_pb2.ListCoveragesRequest(registration_id=registration_id, on=on)
            listed = await hub.call("ListCoverages", request, scopes="coverage.read", purpose=3)
            return len(listed.coverages)

        assert await held("r2", "2026-08-04") == 1
        assert await held("r2", "2026-08-05") == 0
        assert await held("r2", "") == 0
        assert await held("r3", "2026-08-04") == 0


async def test_a_price_changes_by_a_new_period_and_old_claims_keep_the_old_price(database_url):
    async with a_hub(database_url) as hub:

        def an_item(price: int, starts_on: str, ends_on: str = "") -> resources_pb2.TariffItem:
            money = Money(satang=price)
            return resources_pb2.TariffItem(
                scheme="LGO", code="X1", name="an item", price=money, starts_on=starts_on, ends_on=ends_on
            )

        async def load(*items: resources_pb2.TariffItem) -> tuple[int, int]:
            request = service_pb2.BatchCreateTariffItemsRequest(items=items)
            answer = await hub.call("BatchCreateTariffItems", request, scopes="tariff.write")
            return answer.created, answer.unchanged

        assert await load(an_item(100, "2026-01-01")) == (1, 0)
        assert await load(an_item(100, "2026-01-01")) == (0, 1)
        assert await refused(load(an_item(120, "2026-01-01"))) == ("ALREADY_EXISTS", "TARIFF_EXISTS")
        assert await refused(load(an_item(120, "2026-08-01"))) == ("FAILED_PRECONDITION", "TARIFF_OVERLAP")
        assert await load(an_item(100, "2026-01-01", "2026-07-31"), an_item(120, "2026-08-01")) == (1, 0)

        async def price(on: str) -> list[int]:
            request = service_pb2.ListTariffItemsRequest(scheme="LGO", on=on)
            listed = await hub.call("ListTariffItems", request, scopes="claims.read")
            return [item.price.satang for item in listed.items]

        assert (await price("2026-07-31"), await price("2026-08-01"), await price("2025-12-31")) == ([100], [120], [])


async def test_the_example_tariff_is_listed_in_pages(database_url):
    async with a_hub(database_url) as hub:
        codes, token = [], ""
        while True:
            request = service_pb2.ListTariffItemsRequest(scheme="UCS", page_size=30, page_token=token)
            page = await hub.call("ListTariffItems", request, scopes="")
            codes += [item.code for item in page.items]
            token = page.next_page_token
            if not token:
                break
        assert codes == sorted(set(codes))
        assert {"55020", "30101", "36590", "PARA500", "ORS", "NSS1000", "AMOX500"} <= set(codes)


async def test_who_submitted_about_whom_is_on_record(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        async with hub.running.database.pool.acquire() as connection:
            row = await connection.fetchval(
                "SELECT event FROM changes WHERE feed = 'access' ORDER BY position DESC LIMIT 1"
            )
    event = audit_events.AccessEvent.FromString(row)
    assert (list(event.registration_ids), list(event.person_ids)) == (["r1"], ["p1"])
    assert list(event.resources) == [f"Claim/{claim.claim_id}"]


async def test_a_claim_whose_person_came_by_a_snapshot_is_decided_by_the_next_look(database_url):
    async with a_hub(database_url) as hub:
        await hub.grant(a_right("r1"))
        claim = await hub.submit(a_claim("INV-1"))
        told = a_placement("r1", "p1")
        told.ClearField("recorded_at")
        database = hub.running.database
        async with database.writing() as writer:
            await hub.followers.reset_placements(writer)
            await hub.followers.apply_placements(writer, [told])
        async with database.writing() as writer:
            await hub.followers.reset_records(writer)
            await hub.followers.apply_records(writer, [a_visit("e0", of="r1")])
            await hub.followers.apply_records(writer, [a_visit("e1", of="r1")])
        assert (await hub.get(claim.claim_id)).status == APPROVED
        second = await hub.submit(a_claim("INV-2", of="r2", visit="e2"))
        await hub.visits(a_visit("e2", of="r2"))
        told = a_placement("r2", "p2")
        told.ClearField("recorded_at")
        await hub.places(told)
        assert (await hub.get(second.claim_id)).status == RECEIVED
        assert await sweep(database, lambda: NOW) == 1
        assert (await hub.get(second.claim_id)).status == REJECTED
        assert await sweep(database, lambda: NOW) == 0


async def test_a_snapshot_tells_every_claim_as_it_stands(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        made = [await hub.submit(a_claim(f"INV-{number}")) for number in range(2)]
        stub = hub.running.stub(feed_pb2_grpc.FeedServiceStub)
        request = feed_pb2.SnapshotRequest(feed="claims")
        stream = stub.Snapshot(request, metadata=hub.running.as_service("audit"), timeout=5)
        events = [events_pb2.ClaimsEvent.FromString(one.event) async for page in stream for one in page.changes]
    assert [(one.claim_id, one.status, one.approved.satang) for one in events] == [
        (made[0].claim_id, APPROVED, 9000),
        (made[1].claim_id, REJECTED, 0),
    ]


async def a_source(ground: Ground) -> Assembly:
    """A service with a feed and nothing else: what a followed service is to its followers."""
    return Assembly(apis={}, feeds=[Feed(ground.settings.service)])


async def test_a_claim_is_decided_when_records_announces_the_visit(database_url, tmp_path):
    secrets = make_secrets(tmp_path)
    async with (
        serving("records", a_source, database_url("records"), secrets=secrets) as records,
        serving("patient_index", a_source, database_url("patient_index"), secrets=secrets) as index,
        a_hub(
            database_url,
            secrets=secrets,
            peers={"records": records.process.address, "patient_index": index.process.address},
        ) as hub,
    ):
        await hub.grant(a_right("r1"))
        claim = await hub.submit(a_claim("INV-1"))
        assert claim.status == RECEIVED
        stub = hub.running.stub(feed_pb2_grpc.FeedServiceStub)
        told = stub.Follow(feed_pb2.FollowRequest(feed="claims"), metadata=hub.running.as_service("audit"))
        async with records.database.writing() as writer:
            event = record_events.RecordsEvent.FromString(a_visit("e1", of="r1").event)
            writer.announce("records", "Encounter/e1", event, is_new=True)
        async with index.database.writing() as writer:
            placed = index_events.PatientIndexEvent.FromString(a_placement("r1", "p1").event)
            writer.announce("patient_index", "r1", placed, is_new=True)
        seen: list[int] = []
        async with asyncio.timeout(10):
            async for response in told:
                seen += [events_pb2.ClaimsEvent.FromString(change.event).status for change in response.changes]
                if APPROVED in seen:
                    break
        told.cancel()
        assert seen == [RECEIVED, APPROVED]
        assert (await hub.get(claim.claim_id)).service_date == DAY


async def test_a_decided_claim_follows_its_registration_to_another_person_by_the_feed_alone(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        assert (claim.status, claim.person_id) == (APPROVED, "p1")
        for version, person in ((2, "merged"), (3, "p1"), (4, "split")):
            await hub.places(a_placement("r1", person, version=version))
            held = await hub.get(claim.claim_id)
            assert (held.person_id, held.status, held.approved) == (person, APPROVED, claim.approved)
        await hub.places(a_placement("r1", "late", version=3))
        assert (await hub.get(claim.claim_id)).person_id == "split"


async def test_what_is_filed_is_counted_for_whoever_links_and_named_to_whom_it_belongs(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        request = service_pb2.CountClaimsRequest(registration_ids=["r1", "r2"], limit=10)
        own = await hub.call("CountClaims", request, scopes="registrations.link")
        assert (own.count, [(one.id, one.registration_id) for one in own.items]) == (1, [(claim.claim_id, "r1")])
        other = await hub.call("CountClaims", request, scopes="registrations.link", organization=OTHER_HOSPITAL)
        assert (other.count, len(other.items)) == (1, 0)
        assert await refused(hub.call("CountClaims", request, scopes="claims.read")) == (
            "PERMISSION_DENIED",
            "SCOPE_MISSING",
        )
