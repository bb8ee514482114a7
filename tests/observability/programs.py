"""Prometheus and promtool: where `make test-observability` put them."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".prometheus" / "bin"


@dataclass(frozen=True)
class Programs:
    """Paths of the programs."""

    prometheus: Path
    promtool: Path


def programs() -> Programs | None:
    """The programs; None where they were not brought."""
    found = Programs(FOLDER / "prometheus", FOLDER / "promtool")
    return found if all(path.exists() for path in (found.prometheus, found.promtool)) else None
