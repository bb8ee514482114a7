"""The keyed hash by which services know a citizen without carrying the number.

Thirteen digits are enumerated in minutes, so that a hash without a secret key would be the number itself. The key is a
secret of the deployment, held by identity (accounts) and patient_index (registrations).
"""

import base64
import hashlib
import hmac


class CitizenKeys:
    """Makes citizen keys with the deployment's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(b"citizen-keys" + secret).digest()

    def key_of(self, system: str, value: str) -> str:
        """The key of an identifier: 128 bits of HMAC-SHA-256, in URL-safe base64 without padding (22 characters)."""
        digest = hmac.new(self._secret, f"{system}|{value}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
