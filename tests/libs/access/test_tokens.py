"""Tokens are believed only when everything about them holds."""

import time

import jwt
import pytest

from libs.access.caller import TREATMENT, Caller, CallerKind, Scopes
from libs.access.citizen_keys import CitizenKeys
from libs.access.tokens import AUDIENCE, ISSUER, TokenVerifier, VerificationKey, service_token, sign
from libs.errors import UnauthenticatedError
from tests.support.keys import signing_key, verification_keys

PLATFORM_KEY = b"p" * 32
DOCTOR = Caller(CallerKind.PRACTITIONER, "practitioner/7", "10661", Scopes.parse("user/*.rs summary.read"), TREATMENT)


def a_token(caller=DOCTOR, *, key_id="test", age=0.0, seconds=60):
    return sign(signing_key(), key_id, caller, "token-1", now=time.time() - age, seconds=seconds)


def a_verifier(keys=verification_keys):
    return TokenVerifier(keys, PLATFORM_KEY)


def reason_of(verifier, token):
    with pytest.raises(UnauthenticatedError) as refused:
        verifier.verify(token)
    return refused.value.reason


def test_a_sound_token_says_who_calls_for_whom_and_why():
    assert a_verifier().verify(a_token()) == DOCTOR


def test_a_citizen_s_token_carries_the_key_and_no_organisation():
    citizen = Caller(CallerKind.CITIZEN, "citizen/1", "", Scopes.parse("person.self"), 7, "key-of-the-citizen")
    assert a_verifier().verify(a_token(citizen)) == citizen


def test_an_expired_token_is_refused():
    assert reason_of(a_verifier(), a_token(age=120, seconds=60)) == "TOKEN_EXPIRED"


def test_a_token_of_a_key_that_is_not_known_is_refused():
    assert reason_of(a_verifier(), a_token(key_id="other")) == "TOKEN_KEY_UNKNOWN"


def test_a_key_past_its_time_verifies_nothing():
    old = {"test": VerificationKey("test", signing_key().public_key(), 0, time.time() - 1)}
    assert reason_of(a_verifier(lambda: old), a_token()) == "TOKEN_KEY_UNKNOWN"


def test_a_changed_token_is_refused():
    head, body, signature = a_token().split(".")
    other = a_token(Caller(CallerKind.CLIENT, "client/1", "99999", Scopes.parse("identity.admin"))).split(".")[1]
    assert reason_of(a_verifier(), f"{head}.{other}.{signature}") == "TOKEN_REFUSED"
    assert body != other


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_the_algorithm_is_ours_to_choose_and_not_the_token_s(algorithm):
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "client/1", "jti": "1", "kind": "client", "exp": time.time() + 60}
    key = None if algorithm == "none" else "a guessed key that is long enough for HMAC"
    token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "test"})
    assert reason_of(a_verifier(), token) == "TOKEN_REFUSED"


def test_a_service_token_needs_the_platform_key():
    assert a_verifier().verify(service_token(PLATFORM_KEY, "records")).subject == "service/records"
    assert reason_of(a_verifier(), service_token(b"x" * 32, "records")) == "TOKEN_REFUSED"


def test_a_retired_key_ends_tokens_that_were_verified_before():
    keys = dict(verification_keys())
    verifier, token = a_verifier(lambda: keys), a_token()
    verifier.verify(token)
    keys.clear()
    verifier.forget("test")
    assert reason_of(verifier, token) == "TOKEN_KEY_UNKNOWN"


@pytest.mark.parametrize(
    ("scopes", "resource_type", "interactions", "granted"),
    [
        ("user/Observation.rs", "Observation", "r", True),
        ("user/Observation.rs", "Observation", "u", False),
        ("system/*.cruds", "Patient", "cud", True),
        ("user/Observation.sr", "Observation", "r", False),
        ("other/Observation.rs", "Observation", "r", False),
        ("user/Observation", "Observation", "r", False),
        ("", "Observation", "r", False),
    ],
)
def test_smart_scopes_grant_what_they_say_and_no_more(scopes, resource_type, interactions, granted):
    assert Scopes.parse(scopes).allow_fhir(resource_type, interactions) is granted


def test_a_citizen_key_depends_on_the_secret_and_on_the_whole_identifier():
    one, two = CitizenKeys(b"1" * 32), CitizenKeys(b"2" * 32)
    assert one.key_of("system", "9000000000001") == one.key_of("system", "9000000000001")
    others = {one.key_of("system", "9000000000002"), one.key_of("other", "9000000000001")}
    assert one.key_of("system", "9000000000001") not in others | {two.key_of("system", "9000000000001")}
