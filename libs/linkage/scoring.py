"""The weight of a pair, as Splink would give it, without Splink."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from libs.linkage.conditions import Row, Value
from libs.linkage.model import GRADES, Comparison, Level, Model

MISSING: Final = "missing"
Frequencies = Mapping[str, Mapping[Value, float]]
"""For a column, the share of its values that each value is. A value that is not told has no frequency known."""
NONE_KNOWN: Frequencies = MappingProxyType({})
# Where sums leave the range of a double's exponential, the answer is 0 or 1 to every digit shown.
_MOST_BITS: Final = 500.0


@dataclass(frozen=True, slots=True)
class Said:
    """What one comparison says of a pair: at which level it is, and what that weighs in bits."""

    field: str
    level: str
    bits: float


def weigh(model: Model, one: Row, other: Row, frequencies: Frequencies = NONE_KNOWN) -> tuple[Said, ...]:
    """What each comparison says. Raises KeyError for a row without one of the model's columns."""
    return tuple(_said(comparison, one, other, frequencies) for comparison in model.comparisons)


def total(model: Model, said: tuple[Said, ...]) -> float:
    """The log-odds in bits that the pair is one: the sum with the prior."""
    return model.prior_bits + math.fsum(one.bits for one in said)


def probability(bits: float) -> float:
    """The probability that log-odds in bits stand for."""
    return 1.0 / (1.0 + math.exp2(-max(-_MOST_BITS, min(_MOST_BITS, bits))))


def grade(model: Model, bits: float) -> str:
    """certain, probable or possible; "" for none of them."""
    return next((name for name in GRADES if bits >= model.thresholds[name]), "")


def _said(comparison: Comparison, one: Row, other: Row, frequencies: Frequencies) -> Said:
    if any(one[column] is None or other[column] is None for column in comparison.missing):
        return Said(comparison.field, MISSING, 0.0)
    level = next(level for level in comparison.levels if level.is_met is None or level.is_met(one, other))
    return Said(comparison.field, level.name, level.bits + _adjustment(comparison, level, one, other, frequencies))


def _adjustment(comparison: Comparison, level: Level, one: Row, other: Row, frequencies: Frequencies) -> float:
    """Splink's: the chance to agree at all over the chance to agree in this, of two values the more frequent."""
    column = level.frequencies
    known = frequencies.get(column) if column else None
    chance = comparison.chance(column) if known else None
    if known is None or chance is None:
        return 0.0
    shares = [share for row in (one, other) if (share := known.get(row[column])) is not None]
    return math.log2(chance / max(*shares, level.least_frequency, 0.0)) if shares else 0.0
