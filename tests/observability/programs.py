"""Prometheus, promtool and Alertmanager: where `make test-observability` put them."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".prometheus" / "bin"


@dataclass(frozen=True)
class Programs:
    """Paths of the programs."""

    prometheus: Path
    promtool: Path
    alertmanager: Path


def programs() -> Programs | None:
    """The programs; None where they were not brought."""
    found = Programs(FOLDER / "prometheus", FOLDER / "promtool", FOLDER / "alertmanager")
    return found if all(path.exists() for path in (found.prometheus, found.promtool, found.alertmanager)) else None
