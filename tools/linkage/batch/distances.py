"""The distances of strings as Spark's workers compute them, which import this module and no more."""

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler


def alike(one: str | None, other: str | None) -> float | None:
    """Jaro and Winkler's similarity, letter by letter; None where a side is."""
    return None if one is None or other is None else JaroWinkler.similarity(one, other)


def distance(one: str | None, other: str | None) -> int | None:
    """Damerau and Levenshtein's distance, letter by letter; None where a side is."""
    return None if one is None or other is None else DamerauLevenshtein.distance(one, other)
