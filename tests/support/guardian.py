"""Takes the server of a test run down when nobody of the run is left: `python -m tests.support.guardian FOLDER`."""

import fcntl
import shutil
import sys
from pathlib import Path

from libs.database.embedded import EmbeddedPostgres


def main() -> None:
    """Waits until every lease on the folder is given back, by its holder or by its holder's end."""
    folder = Path(sys.argv[1])
    with (folder / "lease").open("ab") as lease:
        fcntl.flock(lease, fcntl.LOCK_EX)
    EmbeddedPostgres(folder / "home", durable=False).stop()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
