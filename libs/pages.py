"""Page tokens: opaque, tamper-proof, and bound to the query that they continue.

Opaque is meant: what a token holds of the store (which transactions were going on, say) is for nobody to read. They are
sealed with AES-SIV (RFC 5297), which needs no nonce: the same position of the same query is the same token.
"""

import base64
import hashlib
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from libs.errors import FieldViolation, InvalidArgumentError

# Lengths are told in steps: a list of transactions that is a little longer does not show.
_STEP = 48
_SEAL_BYTES = 16


class PageTokens:
    """Writes and reads page tokens with a key that callers do not have."""

    def __init__(self, key: bytes) -> None:
        self._seal = AESSIV(hashlib.sha512(b"page-tokens" + key).digest())

    def write(self, position: Any, *query: object) -> str:
        """A token for the page after `position` (any JSON value) of the query that the other arguments name."""
        payload = orjson.dumps(position)
        # JSON may end in blanks.
        padded = payload.ljust(-(-len(payload) // _STEP) * _STEP)
        return base64.urlsafe_b64encode(self._seal.encrypt(padded, _bound(query))).decode().rstrip("=")

    def read(self, token: str, *query: object) -> Any:
        """The position in a token; None for the empty token.

        Raises InvalidArgumentError, reason PAGE_TOKEN_INVALID, for a token that was changed or is of another query.
        """
        if not token:
            return None
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raw = b""
        if len(raw) <= _SEAL_BYTES:
            raise _invalid()
        try:
            return orjson.loads(self._seal.decrypt(raw, _bound(query)))
        except InvalidTag:
            raise _invalid() from None


def _bound(query: tuple[object, ...]) -> list[bytes]:
    return [repr(query).encode()]


def _invalid() -> InvalidArgumentError:
    message = "the page token is not one that this query was given"
    return InvalidArgumentError(
        "PAGE_TOKEN_INVALID", message, fields=[FieldViolation("page_token", "PAGE_TOKEN_INVALID", message)]
    )
