"""Identifiers: time-ordered for new things, derived for things that a source already names."""

import hashlib
import os
import time
import uuid

_DERIVED = hashlib.sha1(uuid.UUID("5f0c3c1e-6d3c-5f5a-9d8b-0d7a4e1b2c90").bytes, usedforsecurity=False)
_VERSION_7, _VERSION_5, _VARIANT = 0x7 << 76, 0x5 << 76, 0b10 << 62
_BUT_VERSION_AND_VARIANT = ~(0xF << 76 | 0b11 << 62)


def new_id() -> str:
    """A UUID version 7 (RFC 9562 section 5.7) in text: sorts by the time it was made, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    return _text(
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random & _BUT_VERSION_AND_VARIANT | _VERSION_7 | _VARIANT,
    )


def derived_id(*parts: str) -> str:
    """A UUID version 5 from a source's own key: the same parts give the same id, here and everywhere."""
    # The separator cannot occur in a part, so that ("a", "bc") and ("ab", "c") differ.
    hashed = _DERIVED.copy()
    hashed.update("\x1f".join([part.replace("\x1f", " ") for part in parts]).encode())
    number = int.from_bytes(hashed.digest()[:16], "big")
    return _text(number & _BUT_VERSION_AND_VARIANT | _VERSION_5 | _VARIANT)


def _text(number: int) -> str:
    # Not by uuid.UUID, whose objects cost several times what the text does; a batch makes thousands.
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
