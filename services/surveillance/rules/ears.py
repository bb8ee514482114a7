"""EARS C1 and C2: whether a week's count lies far above the weeks before.

Hutwagner L. et al., The bioterrorism preparedness and response Early Aberration Reporting System, J Urban Health 2003;
80(2 Suppl 1): i89-96. As in R's `surveillance::earsC`: the upper bound is mean + z(1 - alpha) * deviation of the
baseline, with the sample standard deviation, and a count above the bound alarms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev


@dataclass(frozen=True, slots=True)
class Ears:
    """A detector of the family with its controls."""

    name: str
    # Weeks left out between the baseline and the week judged, so that a beginning outbreak does not raise the bar.
    guard: int
    baseline: int = 7
    alpha: float = 0.001
    # The deviation is taken to be at least this.
    min_sigma: float = 0.0

    @property
    def weeks_needed(self) -> int:
        """So many weeks before one decide about it."""
        return self.guard + self.baseline

    def judge(self, counts: Sequence[int], index: int) -> "Judgement | None":
        """What the detector makes of `counts[index]`; None where the weeks before are too few."""
        start = index - self.weeks_needed
        if start < 0:
            return None
        baseline = counts[start : start + self.baseline]
        expected = fmean(baseline)
        sigma = max(stdev(baseline), self.min_sigma)
        upper_bound = expected + NormalDist().inv_cdf(1 - self.alpha) * sigma
        score = (counts[index] - expected) / sigma if sigma > 0 else None
        return Judgement(expected, upper_bound, score, is_alarm=counts[index] > upper_bound)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One week against its baseline. `score` is in standard deviations; None where the baseline does not vary."""

    expected: float
    upper_bound: float
    score: float | None
    is_alarm: bool


C1 = Ears("ears-c1", guard=0)
C2 = Ears("ears-c2", guard=2)
