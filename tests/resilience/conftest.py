"""What is collected only where it is asked for by name."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A full disk needs one that may be filled: `make test-disk-full`."""
    if collection_path.name != "test_disk_full.py":
        return None
    return None if any("test_disk_full" in argument for argument in config.args) else True
