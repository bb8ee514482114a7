"""Tokens: what they say, who gets them, and when they are refused."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nhip.identity.v1 import service_pb2
from nhip.types.v1 import types_pb2

from libs.access.caller import EMERGENCY, TREATMENT
from libs.database.statements import counted_statements
from services.identity.credentials import ClientSecrets, PrivateKeySeal
from services.identity.rules import rotation, scopes
from services.identity.signing import SigningKeys
from services.identity.store import clients, keys
from tests.services.identity.calling import (
    CITIZEN_ID,
    DEVELOPMENT_LOGIN,
    OTHER_CITIZEN_ID,
    SECRET,
    TOKEN_EXCHANGE,
    an_identity,
    reason_of,
    retry_seconds,
)

REQUEST = service_pb2.GetOrganizationRequest(organization_id="nhip")


def said(token):
    """The claims of a token, unverified."""
    return jwt.decode(token, options={"verify_signature": False})


def key_id_of(token):
    return jwt.get_unverified_header(token)["kid"]


async def refused(identity, token):
    """The reason for which a token is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await identity.call("GetOrganization", REQUEST, token)
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    return reason_of(refusal.value)[1]


async def refused_grant(identity, **request):
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await identity.token(**request)
    return reason_of(refusal.value)


class Watch:
    """A clock that tests set."""

    def __init__(self, behind=timedelta()):
        self.now = datetime.now(UTC) - behind

    def __call__(self):
        return self.now


async def test_a_clients_token_says_what_the_client_may(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        await identity.a_client(scopes=["system/*.rs", "imports.write"])
        answer = await identity.token(client_id="hospital-a", client_secret=SECRET, purpose=TREATMENT)
        claims = said(answer.access_token)
        assert (answer.token_type, answer.expires_in, answer.scope) == ("Bearer", 600, "imports.write system/*.rs")
        assert (claims["sub"], claims["org"], claims["kind"]) == ("client/hospital-a", "10661", "client")
        assert (claims["pou"], claims["exp"] - claims["iat"]) == (TREATMENT, 600)
        narrow = await identity.token(client_id="hospital-a", client_secret=SECRET, scope="system/Patient.r")
        assert said(narrow.access_token)["scope"] == "system/Patient.r"
        assert said(narrow.access_token)["jti"] != claims["jti"]


async def test_a_practitioners_token_says_what_their_role_may(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        doctor = await identity.a_practitioner()
        login = {"grant_type": DEVELOPMENT_LOGIN, "licence": "ว12345", "organization_id": "10661"}
        answer = await identity.token(**login, purpose=TREATMENT)
        claims = said(answer.access_token)
        assert (claims["sub"], claims["org"]) == (f"practitioner/{doctor.practitioner_id}", "10661")
        assert (answer.expires_in, claims["scope"]) == (900, " ".join(sorted(scopes.ROLE_SCOPES[1])))
        broken = await identity.token(**login, purpose=EMERGENCY, reason=" unconscious, alone ")
        claims = said(broken.access_token)
        assert (claims["pou"], claims["btg"], broken.expires_in) == (EMERGENCY, "unconscious, alone", 600)
        assert await refused_grant(identity, **login, purpose=EMERGENCY) == ("INVALID_ARGUMENT", "REASON_REQUIRED")
        assert await refused_grant(identity, **login, scope="identity.admin") == ("INVALID_ARGUMENT", "SCOPE_EXCEEDED")


async def test_a_citizens_token_carries_their_key_and_no_organisation(database_url):
    async with an_identity(database_url("identity")) as identity:
        account = await identity.an_account()
        written = f"{CITIZEN_ID[0]}-{CITIZEN_ID[1:5]}-{CITIZEN_ID[5:10]}-{CITIZEN_ID[10:12]}-{CITIZEN_ID[12]}"
        for number in (CITIZEN_ID, written):
            answer = await identity.token(grant_type=DEVELOPMENT_LOGIN, citizen_id=number)
            claims = said(answer.access_token)
            assert (claims["sub"], claims["ckey"]) == (f"citizen/{account.account_id}", account.citizen_key)
            assert "org" not in claims
            assert claims["pou"] == types_pb2.PURPOSE_OF_USE_PATIENT_REQUEST
            assert answer.scope == "consent.read consent.write patient/*.rs person.self"
            payload = answer.access_token.split(".")[1]
            assert CITIZEN_ID.encode() not in base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


async def test_who_is_not_known_does_not_log_in(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        await identity.a_practitioner()
        unknown = ("UNAUTHENTICATED", "LOGIN_UNKNOWN")
        login = {"grant_type": DEVELOPMENT_LOGIN}
        assert await refused_grant(identity, **login, citizen_id=OTHER_CITIZEN_ID) == unknown
        assert await refused_grant(identity, **login, licence="ว99999", organization_id="10661") == unknown
        assert await refused_grant(identity, **login, licence="ว12345", organization_id="10662") == unknown
        assert await refused_grant(identity, **login) == ("INVALID_ARGUMENT", "LOGIN_INCOMPLETE")
        assert await refused_grant(identity, grant_type="password") == ("INVALID_ARGUMENT", "GRANT_UNSUPPORTED")


async def test_the_exchange_client_acts_in_an_organisations_name(database_url):
    async with an_identity(database_url("identity")) as identity:
        await identity.an_organization()
        exchange = {"grant_type": TOKEN_EXCHANGE, **identity.secret("exchange_client")}
        claims = said((await identity.token(**exchange, organization_id="10661")).access_token)
        assert (claims["org"], claims["act"], claims["sub"]) == (
            "10661",
            "client/nhip-exchange",
            "client/nhip-exchange",
        )
        assert claims["scope"] == " ".join(scopes.EXCHANGE_SCOPES)
        unknown = await refused_grant(identity, **exchange, organization_id="99999")
        assert unknown == ("NOT_FOUND", "ORGANIZATION_UNKNOWN")
        other = {"grant_type": TOKEN_EXCHANGE, **identity.secret("bootstrap_client"), "organization_id": "10661"}
        assert await refused_grant(identity, **other) == ("PERMISSION_DENIED", "CLIENT_MAY_NOT_ACT")


async def test_wrong_secrets_close_the_door_for_a_while_also_to_clients_that_do_not_exist(database_url):
    watch = Watch()
    async with an_identity(database_url("identity"), clock=watch) as identity:
        await identity.an_organization()
        await identity.a_client()
        for client_id in ("hospital-a", "nobody"):
            wrong = {"client_id": client_id, "client_secret": SECRET + "!"}
            for _ in range(10):
                assert await refused_grant(identity, **wrong) == ("UNAUTHENTICATED", "CLIENT_UNKNOWN")
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await identity.token(client_id=client_id, client_secret=SECRET)
            assert reason_of(refusal.value) == ("RESOURCE_EXHAUSTED", "ATTEMPTS_EXHAUSTED")
            assert 0 < retry_seconds(refusal.value) <= 60
        assert (await identity.token(**identity.secret("bootstrap_client"))).access_token
        watch.now += timedelta(seconds=61)
        assert (await identity.token(client_id="hospital-a", client_secret=SECRET)).access_token
        await replica(identity, watch).maintain()
        assert await identity.running.database.pool.fetchval("SELECT count(*) FROM failed_attempts") == 0


async def test_a_token_costs_two_statements(database_url):
    async with an_identity(database_url("identity")) as identity:
        signing = replica(identity, Watch())
        async with identity.running.database.reading() as reader:
            with counted_statements() as names:
                login = await clients.find_for_login(reader, "nhip-admin")
                await signing.signer(reader)
        assert login.client is not None
        assert names == ["clients.find_for_login", "signing_keys.find_signer"]


async def test_an_expired_token_is_refused(database_url):
    async with an_identity(database_url("identity"), clock=Watch(behind=timedelta(minutes=11))) as identity:
        assert await refused(identity, await identity.admin()) == "TOKEN_EXPIRED"


async def test_a_token_signed_with_another_key_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        token = await identity.admin()
        forger = Ed25519PrivateKey.generate()
        forged = jwt.encode(said(token), forger, algorithm="EdDSA", headers={"kid": key_id_of(token)})
        assert await refused(identity, forged) == "TOKEN_REFUSED"
        forged = jwt.encode(said(token), forger, algorithm="EdDSA", headers={"kid": "another"})
        assert await refused(identity, forged) == "TOKEN_KEY_UNKNOWN"


async def test_a_token_without_a_signature_or_with_a_public_key_as_secret_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        token = await identity.admin()
        headers = {"kid": key_id_of(token)}
        unsigned = jwt.encode(said(token), None, algorithm="none", headers=headers)
        assert await refused(identity, unsigned) == "TOKEN_REFUSED"
        listed = await identity.call("ListVerificationKeys", service_pb2.ListVerificationKeysRequest())
        secret = base64.urlsafe_b64decode(json.loads(listed.keys[0].jwk)["x"] + "=")
        confused = jwt.encode(said(token), secret, algorithm="HS256", headers=headers)
        assert await refused(identity, confused) == "TOKEN_REFUSED"


async def test_a_tampered_token_is_refused(database_url):
    async with an_identity(database_url("identity")) as identity:
        header, _, signature = (await identity.admin()).split(".")
        claims = {**said(await identity.admin()), "org": "10661"}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        assert await refused(identity, f"{header}.{payload}.{signature}") == "TOKEN_REFUSED"
        assert await refused(identity, "no-token") == "TOKEN_MALFORMED"


async def test_a_rotated_key_signs_after_a_delay_and_the_older_one_verifies_on(database_url):
    watch = Watch(behind=timedelta(minutes=2))
    async with an_identity(database_url("identity"), clock=watch) as identity:
        before = await identity.admin()
        rotated = await identity.call("RotateKey", service_pb2.RotateKeyRequest(), before)
        announced = [(key, event.is_retired, event.key.version) for key, event in await identity.feed("keys")]
        assert announced[1:] == [(rotated.key.key_id, False, 1), (key_id_of(before), False, 2)]
        assert key_id_of(await identity.admin()) == key_id_of(before)
        watch.now += rotation.ACTIVATION
        after = await identity.admin()
        assert key_id_of(after) == rotated.key.key_id
        for token in (before, after):
            assert await identity.call("GetOrganization", REQUEST, token)
        listed = await identity.call("ListVerificationKeys", service_pb2.ListVerificationKeysRequest())
        ends = {key.key_id: key.not_after.ToDatetime(UTC) for key in listed.keys}
        assert ends[key_id_of(before)] == watch.now + rotation.VERIFIES_AFTERWARDS
        jwk = json.loads(listed.keys[-1].jwk)
        assert {**jwk, "x": ""} == {
            "kty": "OKP", "crv": "Ed25519", "x": "", "kid": rotated.key.key_id, "alg": "EdDSA", "use": "sig"
        }  # fmt: skip
        public_key = jwt.PyJWK(jwk).key
        assert jwt.decode(after, public_key, algorithms=["EdDSA"], audience="nhip")["sub"] == "client/nhip-admin"


async def test_a_retired_key_is_refused_at_once_and_its_successor_signs_at_once(database_url):
    async with an_identity(database_url("identity")) as identity:
        leaked = await identity.admin()
        assert await identity.call("GetOrganization", REQUEST, leaked)
        rotated = await identity.call("RotateKey", service_pb2.RotateKeyRequest(retire_now=True), leaked)
        assert await refused(identity, leaked) == "TOKEN_KEY_UNKNOWN"
        fresh = await identity.admin()
        assert key_id_of(fresh) == rotated.key.key_id
        assert await identity.call("GetOrganization", REQUEST, fresh)
        announced = {key: event.is_retired for key, event in await identity.feed("keys")}
        assert announced == {key_id_of(leaked): True, rotated.key.key_id: False}
        row = await identity.running.database.pool.fetchrow(
            "SELECT sealed_private_key, retired_at FROM signing_keys WHERE key_id = $1", key_id_of(leaked)
        )
        assert row["sealed_private_key"] is None
        assert row["retired_at"] is not None


def replica(identity, clock):
    """The signing keys as another replica of identity sees them."""
    ground = identity.running.process.ground
    return SigningKeys(ground.database, ground.keys, ground.settings.secret("platform_key"), clock)


async def test_keys_rotate_by_themselves_and_go_when_they_are_past(database_url):
    watch = Watch(behind=timedelta(days=100))
    async with an_identity(database_url("identity"), clock=watch) as identity:
        signing, database = replica(identity, watch), identity.running.database
        await signing.maintain()
        async with database.reading() as reader:
            (first,) = await keys.in_force(reader)
        watch.now += rotation.ROTATE_EVERY
        await signing.maintain()
        await signing.maintain()
        async with database.reading() as reader:
            shortened, second = await keys.in_force(reader)
        assert shortened.key_id == first.key_id
        watch.now = shortened.not_after
        await signing.maintain()
        async with database.reading() as reader:
            assert [key.key_id for key in await keys.in_force(reader)] == [second.key_id]
        retired = [key for key, event in await identity.feed("keys") if event.is_retired]
        assert retired == [first.key_id]


async def test_replicas_that_start_together_make_one_key(database_url):
    async with an_identity(database_url("identity")) as identity:
        database, watch = identity.running.database, Watch()
        await database.pool.execute("DELETE FROM signing_keys")
        await asyncio.gather(*(replica(identity, watch).ensure() for _ in range(4)))
        async with database.reading() as reader:
            assert len(await keys.in_force(reader)) == 1


async def test_keys_sealed_under_another_platform_key_are_replaced_at_the_start(database_url):
    url = database_url("identity")
    async with an_identity(url) as identity:
        before = key_id_of(await identity.admin())
    async with an_identity(url) as identity:
        assert key_id_of(await identity.admin()) != before


def test_a_private_key_opens_only_under_its_platform_key_and_its_id():
    seal, private_key = PrivateKeySeal(b"k" * 32), Ed25519PrivateKey.generate()
    sealed = seal.seal("k1", private_key)
    assert private_key.private_bytes_raw() not in sealed
    assert seal.open("k1", sealed).private_bytes_raw() == private_key.private_bytes_raw()
    assert seal.open("k2", sealed) is None
    assert PrivateKeySeal(b"l" * 32).open("k1", sealed) is None


def test_a_secret_is_kept_so_that_the_database_alone_does_not_tell_it():
    secrets = ClientSecrets(b"k" * 32)
    kept = secrets.digest(SECRET)
    assert secrets.is_right(SECRET, kept)
    assert not secrets.is_right(SECRET + "!", kept)
    assert not secrets.is_right(SECRET, None)
    assert not ClientSecrets(b"l" * 32).is_right(SECRET, kept)
    assert kept != secrets.digest(SECRET)
    assert len(secrets.fresh()) >= 24
