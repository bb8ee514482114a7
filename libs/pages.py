"""Page tokens: opaque, tamper-proof, and bound to the query that they continue."""

import base64
import hashlib
import hmac
from typing import Any

import orjson

from libs.errors import FieldViolation, InvalidArgumentError

_SIGNATURE_BYTES = 12


class PageTokens:
    """Writes and reads page tokens with a key that callers do not have."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(b"page-tokens" + key).digest()

    def write(self, position: Any, *query: object) -> str:
        """A token for the page after `position` (any JSON value) of the query that the other arguments name."""
        payload = orjson.dumps(position)
        return base64.urlsafe_b64encode(self._sign(payload, query) + payload).decode().rstrip("=")

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
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(payload, query)):
            message = "the page token is not one that this query was given"
            raise InvalidArgumentError(
                "PAGE_TOKEN_INVALID", message, fields=[FieldViolation("page_token", "PAGE_TOKEN_INVALID", message)]
            )
        return orjson.loads(payload)

    def _sign(self, payload: bytes, query: tuple[object, ...]) -> bytes:
        message = payload + b"\x1f" + repr(query).encode()
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
