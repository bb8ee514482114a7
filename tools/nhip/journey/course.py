"""The course of a journey: steps with an outcome and a time, printed as they happen and kept as JSON."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.markup import escape

from tools.nhip.edge import EdgeError
from tools.nhip.journey.session import Answer, EdgeUnreachableError

_RETRY_SECONDS = 0.5
_POLL_SECONDS = 0.05

Found = TypeVar("Found")


class StepError(Exception):
    """A step did not do what it should; the message says what was expected and what came."""


@dataclass
class Step:
    """One step as it went."""

    name: str
    outcome: str
    seconds: float
    # What was seen, in words; synthetic people only.
    details: list[str] = field(default_factory=list)


def require(condition: bool, expectation: str) -> None:  # noqa: FBT001 reads as an assertion
    """Raises StepError unless the condition holds."""
    if not condition:
        raise StepError(expectation)


def expect(answer: Answer, *statuses: int) -> Answer:
    """The answer, when its status is one of these. Raises StepError otherwise."""
    if answer.status not in statuses:
        raise StepError(
            f"expected {' or '.join(map(str, statuses))}, got {answer.status} {answer.reason}: {answer.body}"
        )
    return answer


def until(look: Callable[[], Found | None], seconds: float, expectation: str) -> Found:
    """The first thing that `look` finds within `seconds`. Raises StepError."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise StepError(f"not within {seconds:.0f} s: {expectation}")
        time.sleep(_POLL_SECONDS)


Act = Callable[[], Sequence[str]]


class Course:
    """Carries out steps until one fails.

    With `patience_seconds`, a step that met a service which did not answer is carried out again, as long as that: every
    step is made so that doing it again changes nothing.
    """

    def __init__(self, console: Console, *, patience_seconds: float = 0.0) -> None:
        self._console = console
        self._patience = patience_seconds
        self.steps: list[Step] = []

    @property
    def is_well(self) -> bool:
        """True if every step so far did what it should."""
        return all(step.outcome == "ok" for step in self.steps)

    def walk(self, steps: Sequence[tuple[str, Act]]) -> bool:
        """Carries the steps out; False when one failed, and the rest were not tried."""
        for number, (name, act) in enumerate(steps, start=1):
            step = self._carry_out(name, act)
            self.steps.append(step)
            mark = "[green]ok[/green]" if step.outcome == "ok" else "[red]failed[/red]"
            self._console.print(f"{mark}  {number}. {escape(name)}  [dim]{step.seconds:.2f} s[/dim]", highlight=False)
            for detail in step.details:
                self._console.print(f"      {escape(detail)}", highlight=False)
            if step.outcome != "ok":
                return False
        return True

    def _carry_out(self, name: str, act: Act) -> Step:
        began = time.monotonic()
        while True:
            try:
                details = list(act())
                return Step(name, "ok", time.monotonic() - began, details)
            except (EdgeUnreachableError, EdgeError) as error:
                is_transient = isinstance(error, EdgeUnreachableError) or error.status in {0, 502, 503, 504}
                if not is_transient or time.monotonic() - began > self._patience:
                    return Step(name, "failed", time.monotonic() - began, [str(error)])
                time.sleep(_RETRY_SECONDS)
            except (StepError, PermissionError, KeyError, IndexError) as error:
                return Step(name, "failed", time.monotonic() - began, [f"{type(error).__name__}: {error}"])

    def write(self, path: Path, seed: int, people: int) -> None:
        """Writes the report."""
        report = {
            "seed": seed,
            "people": people,
            "outcome": "ok" if self.is_well else "failed",
            "seconds": sum(step.seconds for step in self.steps),
            "steps": [asdict(step) for step in self.steps],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
