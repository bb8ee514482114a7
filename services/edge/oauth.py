"""OAuth 2.0 (RFC 6749) in front of identity: the token endpoint, the key set, and what SMART App Launch wants to know."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

import grpc
import orjson
from nhip.identity.v1 import service_pb2
from nhip.types.v1.types_pb2 import PurposeOfUse

from libs.access.tokens import ISSUER
from libs.errors import NhipError
from services.edge.asgi import Reply, Request, form_pairs, media_type
from services.edge.faults import Fault, Refusal, fault_of
from services.edge.upstream import Upstream

JSON = b"application/json"
NO_STORE = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
MAX_FORM_BYTES = 64 * 1024
# Keys are announced well before they sign, so an old copy does no harm for a while.
KEYS_MAX_AGE = b"public, max-age=60"
GRANTS = (
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:nhip:grant:development-login",
)
# Form fields that go to identity as they are; `purpose` is read by name.
_FIELDS = ("grant_type", "client_id", "client_secret", "scope", "reason", "licence", "organization_id", "citizen_id")
_BY_REASON = {
    "CLIENT_UNKNOWN": ("invalid_client", 401),
    "CLIENT_DISABLED": ("invalid_client", 401),
    "LOGIN_UNKNOWN": ("invalid_grant", 400),
    "GRANT_UNSUPPORTED": ("unsupported_grant_type", 400),
    "SCOPE_EXCEEDED": ("invalid_scope", 400),
}
_BY_CODE = {
    "UNAUTHENTICATED": ("invalid_client", 401),
    "PERMISSION_DENIED": ("unauthorized_client", 400),
    "UNAVAILABLE": ("temporarily_unavailable", 503),
    "DEADLINE_EXCEEDED": ("temporarily_unavailable", 503),
    "RESOURCE_EXHAUSTED": ("temporarily_unavailable", 503),
    "INTERNAL": ("server_error", 500),
}
_PURPOSE_PREFIX = "PURPOSE_OF_USE_"


class OAuthError(Exception):
    """An error of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        """`error` is one of the RFC's words."""
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


async def token(upstream: Upstream, request: Request) -> Reply:
    """`POST /oauth2/token`."""
    try:
        message = await _token_request(request)
        response = await upstream["identity.IssueToken"](message, request)
    except OAuthError as error:
        return _refused(error)
    except (grpc.aio.AioRpcError, NhipError, Refusal) as error:
        fault = fault_of(error)
        if fault is None or fault.status:
            raise
        return _refused(_translated(fault))
    answer = {
        "access_token": response.access_token,
        "token_type": response.token_type or "Bearer",
        "expires_in": response.expires_in,
        "scope": response.scope,
    }
    return Reply(200, orjson.dumps(answer), JSON, [*NO_STORE])


async def jwks(upstream: Upstream, request: Request) -> Reply:
    """`GET /.well-known/jwks.json` (RFC 7517)."""
    response = await upstream["identity.ListVerificationKeys"](service_pb2.ListVerificationKeysRequest(), request)
    keys = [{**orjson.loads(key.jwk), "kid": key.key_id, "use": "sig", "alg": "EdDSA"} for key in response.keys]
    return Reply(200, orjson.dumps({"keys": keys}), JSON, [(b"cache-control", KEYS_MAX_AGE)])


def smart_configuration(request: Request, scopes: list[str]) -> Reply:
    """`GET /.well-known/smart-configuration` (SMART App Launch 2.0, backend services)."""
    root = request.root_url
    document = {
        "issuer": ISSUER,
        "jwks_uri": f"{root}/.well-known/jwks.json",
        "token_endpoint": f"{root}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": list(GRANTS),
        "scopes_supported": scopes,
        "response_types_supported": [],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-symmetric", "permission-v2", "permission-patient", "permission-user"],
    }
    return Reply(200, orjson.dumps(document), JSON, [(b"cache-control", KEYS_MAX_AGE)])


async def _token_request(request: Request) -> service_pb2.IssueTokenRequest:
    if media_type(request) != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "the body is application/x-www-form-urlencoded")
    form: dict[str, str] = {}
    for name, value in form_pairs(await request.body(MAX_FORM_BYTES), "form"):
        if name in form:
            raise OAuthError("invalid_request", "a parameter stands twice")
        form[name] = value
    if not form.get("grant_type"):
        raise OAuthError("invalid_request", "grant_type is missing")
    _authenticate(form, request.header(b"authorization"))
    fields: dict[str, Any] = {name: form[name] for name in _FIELDS if form.get(name)}
    if purpose := form.get("purpose", ""):
        name = purpose if purpose.startswith(_PURPOSE_PREFIX) else _PURPOSE_PREFIX + purpose.upper()
        if name not in PurposeOfUse.keys():  # noqa: SIM118 an enum wrapper has no `in`
            raise OAuthError("invalid_request", "purpose names no purpose of use")
        fields["purpose"] = PurposeOfUse.Value(name)
    return service_pb2.IssueTokenRequest(**fields)


def _authenticate(form: dict[str, str], authorization: str) -> None:
    """Takes the client from HTTP Basic into the form (RFC 6749 section 2.3.1: each part is form-encoded itself)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return
    if "client_secret" in form:
        raise OAuthError("invalid_request", "the client authenticates twice, by header and by form")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = pair.partition(":")
        client_id, secret = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise OAuthError("invalid_client", "the header Authorization is malformed", 401) from None
    if not colon or "\0" in pair:
        raise OAuthError("invalid_client", "the header Authorization is malformed", 401)
    if form.setdefault("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "header and form name different clients")
    form["client_secret"] = secret


def _translated(fault: Fault) -> OAuthError:
    error, status = _BY_REASON.get(fault.reason) or _BY_CODE.get(fault.code) or ("invalid_request", 400)
    return OAuthError(error, fault.message, status)


def _refused(error: OAuthError) -> Reply:
    headers = [*NO_STORE]
    if error.status == 401:  # noqa: PLR2004 Unauthorized
        headers.append((b"www-authenticate", b'Basic realm="nhip"'))
    if error.status == 503:  # noqa: PLR2004 Service Unavailable
        headers.append((b"retry-after", b"1"))
    document = {"error": error.error, "error_description": error.description}
    return Reply(error.status, orjson.dumps(document), JSON, headers)
