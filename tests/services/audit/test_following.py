"""What happens in one service ends in the log: two running services, and a follower that is cut off."""

import itertools

import grpc
import pytest
from nhip.audit.v1 import events_pb2, resources_pb2, service_pb2_grpc
from nhip.audit.v1 import service_pb2 as audit_pb2
from nhip.identity.v1 import resources_pb2 as identity_pb2
from nhip.identity.v1 import service_pb2

from libs.feed.follower import Subscription
from libs.feed.log import Cursor
from libs.thai import citizen_id
from services.audit.__main__ import SOURCES, build
from services.audit.followers import append_accesses
from tests.services.audit.test_store import assert_whole
from tests.services.identity.calling import an_identity, reason_of
from tests.support.serving import make_secrets, serving


async def followed(follower, source, name):
    """Returns when a running service has applied all that another has announced on a feed until now."""
    service, _, feed = name.partition("/")
    row = await source.database.pool.fetchrow(
        "SELECT transaction::text::bigint, position FROM changes WHERE feed = $1"
        " ORDER BY transaction DESC, position DESC LIMIT 1",
        feed,
    )
    (one,) = (each for each in follower.process.followers if each.name == name)
    assert await one.reached(Cursor(*row), 15), f"{name} of {service} was not applied"


async def events_of(running):
    rows = await running.database.pool.fetch("SELECT content FROM entries ORDER BY leaf_index")
    return [events_pb2.AccessEvent.FromString(row["content"]) for row in rows]


async def test_a_citizen_sees_in_audit_what_they_decided_in_identity(database_url):
    async with (
        an_identity(database_url("identity")) as identity,
        serving(
            "audit",
            build,
            database_url("audit"),
            peers={"identity": identity.running.process.address},
            secrets=identity.secrets,
        ) as audit,
    ):
        citizen = await identity.a_citizen()
        await followed(audit, identity.running, "identity/keys")
        request = service_pb2.RevokeConsentRequest(category=identity_pb2.CONSENT_CATEGORY_GENERAL)
        await identity.call("RevokeConsent", request, citizen)
        await followed(audit, identity.running, "identity/access")
        # The token is identity's own: audit verifies it by the key that it learned from the feed.
        answer = await audit.stub(service_pb2_grpc.AuditServiceStub).ListAccesses(
            audit_pb2.ListAccessesRequest(), metadata=(("authorization", f"Bearer {citizen}"),), timeout=10
        )
        assert [entry.method for entry in answer.entries] == ["RevokeConsent", "CreateAccount"]
        assert answer.entries[0].outcome == resources_pb2.ACCESS_OUTCOME_GRANTED
        assert answer.entries[1].organization_id == "nhip"


async def test_a_leaked_key_is_refused_by_every_service_that_follows(database_url):
    async with (
        an_identity(database_url("identity")) as identity,
        serving(
            "audit",
            build,
            database_url("audit"),
            peers={"identity": identity.running.process.address},
            secrets=identity.secrets,
        ) as audit,
    ):
        stub = audit.stub(service_pb2_grpc.AuditServiceStub)
        request = audit_pb2.ListAccessesRequest(person_id="p1")
        leaked = await identity.admin()
        await followed(audit, identity.running, "identity/keys")
        await stub.ListAccesses(request, metadata=(("authorization", f"Bearer {leaked}"),), timeout=10)
        await identity.call("RotateKey", service_pb2.RotateKeyRequest(retire_now=True), leaked)
        await followed(audit, identity.running, "identity/keys")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.ListAccesses(request, metadata=(("authorization", f"Bearer {leaked}"),), timeout=10)
        assert reason_of(refusal.value) == ("UNAUTHENTICATED", "TOKEN_KEY_UNKNOWN")
        fresh = await identity.admin()
        await stub.ListAccesses(request, metadata=(("authorization", f"Bearer {fresh}"),), timeout=10)


async def test_reading_the_log_is_logged_once_and_following_it_logs_nothing(database_url, tmp_path):
    url, secrets = database_url("audit"), make_secrets(tmp_path / "secrets")
    async with serving("audit", build, url, secrets=secrets) as first:
        stub = first.stub(service_pb2_grpc.AuditServiceStub)
        auditor = first.token(scopes="audit.read", organization="nhip")
        for _ in range(3):
            await stub.ListAccesses(audit_pb2.ListAccessesRequest(person_id="p1"), metadata=auditor, timeout=10)
        # Another replica over the same database takes over from the first, which was told no address of its own.
        await first.process.followers[SOURCES.index("audit")].stop()
        peers = {"audit": first.process.address}
        async with serving("audit", build, url, peers=peers, secrets=secrets) as second:
            await followed(second, first, "audit/access")
            assert [event.method for event in await events_of(second)] == ["ListAccesses"] * 3
            assert await second.database.pool.fetchval("SELECT count(*) FROM changes WHERE feed = 'access'") == 3


async def test_a_follower_cut_off_after_appending_leaves_neither_gap_nor_duplicate(database_url):
    cuts = itertools.chain([True, True], itertools.repeat(False))

    async def cut_off(writer, changes):
        await append_accesses(writer, changes)
        if next(cuts):
            raise ConnectionResetError("killed mid-batch")

    async def build_with_cuts(ground):
        assembly = await build(ground)
        return type(assembly)(assembly.apis, (), [Subscription("identity", "access", cut_off)])

    async with an_identity(database_url("identity")) as identity:
        for number in range(5):
            await identity.an_account(citizen_id.make(str(912345678900 + number)))
        async with serving(
            "audit",
            build_with_cuts,
            database_url("audit"),
            peers={"identity": identity.running.process.address},
            secrets=identity.secrets,
        ) as audit:
            await followed(audit, identity.running, "identity/access")
            assert next(cuts) is False
            logged = await assert_whole(audit.database)
            rows = await identity.running.database.pool.fetch(
                "SELECT key FROM changes WHERE feed = 'access' ORDER BY transaction, position"
            )
            assert logged == [row["key"] for row in rows]
            assert len(logged) == 5


async def test_services_that_a_deployment_goes_without_are_not_followed(database_url):
    missing = frozenset({"claims", "exchange", "records", "surveillance"})
    async with serving("audit", build, database_url("audit"), absent=missing) as running:
        followed = {follower.name.partition("/")[0] for follower in running.process.followers}
    assert followed == {"audit", "identity", "patient_index"}
