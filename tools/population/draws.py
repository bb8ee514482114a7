"""Draws that depend on their seed and on nothing else.

Only `Random.random` is used, whose sequence Python keeps the same between versions; not hashes, not the order of sets,
not the methods whose algorithms have changed.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


class Table:
    """Positions with weights, added up once."""

    __slots__ = ("_bounds", "total")

    def __init__(self, weights: Sequence[float]) -> None:
        """`weights` are not negative, and one of them is above 0."""
        self._bounds = list(accumulate(weights))
        self.total = self._bounds[-1]

    def position(self, fraction: float) -> int:
        """The position in which the fraction (0 to 1) of the total falls."""
        return min(bisect_right(self._bounds, fraction * self.total), len(self._bounds) - 1)


class Draws:
    """A stream of draws."""

    __slots__ = ("fraction",)

    def __init__(self, seed: str) -> None:
        """Streams of different seeds are independent of one another."""
        self.fraction = random.Random(seed).random  # noqa: S311 - made to be repeated, not to be secret

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.fraction() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.fraction() * (high - low + 1))

    def pick(self, things: Sequence[T]) -> T:
        """One of the things, each as likely."""
        return things[int(self.fraction() * len(things))]

    def position(self, table: Table) -> int:
        """A position of the table, in proportion to the weights."""
        return table.position(self.fraction())

    def around(self, mean: float, spread: float) -> float:
        """A number near the mean: the sum of three even draws, which is bell-shaped enough for vital signs."""
        return mean + spread * (self.fraction() + self.fraction() + self.fraction() - 1.5) * 2

    def count(self, mean: float) -> int:
        """A whole number of that mean, geometrically spread: most are small, some are large."""
        number = 0
        going_on = mean / (1 + mean)
        while self.fraction() < going_on:
            number += 1
        return number
