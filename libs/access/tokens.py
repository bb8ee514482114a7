"""Access tokens (JWT, RFC 7519, signed with Ed25519 by identity) and service tokens (HMAC, between services).

Access tokens are verified offline against the keys that identity announces. Service tokens open feeds only; every service
holds the platform key that signs them.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.access.caller import Caller, CallerKind, Scopes
from libs.errors import UnauthenticatedError

ISSUER = "https://identity.nhip.th"
AUDIENCE = "nhip"
SERVICE_ISSUER = "nhip-service"
SERVICE_TOKEN_SECONDS = 300
# A second of difference between the clocks of two machines refuses nobody.
LEEWAY_SECONDS = 2
_CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of identity, and when it holds, in seconds since the epoch."""

    key_id: str
    public_key: Ed25519PublicKey
    not_before: float
    not_after: float


def sign(
    private_key: Ed25519PrivateKey, key_id: str, caller: Caller, token_id: str, *, now: float, seconds: int
) -> str:
    """A signed access token that says what `caller` says, valid for `seconds` from `now`."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": caller.subject,
        "jti": token_id,
        "iat": int(now),
        "exp": int(now) + seconds,
        "kind": caller.kind.value,
        "scope": str(caller.scopes),
        "pou": caller.purpose,
    }
    optional = {
        "org": caller.organization_id,
        "ckey": caller.citizen_key,
        "btg": caller.break_glass_reason,
        "act": caller.actor,
    }
    claims.update({name: value for name, value in optional.items() if value})
    return jwt.encode(claims, private_key, algorithm="EdDSA", headers={"kid": key_id})


class TokenVerifier:
    """Turns bearer tokens into callers, or refuses them.

    `keys` answers today's keys by id; it is asked at each miss of the cache, so that a retired key stops at once when
    `forget` is called with it.
    """

    def __init__(self, keys: Callable[[], Mapping[str, VerificationKey]], platform_key: bytes) -> None:
        self._keys = keys
        self._service_key = service_signing_key(platform_key)
        # Signatures cost 60–100 µs each; a token is used for minutes. Keyed by the token itself.
        self._verified: OrderedDict[str, tuple[float, str, Caller]] = OrderedDict()

    def forget(self, key_id: str) -> None:
        """Drops what was verified with a key, when it is retired."""
        for token in [token for token, (_, used, _) in self._verified.items() if used == key_id]:
            del self._verified[token]

    def verify(self, token: str) -> Caller:
        """The caller of an access or service token.

        Raises UnauthenticatedError, reasons TOKEN_MALFORMED, TOKEN_EXPIRED, TOKEN_KEY_UNKNOWN, TOKEN_REFUSED.
        """
        known = self._verified.get(token)
        if known is not None:
            expires, _, caller = known
            if time.time() < expires:
                return caller
            del self._verified[token]
            raise UnauthenticatedError("TOKEN_EXPIRED", "the access token has expired")
        key_id, claims = self._claims(token)
        caller = _caller_of(claims)
        self._verified[token] = (float(claims["exp"]) + LEEWAY_SECONDS, key_id, caller)
        if len(self._verified) > _CACHE_SIZE:
            self._verified.popitem(last=False)
        return caller

    def _claims(self, token: str) -> tuple[str, dict[str, Any]]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise UnauthenticatedError("TOKEN_MALFORMED", "the bearer token is not a JSON Web Token") from None
        key_id = str(header.get("kid", ""))
        try:
            if header.get("alg") == "HS256" and key_id == "service":
                return key_id, jwt.decode(
                    token,
                    self._service_key,
                    algorithms=["HS256"],
                    issuer=SERVICE_ISSUER,
                    audience=AUDIENCE,
                    leeway=LEEWAY_SECONDS,
                    options={"require": ["exp", "sub"]},
                )
            key = self._keys().get(key_id)
            now = time.time()
            if key is None or now > key.not_after or now < key.not_before - LEEWAY_SECONDS:
                raise UnauthenticatedError("TOKEN_KEY_UNKNOWN", "the token is signed by a key that is not in force")
            return key_id, jwt.decode(
                token,
                key.public_key,
                algorithms=["EdDSA"],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "jti", "kind"]},
            )
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError("TOKEN_EXPIRED", "the access token has expired") from None
        except jwt.InvalidTokenError:
            raise UnauthenticatedError("TOKEN_REFUSED", "the token's signature or claims do not hold") from None


def _caller_of(claims: Mapping[str, Any]) -> Caller:
    if claims["iss"] == SERVICE_ISSUER:
        return Caller(CallerKind.SERVICE, f"service/{claims['sub']}")
    return Caller(
        kind=CallerKind(claims["kind"]),
        subject=str(claims["sub"]),
        organization_id=str(claims.get("org", "")),
        scopes=Scopes.parse(str(claims.get("scope", ""))),
        purpose=int(claims.get("pou", 0)),
        citizen_key=str(claims.get("ckey", "")),
        break_glass_reason=str(claims.get("btg", "")),
        actor=str(claims.get("act", "")),
    )


def service_signing_key(platform_key: bytes) -> bytes:
    """The key of service tokens, derived from the platform key."""
    return hashlib.sha256(b"service-tokens" + platform_key).digest()


def service_token(platform_key: bytes, service: str, at: float | None = None) -> str:
    """A token by which a service shows another that it is one of the platform; valid for five minutes from `at`, or now."""
    now = int(time.time() if at is None else at)
    claims = {
        "iss": SERVICE_ISSUER,
        "aud": AUDIENCE,
        "sub": service,
        "kind": CallerKind.SERVICE.value,
        "iat": now,
        "exp": now + SERVICE_TOKEN_SECONDS,
    }
    return jwt.encode(claims, service_signing_key(platform_key), algorithm="HS256", headers={"kid": "service"})
