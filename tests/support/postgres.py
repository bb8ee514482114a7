"""One PostgreSQL for a run of the tests, shared by all its workers, and a database of its own for each test that asks.

The first that needs the server starts it. A guardian process waits until nobody of the run is left, however they
ended, and then takes the server down; so neither Ctrl-C nor kill -9 leaves one behind.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from libs import ids
from libs.database.embedded import EmbeddedPostgres
from libs.database.migrations import migrate
from tests.support.places import cluster_folder

# Workers inherit the environment of the process that started them, and with it the directory of the run.
_RUN = "NHIP_TEST_RUN"
_FAREWELL_SECONDS = 20.0

DatabaseUrl = Callable[[str], str]

_lease: IO[bytes] | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Opens the run's directory, and holds a lease on it until this process ends."""
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="nhip-tests-", dir=cluster_folder()))
        # The account that runs PostgreSQL in root's stead passes through.
        folder.chmod(0o711)
        os.environ[_RUN] = str(folder)
    global _lease  # noqa: PLW0603 held by the process, not by any object that a test could drop
    _lease = (_run_folder() / "lease").open("ab")
    fcntl.flock(_lease, fcntl.LOCK_SH)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Gives the lease back; the last of the run stays until the server is gone."""
    if _lease is None:
        return
    _lease.close()
    if hasattr(config, "workerinput"):
        return
    folder = _run_folder()
    if not (folder / "guarded").exists():
        shutil.rmtree(folder, ignore_errors=True)
    deadline = time.monotonic() + _FAREWELL_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture
def home_path() -> Iterator[Path]:
    """A directory to be a platform's home, not made yet, which the account that stands in for root can reach."""
    with tempfile.TemporaryDirectory(prefix="nhip-home-", dir=cluster_folder()) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder, "home")


@pytest.fixture(scope="session")
def postgres() -> EmbeddedPostgres:
    """The running server."""
    folder = _run_folder()
    server = EmbeddedPostgres(folder / "home", durable=False)
    with _exclusive(folder / "start.lock"):
        if not (folder / "guarded").exists():
            _guard(folder)
            (folder / "guarded").touch()
        server.start()
    return server


@pytest.fixture(scope="session")
def postgres_url(postgres: EmbeddedPostgres) -> str:
    """The server's maintenance database."""
    return postgres.url("postgres")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[DatabaseUrl]:
    """Answers, for a service's name, the URL of a fresh database as its migrations leave it; dropped after the test."""
    made: list[str] = []

    def fresh(service: str) -> str:
        name = f"test_{service}_{ids.new_id().replace('-', '')}".lower()
        postgres.create_database(name, template=template(postgres, service))
        made.append(name)
        return postgres.url(name)

    yield fresh
    for name in made:
        postgres.drop_database(name)


def template(postgres: EmbeddedPostgres, service: str) -> str:
    """The database that the service's migrations made, once in a run: to be copied, and left as it is."""
    name = f"template_{service}"
    made = _run_folder() / name
    with _exclusive(_run_folder() / f"{name}.lock"):
        if not made.exists():
            postgres.drop_database(name)
            postgres.create_database(name)
            # Migrations may run an event loop, and so may the test that asks.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(migrate, postgres.url(name), service).result()
            made.touch()
    return name


def _run_folder() -> Path:
    return Path(os.environ[_RUN])


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _guard(folder: Path) -> None:
    log = str(folder / "guardian.log")
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tests.support.guardian", str(folder)],
        {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
