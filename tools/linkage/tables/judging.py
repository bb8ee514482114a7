"""What was found, held against what is known to be true."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix over all pairs that could be: within one table, or across two."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> float:
        """Of what was joined, the share that is one; 1 where nothing was."""
        joined = self.true_positive + self.false_positive
        return self.true_positive / joined if joined else 1.0

    @property
    def recall(self) -> float:
        """Of what is one, the share that was joined; 1 where nothing is."""
        true = self.true_positive + self.false_negative
        return self.true_positive / true if true else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def judge(clusters: Sequence[int], truth: Sequence[str], sources: Sequence[int]) -> Matrix:
    """Pairs of one cluster against pairs of one value of the truth. A record without a truth is one with nobody.

    `sources` says of which table each record is: where there are two, only pairs across them count.
    """
    known = [value or number for number, value in enumerate(truth)]
    joined = _pairs(clusters, sources)
    true = _pairs(known, sources)
    both = _pairs(list(zip(clusters, known, strict=True)), sources)
    every = _pairs([0] * len(clusters), sources)
    return Matrix(both, joined - both, true - both, every - joined - true + both)


def _pairs(groups: Sequence[Hashable], sources: Sequence[int]) -> int:
    counts: Counter[Hashable] = Counter(groups)
    within: Counter[tuple[Hashable, int]] = Counter(zip(groups, sources, strict=True))
    if len(set(sources)) == 1:
        return sum(count * (count - 1) // 2 for count in counts.values())
    return (sum(count * count for count in counts.values()) - sum(count * count for count in within.values())) // 2
