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


def sample_of(running: Platform, *, seed: int, people: int) -> Sample:
    """The sample's files, its organisations enrolled; nothing imported yet."""
    sample = Sample(running, people, seed, Console(file=StringIO()))
    sample.write()
    sample.enrol()
    return sample


def walk(running: Platform, sample: Sample, report: Path, *, patience_seconds: float = 0.0) -> tuple[bool, str]:
    """Walks the journey; whether it went well, and what was printed."""
    printed = StringIO()
    console = Console(file=printed, width=160)
    well = journey.run(running, sample, report, console=console, patience_seconds=patience_seconds)
    return well, printed.getvalue()
