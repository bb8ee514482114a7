"""Results of a suite, in the one form that every suite has."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

BENCH = Path(__file__).resolve().parents[2] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Result:
    """One figure beside its raw limit. For rates the ratio is value / limit, for times limit / value: 1 is the best."""

    name: str
    value: float
    unit: str
    # What the machine would do without us, measured in the same run; None where nothing of the kind exists.
    limit: float | None
    limit_name: str
    ratio: float | None
    # How it was measured: concurrency, sizes, number of runs.
    conditions: str
    # What the figure must at least be (a rate, or where `is_least`) or at most be (a time); None where nothing is promised.
    floor: float | None = None
    is_least: bool = False

    @property
    def is_better_higher(self) -> bool:
        """True for rates, and for shares that should be high."""
        return self.is_least or self.unit.endswith("/s")

    @property
    def is_met(self) -> bool:
        """True if the promise is kept, or none was given."""
        if self.floor is None:
            return True
        return self.value >= self.floor if self.is_better_higher else self.value <= self.floor


def result(
    name: str,
    value: float,
    unit: str,
    conditions: str,
    *,
    limit: float | None = None,
    limit_name: str = "",
    floor: float | None = None,
    least: float | None = None,
) -> Result:
    """A result with its ratio. `least` is a promise of a share that should be high; `floor` of a rate or a time."""
    ratio = None
    if limit and value:
        ratio = value / limit if unit.endswith("/s") else limit / value
    promise = floor if least is None else least
    return Result(name, value, unit, limit, limit_name, ratio, conditions, promise, is_least=least is not None)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return float(statistics.median(values))


def write(suite: str, results: Sequence[Result]) -> Path:
    """Writes build/bench/<suite>.json."""
    BENCH.mkdir(parents=True, exist_ok=True)
    path = BENCH / f"{suite}.json"
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.platform()}
    rows = [{**asdict(one), "is_met": one.is_met, "machine": machine} for one in results]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return path


def show(results: Sequence[Result], console: Console) -> None:
    """Prints the results."""
    for one in results:
        limit = "" if one.limit is None else f"  [dim]{one.ratio:.2f} of {one.limit:,.0f}: {one.limit_name}[/dim]"
        floor = "" if one.floor is None else f"  {'at least' if one.is_better_higher else 'at most'} {one.floor:,g}"
        mark = "[green]kept[/green]" if one.is_met else "[red]missed[/red]"
        promise = f"{floor} {mark}" if floor else ""
        console.print(
            f"{one.name:28}{one.value:12,.2f} {one.unit}{promise}{limit}",
            highlight=False,
            soft_wrap=True,
        )
        console.print(f"{'':28}[dim]{one.conditions}[/dim]", highlight=False, soft_wrap=True)
