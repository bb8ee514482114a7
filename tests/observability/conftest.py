"""Tests against a real Prometheus; `make test-observability` brings it and runs them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observability.programs import programs


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only where they are asked for by name: they need programs of 180 MB, and minutes of an idle machine."""
    is_asked_for = any("tests/observability" in argument for argument in config.args)
    is_test = collection_path.name.startswith("test_")
    return True if is_test and not (is_asked_for and programs()) else None


@pytest.fixture(scope="session")
def stand() -> Iterator[object]:
    """The platform, watched; one for all tests, which take their turns."""
    from tests.observability.stand import standing  # noqa: PLC0415 what a run without Prometheus need not load

    with tempfile.TemporaryDirectory(prefix="nhip-watched-") as folder, pytest.MonkeyPatch.context() as patch:
        # The account that stands in for root runs PostgreSQL in it.
        Path(folder).chmod(0o711)
        with standing(Path(folder), patch.setenv) as running:
            yield running
