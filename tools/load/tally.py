"""How long answers took, and which failed, by kind of request."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

_REFUSED = 400


@dataclass
class Tally:
    """What came of a load. Latencies in seconds, from the moment when the request was due, not from when it could be sent."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    # By kind and by what was answered: an HTTP status, or the name of what broke.
    failures: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    # The first words of the first failure of each kind.
    first: dict[str, str] = field(default_factory=dict)
    visits: int = 0
    unfinished: int = 0
    seconds: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0

    def answered(self, kind: str, seconds: float, status: int, said: bytes) -> None:
        """Counts an answer."""
        self.latencies[kind].append(seconds)
        if status >= _REFUSED:
            self._failed(kind, str(status), said.decode(errors="replace"))

    def broke(self, kind: str, error: Exception) -> None:
        """Counts a request that was not answered."""
        self._failed(kind, type(error).__name__, str(error))

    def _failed(self, kind: str, outcome: str, said: str) -> None:
        self.failures[kind][outcome] += 1
        self.first.setdefault(kind, f"{outcome} {said[:300]}")

    @property
    def requests(self) -> int:
        """How many were sent."""
        unanswered = sum(
            count for outcomes in self.failures.values() for what, count in outcomes.items() if not what.isdigit()
        )
        return sum(map(len, self.latencies.values())) + unanswered

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(outcomes.total() for outcomes in self.failures.values())

    def rows(self) -> Iterator[tuple[str, int, int, float, float, float]]:
        """Kind, answers, failures, and the median, 95th and 99th percentile in milliseconds; then all together."""
        kinds = sorted(self.latencies.keys() | self.failures.keys())
        for kind in kinds:
            yield self._row(kind, self.latencies.get(kind, []), self.failures.get(kind, Counter()).total())
        yield self._row("all", [one for kind in kinds for one in self.latencies.get(kind, [])], self.failed)

    @staticmethod
    def _row(kind: str, latencies: list[float], failed: int) -> tuple[str, int, int, float, float, float]:
        p50, p95, p99 = (percentile(latencies, share) * 1000 for share in (0.5, 0.95, 0.99))
        return kind, len(latencies), failed, p50, p95, p99


def percentile(values: list[float], share: float) -> float:
    """The least value that this share of all does not exceed (nearest rank); 0 for none."""
    ordered = sorted(values)
    rank = max(1, -int(-share * len(ordered) // 1))
    return ordered[rank - 1] if ordered else 0.0
