"""The token endpoint after RFC 6749, and the key set."""

import base64
import json

import pytest
from nhip.identity.v1 import service_pb2
from nhip.types.v1 import types_pb2

from libs.errors import InvalidArgumentError, PermissionDeniedError, ResourceExhaustedError, UnauthenticatedError

FORM = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "s"}


async def test_a_token_is_issued_for_a_form(edge):
    edge.platform.answers["identity.IssueToken"] = service_pb2.IssueTokenResponse(
        access_token="t", token_type="Bearer", expires_in=300, scope="x y"
    )
    extra = {"scope": "x y", "purpose": "TREATMENT", "reason": "r", "licence": "ว1", "organization_id": "10661"}
    answer = await edge.client.post(
        "/oauth2/token", data={**FORM, **extra, "citizen_id": "9", "other": "is passed over"}
    )
    assert answer.status_code == 200
    assert answer.json() == {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "x y"}
    assert answer.headers["cache-control"] == "no-store"
    (request,) = edge.platform.called("identity.IssueToken")
    assert request == service_pb2.IssueTokenRequest(
        **FORM,
        scope="x y",
        purpose=types_pb2.PURPOSE_OF_USE_TREATMENT,
        reason="r",
        licence="ว1",
        organization_id="10661",
        citizen_id="9",
    )


async def test_a_client_may_show_itself_by_basic(edge):
    pair = base64.b64encode(b"a%3A1:s+%2B").decode()
    headers = {"authorization": f"Basic {pair}"}
    await edge.client.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    (request,) = edge.platform.called("identity.IssueToken")
    assert (request.client_id, request.client_secret) == ("a:1", "s +")


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (UnauthenticatedError("CLIENT_UNKNOWN", "m"), 401, "invalid_client"),
        (UnauthenticatedError("LOGIN_UNKNOWN", "m"), 400, "invalid_grant"),
        (InvalidArgumentError("GRANT_UNSUPPORTED", "m"), 400, "unsupported_grant_type"),
        (InvalidArgumentError("SCOPE_EXCEEDED", "m"), 400, "invalid_scope"),
        (InvalidArgumentError("REASON_REQUIRED", "m"), 400, "invalid_request"),
        (PermissionDeniedError("DISABLED", "m"), 400, "unauthorized_client"),
        (ResourceExhaustedError("TOO_MANY", "m"), 503, "temporarily_unavailable"),
    ],
    ids=lambda value: getattr(value, "reason", None),
)
async def test_a_refusal_speaks_the_words_of_the_rfc(edge, error, status, word):
    edge.platform.answers["identity.IssueToken"] = error
    answer = await edge.client.post("/oauth2/token", data=FORM)
    assert (answer.status_code, answer.json()) == (status, {"error": word, "error_description": "m"})
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("content", "headers", "word", "status"),
    [
        (b"grant_type=a&grant_type=b", {}, "invalid_request", 400),
        (b"client_id=a", {}, "invalid_request", 400),
        (b"", {}, "invalid_request", 400),
        (b"grant_type=%ff", {}, "invalid_request", 400),
        (b"grant_type=a%00", {}, "invalid_request", 400),
        (b"grant_type=a&purpose=CURIOSITY", {}, "invalid_request", 400),
        (b'{"grant_type":"a"}', {"content-type": "application/json"}, "invalid_request", 400),
        (b"grant_type=a", {"authorization": "Basic !!!"}, "invalid_client", 401),
        (b"grant_type=a", {"authorization": "Basic YQ=="}, "invalid_client", 401),
        (b"grant_type=a&client_secret=s", {"authorization": "Basic YTpi"}, "invalid_request", 400),
        (b"grant_type=a&client_id=x", {"authorization": "Basic YTpi"}, "invalid_request", 400),
    ],
)
async def test_a_malformed_request_never_reaches_identity(edge, content, headers, word, status):
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await edge.client.post("/oauth2/token", content=content, headers={**form, **headers})
    assert (answer.status_code, answer.json()["error"]) == (status, word)
    assert not edge.platform.calls


async def test_the_token_endpoint_takes_only_posts(edge):
    answer = await edge.client.get("/oauth2/token")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_keys_are_published_as_a_key_set(edge):
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "abc"}
    key = {"key_id": "k1", "jwk": json.dumps(jwk)}
    edge.platform.answers["identity.ListVerificationKeys"] = service_pb2.ListVerificationKeysResponse(keys=[key])
    answer = await edge.client.get("/.well-known/jwks.json")
    assert answer.json() == {"keys": [{**jwk, "kid": "k1", "use": "sig", "alg": "EdDSA"}]}
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/.well-known/smart-configuration", "/fhir/R4/.well-known/smart-configuration"])
async def test_smart_clients_find_the_token_endpoint(edge, path):
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "nhip.example.th"}
    found = (await edge.client.get(path, headers=headers)).json()
    assert found["token_endpoint"] == "https://nhip.example.th/oauth2/token"
    assert found["jwks_uri"] == "https://nhip.example.th/.well-known/jwks.json"
    assert "client_credentials" in found["grant_types_supported"]
    assert "claims.write" in found["scopes_supported"]
