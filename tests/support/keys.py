"""A signing key of the tests' own, and the verification keys that go with it."""

import time
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.access.tokens import VerificationKey

_key = Ed25519PrivateKey.generate()


def signing_key() -> Ed25519PrivateKey:
    """The private key, named `test`."""
    return _key


def verification_keys() -> Mapping[str, VerificationKey]:
    """What a verifier that trusts it knows."""
    return {"test": VerificationKey("test", _key.public_key(), 0, time.time() + 3600)}
