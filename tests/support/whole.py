"""A whole platform for a test: eight processes, real gRPC, the edge."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console

from tools.nhip import journey
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample


@contextmanager
def platform(home: Path) -> Iterator[Platform]:
    """Up, on free ports; down after."""
    with Platform(home, durable=False) as running:
        yield running


def walk(running: Platform, report: Path, *, seed: int, people: int, patience_seconds: float = 0.0) -> tuple[bool, str]:
    """Makes the sample and walks the journey; whether it went well, and what was printed."""
    printed = StringIO()
    console = Console(file=printed, width=160)
    sample = Sample(running, people, seed, console)
    sample.write()
    sample.enrol()
    well = journey.run(running, sample, report, console=console, patience_seconds=patience_seconds)
    return well, printed.getvalue()
