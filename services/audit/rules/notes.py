"""Checkpoints as text: the C2SP formats tlog-checkpoint and signed-note (https://c2sp.org)."""

import base64
import hashlib

# Names the log; also the name of the key that signs it.
ORIGIN = "nhip.th/audit"
# signed-note's number for Ed25519.
_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4


def body(tree_size: int, root_hash: bytes) -> str:
    """What is signed: origin, size and root, a line each."""
    return f"{ORIGIN}\n{tree_size}\n{base64.b64encode(root_hash).decode()}\n"


def key_hash(public_key: bytes) -> bytes:
    """The four bytes by which a signature line names its key (raw Ed25519 public key)."""
    return hashlib.sha256(ORIGIN.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_HASH_BYTES]


def verifier_key(public_key: bytes) -> str:
    """The key as signed-note writes it: name, hash and public key; all that it takes to verify."""
    return f"{ORIGIN}+{key_hash(public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def signed(text: str, public_key: bytes, signature: bytes) -> str:
    """The note: the text, an empty line, and the signature's line."""
    told = base64.b64encode(key_hash(public_key) + signature).decode()
    return f"{text}\n\u2014 {ORIGIN} {told}\n"
