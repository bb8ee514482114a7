"""Claims are paid or reversed, and the ledger says so; through real stubs and the real chain."""

import asyncio

import pytest

from tests.services.claims.calling import (
    APPROVED,
    CANCELLED,
    PAID,
    RECEIVED,
    SCHEDULED,
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


@pytest.mark.parametrize(
    "gone",
    [
        a_visit("e1", of="r1", version=2, status="cancelled"),
        a_visit("e1", of="r1", version=2, status="entered-in-error"),
        a_visit("e1", of="r1", version=2, deleted=True),
    ],
    ids=["cancelled", "entered-in-error", "deleted"],
)
async def test_a_visit_that_did_not_take_place_reverses_what_was_approved(database_url, gone):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        await hub.visits(gone)
        cancelled = await hub.get(claim.claim_id)
        assert (cancelled.status, cancelled.approved.satang) == (CANCELLED, 0)
        assert reasons(cancelled) == ["VISIT_CANCELLED"]
        assert await balances(hub.running.database) == {}
        listed = await hub.entries(claim_id=claim.claim_id)
        assert [entry.amount.satang for entry in listed.entries] == [9000, -9000, -9000, 9000]
        assert listed.balance.satang == 0
        # Told again, it reverses nothing again.
        await hub.visits(gone)
        assert len((await hub.entries(claim_id=claim.claim_id)).entries) == 4


async def test_a_claim_that_waits_is_cancelled_with_its_visit(database_url):
    async with a_hub(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        await hub.visits(a_visit("e1", of="r1", status="cancelled"))
        assert (await hub.get(claim.claim_id)).status == CANCELLED
        late = await hub.submit(a_claim("INV-2"))
        assert late.status == CANCELLED


async def test_paying_posts_one_transfer_per_organisation_and_paying_twice_pays_once(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        await hub.places(a_placement("r2", "p2", at=OTHER_HOSPITAL), a_placement("r3", "p3"))
        await hub.grant(a_right("r2"), a_right("r3"))
        await hub.visits(a_visit("e2", of="r2", at=OTHER_HOSPITAL), a_visit("e3", of="r3"))
        first = await hub.submit(a_claim("INV-1"))
        other = await hub.submit(a_claim("INV-2", of="r2", visit="e2", at=OTHER_HOSPITAL), organization=OTHER_HOSPITAL)
        third = await hub.submit(a_claim("INV-3", a_line("30104", satang=3000), of="r3", visit="e3"))
        paid = await hub.pay()
        assert (paid.paid_claims, paid.paid.satang) == (3, 21000)
        again = await hub.pay()
        assert (again.paid_claims, again.paid.satang, again.transaction_id) == (0, 0, "")
        claim = await hub.get(first.claim_id)
        assert statuses(claim) == [RECEIVED, APPROVED, SCHEDULED, PAID]
        assert claim.version == 4
        assert await balances(hub.running.database) == {"scheme:UCS:expense": 21000, "scheme:UCS:fund": -21000}
        fund = await hub.entries(account="scheme:UCS:fund", scopes="claims.pay")
        assert sorted(entry.amount.satang for entry in fund.entries) == [-12000, -9000]
        assert {entry.transaction_id for entry in fund.entries} == {paid.transaction_id}
        # What is paid stays paid.
        await hub.visits(a_visit("e1", of="r1", version=2, status="cancelled"))
        assert (await hub.get(first.claim_id)).status == PAID
        told = await announced(hub.running.database)
        for claim_id in (first.claim_id, other.claim_id, third.claim_id):
            assert [status for one, _, status in told if one == claim_id] == [RECEIVED, APPROVED, SCHEDULED, PAID]
            assert [version for one, version, _ in told if one == claim_id] == [1, 2, 3, 4]


async def test_payments_at_the_same_time_pay_each_claim_once(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        await hub.submit(a_claim("INV-1"))
        answers = await asyncio.gather(*(hub.pay() for _ in range(4)))
        assert sorted(answer.paid_claims for answer in answers) == [0, 0, 0, 1]
        assert (await balances(hub.running.database))["scheme:UCS:fund"] == -9000


async def test_only_the_claims_named_are_paid_and_an_unknown_one_pays_none(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        await hub.visits(a_visit("e2", of="r1"))
        first = await hub.submit(a_claim("INV-1"))
        second = await hub.submit(a_claim("INV-2", a_line("30104", satang=3000), visit="e2"))
        assert await refused(hub.pay(second.claim_id, "unheard-of")) == ("NOT_FOUND", "CLAIM_UNKNOWN")
        assert (await hub.pay(second.claim_id, second.claim_id)).paid_claims == 1
        assert (await hub.pay(second.claim_id)).paid_claims == 0
        assert (await hub.get(first.claim_id)).status == APPROVED


async def test_a_claim_with_nothing_to_pay_is_settled_without_an_entry(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1", a_line("DPTVAC", satang=0, group="31")))
        assert claim.status == APPROVED
        paid = await hub.pay()
        assert (paid.paid_claims, paid.transaction_id) == (1, "")
        assert (await hub.get(claim.claim_id)).status == PAID


async def test_an_organisation_reads_the_entries_that_concern_it_and_no_others(database_url):
    async with a_hub_with_a_visit(database_url) as hub:
        claim = await hub.submit(a_claim("INV-1"))
        own = await hub.entries(account="scheme:UCS:expense")
        assert [entry.amount.satang for entry in own.entries] == [9000]
        assert own.entries[0].claim_id == claim.claim_id
        foreign = await hub.entries(account="scheme:UCS:expense", organization=OTHER_HOSPITAL)
        assert (len(foreign.entries), foreign.balance.satang) == (0, 0)
        payable = await hub.entries(account=f"organization:{HOSPITAL}:payable", scopes="claims.pay", page_size=1)
        assert payable.balance.satang == -9000
        assert await refused(hub.entries()) == ("INVALID_ARGUMENT", "ACCOUNT_MISSING")
