"""What identity keeps of secrets, and how.

A client's secret is kept as HMAC-SHA-256 under a key derived from the platform key. A slow hash (scrypt, Argon2) guards
secrets that people choose, at a tenth of a second of a core for each token; here secrets have 24 characters or more,
are made by machines, and tokens are asked for many times a second. Should somebody choose a weak one nevertheless, a
stolen database alone does not let it be guessed: the key is not in it.

Private keys are sealed with AES-256-GCM under another derived key, bound to their key id.
"""

import hashlib
import hmac
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.identity.model import SecretDigest

_SALT_BYTES = 16
# What AES-GCM is specified for.
_NONCE_BYTES = 12
# 256 bits, 43 characters.
_SECRET_BYTES = 32


class ClientSecrets:
    """Makes, digests and checks clients' secrets."""

    def __init__(self, platform_key: bytes) -> None:
        self._key = _derive(platform_key, b"nhip/identity/client-secrets")
        # What a secret is checked against where there is no client, so that both take the same time.
        self._nobody = self.digest(self.fresh())

    def fresh(self) -> str:
        """A new secret."""
        return secrets.token_urlsafe(_SECRET_BYTES)

    def digest(self, secret: str) -> SecretDigest:
        """What is kept of a secret."""
        salt = os.urandom(_SALT_BYTES)
        return SecretDigest(salt, self._hash(salt, secret))

    def is_right(self, secret: str, kept: SecretDigest | None) -> bool:
        """True if the secret is the one that was kept; False, after the same work, if nothing was."""
        against = kept or self._nobody
        is_equal = hmac.compare_digest(self._hash(against.salt, secret), against.digest)
        return is_equal and kept is not None

    def _hash(self, salt: bytes, secret: str) -> bytes:
        return hmac.new(self._key, salt + secret.encode(), hashlib.sha256).digest()


class PrivateKeySeal:
    """Seals private keys for the database, and opens them."""

    def __init__(self, platform_key: bytes) -> None:
        self._cipher = AESGCM(_derive(platform_key, b"nhip/identity/signing-keys"))

    def seal(self, key_id: str, private_key: Ed25519PrivateKey) -> bytes:
        """Nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, private_key.private_bytes_raw(), key_id.encode())

    def open(self, key_id: str, sealed: bytes) -> Ed25519PrivateKey | None:
        """The private key; None if it was sealed under another platform key or for another key id."""
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return Ed25519PrivateKey.from_private_bytes(self._cipher.decrypt(nonce, ciphertext, key_id.encode()))
        except InvalidTag:
            return None


def _derive(platform_key: bytes, purpose: bytes) -> bytes:
    """RFC 5869: one key for each purpose, none of which tells of another."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(platform_key)
