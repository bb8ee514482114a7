"""Where tests put clusters: in memory where there is room, since a database of its own for each test is hundreds of files."""

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 whoever runs the tests may write there; the folders made in it are theirs alone
# A run of the whole suite takes a third of it.
_ROOM = 3 << 30


def cluster_folder() -> str | None:
    """The directory to make folders of clusters in; None for where temporary files are elsewhere."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    return str(_MEMORY) if shutil.disk_usage(_MEMORY).free >= _ROOM else None
