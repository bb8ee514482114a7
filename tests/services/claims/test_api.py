"""Claims are submitted, decided and read, through real stubs and the real chain."""

import asyncio
from typing import Any

import pytest
from nhip.claims.v1 import service_pb2

from libs.access.caller import CallerKind
from tests.services.claims.calling import (
    APPROVED,
    RECEIVED,
    REJECTED,
    a_hub,
    a_hub_with_a_visit,
    reasons,
    refused,
    statuses,
)
from tests.services.claims.telling import (
    HOSPITAL,
    OTHER_HOSPITAL,
    a_claim,
    a_line,
    a_placement,
    a_right,
    a_visit,
    announced,
    balances,
)


async def test_a_claim_for_a_known_visit_is_decided_at_once_with_a_reason_for_each_line(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(
            a_claim(
                "INV-1",
                a_line("30101"),
                a_line("36590", satang=50000),
                a_line("PARA500", 80, 50, group="41"),
                a_line("PARA500", 10, 50, group="42"),
                a_line("GOLD", satang=1),
            )
        )
        assert claim.status == APPROVED
        assert reasons(claim) == [
            "APPROVED",
            "ABOVE_TARIFF",
            "QUANTITY_ABOVE_LIMIT",
            "EXCESS_CHARGED_TO_PERSON",
            "NOT_COVERED",
        ]
        assert [line.decision.approved.satang for line in claim.lines] == [9000, 35000, 3000, 0, 0]
        assert (claim.claimed.satang, claim.approved.satang) == (9000 + 50000 + 4000 + 500 + 1, 47000)
        assert claim.lines[0].decision.message_th == "จ่ายตามที่ขอเบิก"
        assert claim.person_id == "p1"
        assert claim.coverage_id
        assert statuses(claim) == [RECEIVED, APPROVED]
        assert await balances(hub.running.database) == {
            "scheme:UCS:expense": 47000,
            f"organization:{HOSPITAL}:payable": -47000,
        }
        assert await announced(hub.running.database) == [(claim.claim_id, 1, RECEIVED), (claim.claim_id, 2, APPROVED)]


@pytest.mark.parametrize(
    "order", ["claim visit person", "claim person visit", "visit claim person", "person visit claim"]
)
async def test_a_claim_is_decided_the_same_whatever_came_first(database_url, order):
    async with a_hub(database_url) as hub:
        # The right is recorded under the person's registration at another hospital.
        await hub.places(a_placement("r9", "p1", at=OTHER_HOSPITAL))
        await hub.grant(a_right("r9"))
        for step in order.split():
            if step == "claim":
                submitted = await hub.submit(a_claim("INV-1"))
            elif step == "visit":
                await hub.visits(a_visit("e1", of="r1"))
            else:
                await hub.places(a_placement("r1", "p1"))
        claim = await hub.get(submitted.claim_id)
        assert (claim.status, claim.approved.satang, reasons(claim)) == (APPROVED, 9000, ["APPROVED"])
        assert statuses(claim) == [RECEIVED, APPROVED]
        assert claim.version == 2
        assert [status for _, _, status in await announced(hub.running.database)] == [RECEIVED, APPROVED]
        assert sum((await balances(hub.running.database)).values()) == 0


async def test_a_claim_that_waits_says_for_what(database_url):
    async with a_hub(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        assert (claim.status, claim.status_changes[0].reason) == (RECEIVED, "VISIT_UNKNOWN")
        assert not claim.lines[0].HasField("decision")
        await hub.visits(a_visit("e1", of="r1"))
        later = await hub.submit(a_claim("INV-2"))
        assert (later.status, later.status_changes[0].reason) == (RECEIVED, "PERSON_UNKNOWN")


@pytest.mark.parametrize(
    "visit",
    [
        a_visit("e1", of="r1", status="planned"),
        a_visit("e1", of="r2"),
        a_visit("e1", of="r1", at=OTHER_HOSPITAL),
        a_visit("e2", of="r1"),
    ],
    ids=["planned", "of another registration", "at another hospital", "another visit"],
)
async def test_a_visit_that_is_not_the_claimed_one_decides_nothing(database_url, visit):
    async with a_hub(database_url) as hub:
        await hub.places(a_placement("r1", "p1"))
        claim = await hub.submit(a_claim("INV-1"))
        await hub.visits(visit)
        assert (await hub.get(claim.claim_id)).status == RECEIVED


async def test_without_a_right_on_the_day_every_line_is_denied(database_url):
    async with a_hub(database_url) as hub:
        await hub.places(a_placement("r1", "p1"))
        await hub.visits(a_visit("e1", of="r1"))
        await hub.grant(
            a_right("r1", starts_on="2020-01-01", ends_on="2026-08-03"),
            a_right("r1", starts_on="2026-08-05"),
            a_right("r1", scheme="SSS"),
            a_right("r7"),
        )
        claim = await hub.submit(a_claim("INV-1", a_line(), a_line("30104", satang=3000)))
        assert (claim.status, reasons(claim)) == (REJECTED, ["RIGHT_ABSENT", "RIGHT_ABSENT"])
        assert await balances(hub.running.database) == {}


async def test_the_same_invoice_again_answers_the_same_claim_and_other_content_is_refused(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        first = await hub.submit(a_claim("INV-1"))
        assert await hub.submit(a_claim("INV-1")) == first
        other = a_claim("INV-1", a_line(quantity=2))
        assert await refused(hub.submit(other)) == ("ALREADY_EXISTS", "INVOICE_EXISTS")
        assert await refused(hub.submit(other, validate_only=True)) == ("ALREADY_EXISTS", "INVOICE_EXISTS")
        assert len(await announced(hub.running.database)) == 2


async def test_an_answer_tells_whether_the_claim_is_new(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        request = service_pb2.SubmitClaimRequest(claim=a_claim("INV-1"))
        answers = [await hub.call("SubmitClaim", request, scopes="claims.write") for _ in range(2)]
    assert [answer.is_created for answer in answers] == [True, False]


async def test_a_retry_with_its_request_id_gets_its_answer_again(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        first = await hub.submit(a_claim("INV-1"), request_id="request-1")
        assert await hub.submit(a_claim("INV-1"), request_id="request-1") == first
        assert await refused(hub.submit(a_claim("INV-2"), request_id="request-1")) == (
            "ALREADY_EXISTS",
            "REQUEST_ID_REUSED",
        )


async def test_one_invoice_submitted_many_times_at_once_is_one_claim(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        answers = await asyncio.gather(*(hub.submit(a_claim("INV-1")) for _ in range(6)))
        assert len({answer.claim_id for answer in answers}) == 1
        assert len(await announced(hub.running.database)) == 2


async def test_of_many_claims_for_one_visit_at_once_one_is_approved(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        answers = await asyncio.gather(*(hub.submit(a_claim(f"INV-{number}")) for number in range(6)))
        assert sorted(answer.status for answer in answers) == [APPROVED, *[REJECTED] * 5]
        assert (await balances(hub.running.database))["scheme:UCS:expense"] == 9000


async def test_the_same_code_on_the_same_day_is_paid_once_to_the_person_and_not_after_an_unlink(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        await hub.places(a_placement("r2", "p1"))
        await hub.visits(a_visit("e2", of="r2"), a_visit("e3", of="r2"))
        await hub.submit(a_claim("INV-1"))
        second = await hub.submit(a_claim("INV-2", of="r2", visit="e2"))
        assert reasons(second) == ["DUPLICATE"]
        await hub.places(a_placement("r2", "p2", version=2))
        await hub.grant(a_right("r2"))
        third = await hub.submit(a_claim("INV-3", of="r2", visit="e3"))
        assert (reasons(third), third.person_id) == (["APPROVED"], "p2")
        # What was decided before stays.
        assert reasons(await hub.get(second.claim_id)) == ["DUPLICATE"]


async def test_validate_only_decides_and_writes_nothing(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"), validate_only=True)
        assert (claim.claim_id, claim.status, claim.approved.satang) == ("", APPROVED, 9000)
        waiting = await hub.submit(a_claim("INV-1", visit="unheard-of"), validate_only=True)
        assert (waiting.status, waiting.status_changes[0].reason) == (RECEIVED, "VISIT_UNKNOWN")
        assert await announced(hub.running.database) == []
        async with hub.running.database.pool.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM claims") == 0


async def test_an_organisation_claims_for_itself_only(database_url):
    async with a_hub(database_url) as hub:
        foreign = hub.submit(a_claim("INV-1"), organization=OTHER_HOSPITAL)
        assert await refused(foreign) == ("PERMISSION_DENIED", "ORGANIZATION_FOREIGN")
        assert await refused(hub.submit(a_claim("INV-1"), organization="")) == (
            "PERMISSION_DENIED",
            "ORGANIZATION_FOREIGN",
        )


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (a_claim("I", day="2026-02-30"), "DATE_IMPOSSIBLE"),
        (a_claim("I", a_line(satang=-1)), "AMOUNT_OUT_OF_RANGE"),
        (a_claim("I", a_line(satang=2**62)), "AMOUNT_OUT_OF_RANGE"),
        (a_claim("I", a_line(quantity=100_000, satang=10**11)), "AMOUNT_OUT_OF_RANGE"),
        (a_claim("I", a_line(code="a\x1fb")), "CODE_UNPRINTABLE"),
        (a_claim("I", a_line(quantity=0)), "FIELD_INVALID"),
        (a_claim("I", a_line(group="7")), "FIELD_INVALID"),
        (a_claim("I", scheme="ucs"), "FIELD_INVALID"),
        (a_claim("", a_line()), "FIELD_INVALID"),
    ],
)
async def test_a_malformed_claim_is_refused_with_the_field(database_url, claim, reason):
    async with a_hub(database_url) as hub:
        assert await refused(hub.submit(claim)) == ("INVALID_ARGUMENT", reason)


async def test_lines_that_are_not_numbered_in_order_are_refused(database_url):
    async with a_hub(database_url) as hub:
        claim = a_claim("INV-1", a_line(), a_line())
        claim.lines[1].number = 1
        assert await refused(hub.submit(claim)) == ("INVALID_ARGUMENT", "LINE_NUMBER")


async def test_a_claim_is_seen_by_its_organisation_the_payer_and_its_citizen_and_by_nobody_else(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim_id = (await hub.submit(a_claim("INV-1"))).claim_id
        unknown = ("NOT_FOUND", "CLAIM_UNKNOWN")

        def citizen(key: str) -> dict[str, Any]:
            return {"scopes": "person.self", "organization": "", "kind": CallerKind.CITIZEN, "citizen_key": key}

        assert (await hub.get(claim_id)).claim_id == claim_id
        assert (await hub.get(claim_id, scopes="claims.pay", organization="NHSO")).claim_id == claim_id
        assert (await hub.get(claim_id, **citizen("key-1"))).claim_id == claim_id
        assert await refused(hub.get(claim_id, organization=OTHER_HOSPITAL)) == unknown
        assert await refused(hub.get(claim_id, organization="")) == unknown
        assert await refused(hub.get(claim_id, **citizen("key-2"))) == unknown
        assert await refused(hub.get(claim_id, **citizen(""))) == unknown
        assert await refused(hub.get("unheard-of")) == unknown
        # A registration that is linked to the citizen's later brings its claims along.
        await hub.places(a_placement("r5", "p1", citizen_key="key-2", at=OTHER_HOSPITAL))
        assert (await hub.get(claim_id, **citizen("key-2"))).claim_id == claim_id
        request = service_pb2.ListClaimsRequest()
        listed = await hub.call("ListClaims", request, **citizen("key-1"))
        assert [claim.claim_id for claim in listed.claims] == [claim_id]


async def test_claims_are_listed_newest_first_in_pages_by_status(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        made = [(await hub.submit(a_claim(f"INV-{number}"))).claim_id for number in range(3)]
        seen, token = [], ""
        while True:
            request = service_pb2.ListClaimsRequest(page_size=2, page_token=token)
            page = await hub.call("ListClaims", request, scopes="claims.read")
            seen += [claim.claim_id for claim in page.claims]
            token = page.next_page_token
            if not token:
                break
        assert seen == made[::-1]
        rejected = service_pb2.ListClaimsRequest(status=REJECTED)
        listed = await hub.call("ListClaims", rejected, scopes="claims.read")
        assert [claim.claim_id for claim in listed.claims] == made[:0:-1]
        elsewhere = await hub.call("ListClaims", rejected, scopes="claims.read", organization=OTHER_HOSPITAL)
        assert not elsewhere.claims
        payers = await hub.call("ListClaims", rejected, scopes="claims.pay", organization="NHSO")
        assert len(payers.claims) == 2
