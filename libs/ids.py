"""Identifiers: time-ordered for new things, derived for things that a source already names."""

import os
import time
import uuid

_DERIVED = uuid.UUID("5f0c3c1e-6d3c-5f5a-9d8b-0d7a4e1b2c90")


def new_id() -> str:
    """A UUID version 7 (RFC 9562 section 5.7) in text: sorts by the time it was made, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return str(uuid.UUID(int=value))


def derived_id(*parts: str) -> str:
    """A UUID version 5 from a source's own key: the same parts give the same id, here and everywhere."""
    # The separator cannot occur in a part, so that ("a", "bc") and ("ab", "c") differ.
    return str(uuid.uuid5(_DERIVED, "\x1f".join(part.replace("\x1f", " ") for part in parts)))
