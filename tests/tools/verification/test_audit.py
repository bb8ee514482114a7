"""Checkpoints are verified by the key that their note names."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.rules import notes
from tools.verification.audit import fault_of

ROOT = b"r" * 32


def a_key(*, with_plus: bool) -> Ed25519PrivateKey:
    """A key whose base64 has a plus sign, or none."""
    for number in range(1000):
        key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        if (b"+" in base64.b64encode(b"\x01" + key.public_key().public_bytes_raw())) is with_plus:
            return key
    raise AssertionError("there are keys of both sorts")


def a_checkpoint(key: Ed25519PrivateKey, size: int = 3):
    text, public = notes.body(size, ROOT), key.public_key().public_bytes_raw()
    note = notes.signed(text, public, key.sign(text.encode()))
    return {"tree_size": size, "root_hash": ROOT, "note": note, "key_id": notes.verifier_key(public)}


@pytest.mark.parametrize("with_plus", [True, False])
def test_a_signature_holds_whatever_signs_the_key_is_written_with(with_plus):
    assert fault_of(a_checkpoint(a_key(with_plus=with_plus)), ROOT) == ""


def test_a_signature_of_another_key_or_another_tree_does_not_hold():
    checkpoint = a_checkpoint(a_key(with_plus=True))
    other = notes.verifier_key(a_key(with_plus=False).public_key().public_bytes_raw())
    assert "signature" in fault_of({**checkpoint, "key_id": other}, ROOT)
    assert "not those that were signed" in fault_of(checkpoint, b"x" * 32)
    assert "tells of others" in fault_of({**checkpoint, "tree_size": 4}, ROOT)
