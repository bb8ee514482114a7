"""One to one: where neither source holds anybody twice, a record has one partner at most."""

from collections.abc import Iterable

Pair = tuple[float, str, str]
"""Weight, record of the one source, record of the other."""


def one_to_one(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs that are kept, the heaviest first, each record once. Of equals the lower ids win, whatever the order."""
    ones: set[str] = set()
    others: set[str] = set()
    kept = []
    for weight, one, other in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if one not in ones and other not in others:
            ones.add(one)
            others.add(other)
            kept.append((weight, one, other))
    return kept
