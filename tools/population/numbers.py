"""Numbers that identify: unique by construction, so that nothing has to be remembered to keep them apart."""

from typing import Final

from libs.thai import citizen_id as thai_citizen_id

_SPACE: Final = 10**11
# Coprime to the space, so that multiplying by it only changes the order; near the golden ratio of it, so that
# neighbours lie far apart.
_STEP: Final = 61_803_398_749
_SEED_STEP: Final = 27_182_818_283


def citizen_id(seed: int, number: int) -> str:
    """The citizen id of the person of that number (below 10^11): begins with 9, valid, another for each number."""
    scattered = ((number + 1) * _STEP + (seed + 1) * _SEED_STEP) % _SPACE
    return thai_citizen_id.make(f"9{scattered:011d}")


def passport(number: int) -> str:
    """A passport number that no other person of the population has."""
    return f"Z{chr(ord('A') + number % 26)}{number // 26 + 100_000:07d}"
