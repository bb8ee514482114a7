"""Tests against a real Prometheus; `make test-observability` brings it and runs them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observability.programs import programs

# Programs of 180 MB that nothing else needs.
collect_ignore_glob = [] if programs() else ["test_*.py"]


@pytest.fixture(scope="session")
def stand() -> Iterator[object]:
    """The platform, watched; one for all tests, which take their turns."""
    from tests.observability.stand import standing  # noqa: PLC0415 what a run without Prometheus need not load

    with tempfile.TemporaryDirectory(prefix="nhip-watched-") as folder, pytest.MonkeyPatch.context() as patch:
        # The account that stands in for root runs PostgreSQL in it.
        Path(folder).chmod(0o711)
        with standing(Path(folder), patch.setenv) as running:
            yield running
