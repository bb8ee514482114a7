"""Thresholds for a stated precision, found without labels.

Pairs of two who are not one thin out exponentially towards high weights: how fast, their own weights tell, wherever the
model's independence does not hold. So the false pairs above a threshold are extrapolated from the pairs that the model
itself holds for two, and not read off its probabilities, which trust fields that go together twice. Pairs of one among
them make the tail look heavier, and the threshold higher: the error is towards caution.
"""

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# The tail is fitted to this many pairs below even odds, the heaviest: enough to be steady, few enough to be the tail.
_TAIL: Final = 400
_FEWEST: Final = 20
_EVEN: Final = 0.0
# A tail that does not thin out over so many of its widths does not thin out.
_FLATTEST: Final = 1000.0
_HALVINGS: Final = 80
# Beyond so many slopes nothing is cut off, and a double's exponential ends.
_STEEPEST: Final = 700.0
# Standard errors that a threshold keeps from what the tail tells: one in twenty tails misleads by more.
_CAUTION: Final = 1.645


class TooFewPairsError(ValueError):
    """Too few pairs of two who are not one were weighed: block less tightly, or keep lighter pairs."""


def expected_false(weights: Sequence[float], threshold: float) -> float:
    """How many of the pairs at or above the threshold are false, as the tail of those below even odds tells.

    Weights are in bits, of all pairs that were compared. Raises TooFewPairsError.
    """
    return _tail_of(sorted(weights), 0.0).above(threshold)


def threshold(weights: Sequence[float], precision: float) -> float:
    """The lowest threshold, not below even odds, at which this share of the pairs is expected to be true.

    Reckoned by the upper bound (95 %) of how slowly the tail thins out, for a tail tells only about how fast it does.

    Infinite where no threshold reaches it. Raises TooFewPairsError.
    """
    if not 0.0 < precision < 1.0:
        raise ValueError(f"{precision} is no precision between 0 and 1")
    ordered = sorted(weights)
    tail = _tail_of(ordered, _CAUTION)
    found = math.inf
    for place in range(len(ordered) - 1, bisect.bisect_left(ordered, _EVEN) - 1, -1):
        if tail.above(ordered[place]) <= (1.0 - precision) * (len(ordered) - place):
            found = ordered[place]
    return found


@dataclass(frozen=True, slots=True)
class _Tail:
    """An exponential: so many pairs from `start` on, that thin out by `slope` bits; a slope of 0 never does."""

    pairs: float
    start: float
    slope: float

    def above(self, at: float) -> float:
        return self.pairs * math.exp((self.start - at) / self.slope) if self.slope else math.inf


def _tail_of(ordered: Sequence[float], caution: float) -> _Tail:
    below = bisect.bisect_left(ordered, _EVEN)
    tail = ordered[max(0, below - _TAIL) : below]
    if len(tail) < _FEWEST:
        raise TooFewPairsError(f"{len(tail)} pairs lie below even odds; {_FEWEST} are needed")
    width = _EVEN - tail[0]
    excess = [weight - tail[0] for weight in tail]
    mean = statistics.fmean(excess)
    slope = _slope(mean + caution * statistics.stdev(excess, mean) / math.sqrt(len(tail)), width)
    # As many as lie in the tail, by how much of the whole exponential lies there.
    return _Tail(len(tail) / -math.expm1(-width / slope) if slope else math.inf, tail[0], slope)


def _slope(mean: float, width: float) -> float:
    """The slope in bits of an exponential that is cut off at `width` and has this mean there; 0 if it does not fall.

    The maximum likelihood estimate: what lies above even odds is not seen, so that the plain mean is too steep.
    """
    if not 0.0 < mean < width / 2:
        return 0.0
    steep, flat = mean, width * _FLATTEST
    for _ in range(_HALVINGS):
        middle = (steep + flat) / 2
        cut_off = width / math.expm1(width / middle) if width < _STEEPEST * middle else 0.0
        if middle - cut_off < mean:
            steep = middle
        else:
            flat = middle
    return flat
