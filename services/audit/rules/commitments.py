"""What stands in the tree for an entry: a commitment that tells nothing of it without its salt."""

import hashlib

# As many bits as make guessing the content from the commitment hopeless, also where few contents are possible.
SALT_BYTES = 16


def commitment(salt: bytes, content: bytes) -> bytes:
    """SHA-256 over salt and content. The salt has a fixed length, so that no other pair runs into the same bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return hashlib.sha256(salt + content).digest()
