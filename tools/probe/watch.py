"""The walk again and again, and what came of it as metrics: whether the platform does what it is for, seen from outside.

Each step is an invariant. A walk that goes well also leaves the person as the one before found it: the same registration and the
same person, whatever was upgraded, restored or linked in between.
"""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from tools.probe.course import STEPS, Walk, steps
from tools.probe.edge import ProbeError

CHECKS = Counter("nhip_probe_checks_total", "Invariants that the probe checked, by outcome.", ["step", "outcome"])
SECONDS = Histogram(
    "nhip_probe_walk_seconds",
    "Time of a walk on which every invariant held.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
HELD = Gauge("nhip_probe_held_timestamp_seconds", "Unix time when every invariant last held.")

SAME: Final = "same"
OUTCOMES: Final = ("held", "broken")


class Watch:
    """Walks, and remembers whom it found."""

    def __init__(self, begin: Callable[[], Walk]) -> None:
        """`begin` answers a fresh walk. Every series is there from the start, so that the first failure counts."""
        self._begin = begin
        self._known: tuple[str, str] | None = None
        for step in (*STEPS, SAME):
            for outcome in OUTCOMES:
                CHECKS.labels(step, outcome)

    def once(self) -> str:
        """One walk; what was broken, or ''."""
        began = time.monotonic()
        walk = self._begin()
        for step, (name, deed) in zip(STEPS, steps(walk), strict=True):
            try:
                deed()
            except ProbeError as error:
                CHECKS.labels(step, "broken").inc()
                return f"{name}: {error}"
            CHECKS.labels(step, "held").inc()
        found = str(walk.registration["registrationId"]), str(walk.registration["personId"])
        is_same = self._known in {None, found}
        CHECKS.labels(SAME, "held" if is_same else "broken").inc()
        # What is so from now on is measured from now on: one change is one failure.
        known, self._known = self._known, found
        if not is_same:
            return f"the person is another than before: registration and person were {known}, and are {found}"
        SECONDS.observe(time.monotonic() - began)
        HELD.set_to_current_time()
        return ""
