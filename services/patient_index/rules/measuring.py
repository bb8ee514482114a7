"""How well the index joins: shares with intervals, over all and by stratum, from pairs that reviewers judged blindly.

Interval: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22 (1927), without
continuity correction, which keeps its promise also for shares near 1, where linkage lives.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from libs.thai import places
from services.patient_index.model import Features, Judged, Verdict

# Of the standard normal distribution, for 95 %.
_Z = 1.959963984540054
_THAI = "099"
_UNKNOWN_NATIONALITIES = frozenset({"", "999"})
_AGES = ((5, "0-4"), (18, "5-17"), (40, "18-39"), (65, "40-64"), (200, "65+"))
UNKNOWN = "unknown"
ALL = "all"
# A third reviewer decides where two disagree.
SAMPLE_REVIEWERS = 2


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many of so many, and where the share lies with 95 %."""

    counted: int
    total: int

    @property
    def share(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.counted / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high; all of 0 to 1 where nothing was counted."""
        if not self.total:
            return 0.0, 1.0
        share, total = self.share, self.total
        middle = share + _Z**2 / (2 * total)
        spread = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
        scale = 1 + _Z**2 / total
        # Rounding must not leave 0 to 1.
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


@dataclass(frozen=True, slots=True)
class Quality:
    """Precision and recall within a stratum."""

    dimension: str
    stratum: str
    precision: Proportion
    recall: Proportion


def strata_of(features: Features, today: date) -> dict[str, str]:
    """The strata that a registration lies in, by dimension; few values each, and nobody's."""
    return {
        "region": _region(features.place_code),
        "age": _age(features.birth_date, today),
        "nationality": _nationality(features.nationality),
        "script": _script(features),
    }


def qualities(judged: Iterable[Judged]) -> list[Quality]:
    """Over all, then by dimension and stratum in their order. Pairs that reviewers did not settle are left out."""
    counts: dict[tuple[str, str], Counter[tuple[bool, bool]]] = defaultdict(Counter)
    counts[ALL, ""] = Counter()
    for one in judged:
        verdict = settled(one.verdicts)
        if verdict is None:
            continue
        outcome = one.is_linked, verdict is Verdict.SAME
        for place in ((ALL, ""), *one.strata.items()):
            counts[place][outcome] += 1
    ordered = sorted(counts, key=lambda place: (place[0] != ALL, place))
    return [_quality(dimension, stratum, counts[dimension, stratum]) for dimension, stratum in ordered]


def settled(verdicts: Sequence[Verdict]) -> Verdict | None:
    """What two reviewers, or most of more, say; None where that is not known yet."""
    voices = Counter(one for one in verdicts if one is not Verdict.UNSURE)
    if sum(voices.values()) < SAMPLE_REVIEWERS:
        return None
    (first, most), *others = voices.most_common()
    return first if not others or most > others[0][1] else None


def agreement(judged: Iterable[Judged]) -> Proportion:
    """Of pairs that two reviewers judged, those of which the first two said the same."""
    pairs = [one.verdicts[:SAMPLE_REVIEWERS] for one in judged if len(one.verdicts) >= SAMPLE_REVIEWERS]
    return Proportion(sum(first is second for first, second in pairs), len(pairs))


def _quality(dimension: str, stratum: str, counts: Counter[tuple[bool, bool]]) -> Quality:
    right, wrong, missed = counts[True, True], counts[True, False], counts[False, True]
    return Quality(dimension, stratum, Proportion(right, right + wrong), Proportion(right, right + missed))


def _region(place_code: str) -> str:
    try:
        return f"{places.health_region(place_code):02d}" if place_code else UNKNOWN
    except places.PlaceError:
        return UNKNOWN


def _age(birth_date: str, today: date) -> str:
    if not birth_date:
        return UNKNOWN
    years = today.year - int(birth_date[:4]) - (birth_date[4:] > today.isoformat()[4:])
    return next(band for limit, band in _AGES if years < limit)


def _nationality(code: str) -> str:
    if code in _UNKNOWN_NATIONALITIES:
        return UNKNOWN
    return "thai" if code == _THAI else "other"


def _script(features: Features) -> str:
    thai, roman = bool(features.given or features.family), bool(features.given_roman or features.family_roman)
    return {(True, True): "both", (True, False): "thai", (False, True): "roman"}.get((thai, roman), "none")
