"""Consent: granted, revoked, announced, kept."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.identity.v1 import resources_pb2, service_pb2

from libs.access.caller import TREATMENT, CallerKind
from libs.database.statements import counted_statements
from libs.ids import new_id
from services.identity.model import Consent, ConsentCategory, ConsentDecision
from services.identity.store import consents
from tests.services.identity.calling import OTHER_CITIZEN_ID, an_identity, reason_of

GENERAL, SENSITIVE = resources_pb2.CONSENT_CATEGORY_GENERAL, resources_pb2.CONSENT_CATEGORY_SENSITIVE
PERMIT, DENY = resources_pb2.CONSENT_DECISION_PERMIT, resources_pb2.CONSENT_DECISION_DENY


def in_an_hour():
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    return stamp


async def listed(identity, citizen):
    answer = await identity.call("ListConsents", service_pb2.ListConsentsRequest(), citizen)
    return list(answer.consents)


async def test_each_decision_replaces_the_earlier_and_is_announced_with_its_version(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        citizen = await identity.a_citizen()
        grant = service_pb2.GrantConsentRequest(organization_id="10661", category=GENERAL, expires_at=in_an_hour())
        revoke = service_pb2.RevokeConsentRequest(organization_id="10661", category=GENERAL)
        granted = (await identity.call("GrantConsent", grant, citizen)).consent
        assert (granted.decision, granted.version, granted.expires_at) == (PERMIT, 1, grant.expires_at)
        revoked = (await identity.call("RevokeConsent", revoke, citizen)).consent
        assert (revoked.decision, revoked.version) == (DENY, 2)
        assert not revoked.HasField("expires_at")
        assert revoked.consent_id == granted.consent_id
        assert await listed(identity, citizen) == [revoked]
        announced = [
            event.consent_changed for key, event in await identity.feed("identity") if key == granted.consent_id
        ]
        assert announced == [granted, revoked]
        history = await identity.running.database.pool.fetch("SELECT decision FROM consent_history ORDER BY version")
        assert [row["decision"] for row in history] == [PERMIT, DENY]


async def test_the_same_decision_again_changes_nothing(database_url):
    async with an_identity(database_url("identity")) as identity:
        citizen = await identity.a_citizen()
        revoke = service_pb2.RevokeConsentRequest(category=SENSITIVE)
        first = (await identity.call("RevokeConsent", revoke, citizen)).consent
        assert (await identity.call("RevokeConsent", revoke, citizen)).consent == first
        assert [key for key, _ in await identity.feed("identity")].count(first.consent_id) == 1


async def test_decisions_about_all_one_and_another_category_stand_beside_each_other(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        citizen = await identity.a_citizen()
        for organization, category in (("", GENERAL), ("10661", GENERAL), ("10661", SENSITIVE)):
            request = service_pb2.RevokeConsentRequest(organization_id=organization, category=category)
            await identity.call("RevokeConsent", request, citizen)
        held = await listed(identity, citizen)
        assert [(one.organization_id, one.category) for one in held] == [
            ("", GENERAL),
            ("10661", GENERAL),
            ("10661", SENSITIVE),
        ]
        assert await listed(identity, await identity.a_citizen(OTHER_CITIZEN_ID)) == []


async def test_a_decision_that_has_ended_is_not_in_force(database_url):
    now = datetime.now(UTC)
    async with an_identity(database_url("identity"), clock=lambda: now) as identity:
        citizen = await identity.a_citizen()
        request = service_pb2.GrantConsentRequest(category=GENERAL, expires_at=in_an_hour())
        await identity.call("GrantConsent", request, citizen)
        assert len(await listed(identity, citizen)) == 1
        now += timedelta(hours=2)
        assert await listed(identity, citizen) == []


@pytest.mark.parametrize(
    ("request_message", "expected"),
    [
        (
            service_pb2.GrantConsentRequest(organization_id="99999", category=GENERAL),
            ("NOT_FOUND", "ORGANIZATION_UNKNOWN"),
        ),
        (
            service_pb2.GrantConsentRequest(category=GENERAL, expires_at=Timestamp(seconds=1)),
            ("INVALID_ARGUMENT", "EXPIRY_PAST"),
        ),
        (
            service_pb2.GrantConsentRequest(category=GENERAL, expires_at=Timestamp(seconds=10**15)),
            ("INVALID_ARGUMENT", "TIME_INVALID"),
        ),
        (service_pb2.GrantConsentRequest(), ("INVALID_ARGUMENT", "FIELD_INVALID")),
    ],
)
async def test_what_nobody_can_decide_is_refused(database_url, request_message, expected):
    async with an_identity(database_url("identity")) as identity:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await identity.call("GrantConsent", request_message, await identity.a_citizen())
        assert reason_of(refusal.value) == expected


async def test_nobody_consents_for_a_citizen(database_url):
    async with an_identity(database_url("identity")) as identity:
        metadata = identity.running.token(
            scopes="consent.read consent.write",
            organization="10661",
            kind=CallerKind.PRACTITIONER,
            purpose=TREATMENT,
            citizen_key="key",
        )
        for method, request in (
            ("GrantConsent", service_pb2.GrantConsentRequest(category=GENERAL)),
            ("RevokeConsent", service_pb2.RevokeConsentRequest(category=GENERAL)),
            ("ListConsents", service_pb2.ListConsentsRequest()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await identity.call(method, request, metadata=metadata)
            assert reason_of(refusal.value) == ("PERMISSION_DENIED", "CITIZEN_ONLY")


async def test_a_retry_under_the_same_request_id_decides_once(database_url):
    async with an_identity(database_url("identity")) as identity:
        citizen = await identity.a_citizen()
        revoke = service_pb2.RevokeConsentRequest(category=GENERAL, request_id=new_id())
        grant = service_pb2.GrantConsentRequest(category=GENERAL)
        first = await identity.call("RevokeConsent", revoke, citizen)
        await identity.call("GrantConsent", grant, citizen)
        # The retry of what was decided before does not undo what was decided since.
        assert await identity.call("RevokeConsent", revoke, citizen) == first
        assert [one.decision for one in await listed(identity, citizen)] == [PERMIT]


async def test_a_decision_costs_two_statements_besides_its_lock(database_url):
    async with an_identity(database_url("identity")) as identity:
        consent = Consent("c", "key", "", ConsentCategory.GENERAL, ConsentDecision.DENY)
        with counted_statements() as names:
            async with identity.running.database.writing() as writer:
                await writer.lock("c")
                assert (await consents.find(writer, "key", "", ConsentCategory.GENERAL)).consent is None
                assert (await consents.store(writer, consent)).version == 1
        assert names == ["feed.lock_keys", "consents.find", "consents.store"]
