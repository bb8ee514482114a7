"""Receives the log while the platform runs, and keeps base backups coming: `python -m tools.backup.archiver archive`.

pg_receivewal streams into a spool in the home, through a replication slot, so that the server keeps what was not received.
From there each segment goes encrypted into the repository; of the one that fills, what there is. So a home that is
destroyed loses what committed in the last seconds, and `coverage.json` says up to when nothing is missing.
"""

import asyncio
import contextlib
import gzip
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil
from prometheus_client import Gauge

from libs.database.embedded import programs
from libs.runtime.telemetry import start_metrics
from tools.backup.configuration import Configuration, configuration_of
from tools.backup.repository import (
    SEGMENT_BYTES,
    BackupError,
    Coverage,
    Repository,
    position_of,
    segment_name,
    segment_number,
)
from tools.backup.sealing import recipient_of, seal
from tools.backup.taking import environment_for, keep_secrets, take_base

COVERED = Gauge(
    "nhip_backup_covered_timestamp_seconds", "Unix time up to which the repository lacks nothing; 0: never."
)
BASE = Gauge("nhip_backup_base_timestamp_seconds", "Unix time of the newest base backup; 0: there is none.")
DUE = Gauge("nhip_backup_base_due_timestamp_seconds", "Unix time when the next base backup is due; 0: at once.")

SLOT = "nhip_backup"
EVERY_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0
_RECEIVED_SECONDS = 10.0
_GLANCE_SECONDS = 0.02

_FIND_SLOT = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1"
_DROP_SLOT = "SELECT pg_drop_replication_slot($1)"
_MAKE_SLOT = "SELECT pg_create_physical_replication_slot($1, true)"
_HERE = (
    "SELECT clock_timestamp() AS at, CAST(pg_current_wal_insert_lsn() AS text) AS position,"
    " pg_walfile_name(pg_current_wal_lsn()) AS file"
)
_RECEIVED = "SELECT CAST(restart_lsn AS text) FROM pg_replication_slots WHERE slot_name = $1"


@dataclass
class Archiver:
    """One home's, for one run of its PostgreSQL."""

    url: str
    spool: Path
    secrets: Path
    configuration: Configuration
    repository: Repository = field(init=False)
    # The names and times of the keys that were sealed last.
    sealed: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        """Opens the repository."""
        self.repository = Repository(Path(self.configuration.directory))
        self.recipient = recipient_of(self.configuration.recipient)

    async def run(self, stopping: asyncio.Event) -> None:
        """Archives until told to stop, and once more then; what fails is tried again, for what the server keeps meanwhile."""
        pause = EVERY_SECONDS
        while True:
            try:
                await self._archive(stopping)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BackupError) as error:
                _say(f"the log is not received: {type(error).__name__}: {error}")
                self._tell()
            if stopping.is_set():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _tell(self) -> None:
        """What is in the repository, as metrics; of one that cannot be read they stay as they were."""
        with contextlib.suppress(OSError, BackupError):
            coverage, bases = self.repository.coverage(), self.repository.bases()
            COVERED.set(coverage.moment.timestamp() if coverage else 0)
            BASE.set(bases[-1].moment.timestamp() if bases else 0)
            DUE.set((bases[-1].moment + self._every).timestamp() if bases else 0)

    async def _archive(self, stopping: asyncio.Event) -> None:
        self.repository.prepare()
        self.spool.mkdir(mode=0o700, exist_ok=True)
        connection = await asyncpg.connect(self.url)
        try:
            is_fresh = await self._ensure_slot(connection)
            async with _receiving(self.url, self.spool) as receiver:
                if is_fresh or self._is_base_due():
                    await self._take_base()
                while not stopping.is_set():
                    await self._cover(connection, receiver)
                    self._tell()
                    if self._is_base_due():
                        await self._take_base()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)
                await self._cover(connection, receiver)
        finally:
            await connection.close()

    async def _ensure_slot(self, connection: asyncpg.Connection) -> bool:
        """True where the server begins to keep its log for us only now, so that older base backups lead no further."""
        status = await connection.fetchval(_FIND_SLOT, SLOT)
        if status not in {None, "lost"}:
            return False
        if status == "lost":
            _say("the server has dropped log that was not received: what is older than the next base backup has a gap")
            await connection.execute(_DROP_SLOT, SLOT)
        for path in self.spool.iterdir():
            path.unlink()
        await connection.execute(_MAKE_SLOT, SLOT)
        return True

    def _is_base_due(self) -> bool:
        bases = self.repository.bases()
        return not bases or datetime.now(UTC) - bases[-1].moment > self._every

    @property
    def _every(self) -> timedelta:
        return timedelta(hours=self.configuration.every_hours)

    async def _take_base(self) -> None:
        began = time.monotonic()
        base = await take_base(self.url, self.repository, self.recipient)
        removed = self.repository.prune(self.configuration.keep)
        took = time.monotonic() - began
        _say(f"base backup {base.stamp}: {base.bytes} bytes in {took:.1f} s; removed {len(removed)} old files")

    async def _cover(self, connection: asyncpg.Connection, receiver: asyncio.subprocess.Process) -> None:
        """Brings everything that has committed by now into the repository, and says so."""
        here = await connection.fetchrow(_HERE)
        position = position_of(here["position"])
        deadline = time.monotonic() + _RECEIVED_SECONDS
        while position_of(await connection.fetchval(_RECEIVED, SLOT) or "0/0") < position:
            if receiver.returncode is not None:
                raise BackupError(f"pg_receivewal ended with code {receiver.returncode}")
            if time.monotonic() > deadline:
                raise BackupError("pg_receivewal does not keep up")
            await asyncio.sleep(_GLANCE_SECONDS)
        timeline = int(here["file"][:8], 16)
        if await asyncio.to_thread(self._sweep, timeline, position):
            self.repository.cover(Coverage(here["at"].astimezone(UTC).isoformat(), timeline, position))

    def _sweep(self, timeline: int, position: int) -> bool:
        """Seals what the spool has; False where a segment was completed under our hands, to be looked at again."""
        self._sweep_secrets()
        names = sorted(path.name for path in self.spool.iterdir())
        try:
            for name in names:
                if name.endswith(".partial"):
                    self._seal_partial(name, timeline, position)
                elif not self.repository.wal_file(name).exists():
                    self._seal(name, (self.spool / name).read_bytes())
                    self.repository.wal_file(f"{name}.partial").unlink(missing_ok=True)
        except FileNotFoundError:
            return False
        # pg_receivewal goes on after the newest segment that it finds.
        complete = [name for name in names if "." not in name]
        for name in complete if any(name.endswith(".partial") for name in names) else complete[:-1]:
            (self.spool / name).unlink()
        return True

    def _seal_partial(self, name: str, timeline: int, position: int) -> None:
        segment = name.removesuffix(".partial")
        filled = position - segment_number(segment) * SEGMENT_BYTES
        is_newest = segment == segment_name(timeline, segment_number(segment)) and 0 < filled <= SEGMENT_BYTES
        if not is_newest:
            return
        with (self.spool / name).open("rb") as file:
            self._seal(name, file.read(filled))

    def _seal(self, name: str, content: bytes) -> None:
        seal(io.BytesIO(gzip.compress(content, 1)), self.repository.wal_file(name), self.recipient)

    def _sweep_secrets(self) -> None:
        found = tuple(sorted((path.name, path.stat().st_mtime_ns) for path in self.secrets.iterdir()))
        if found != self.sealed:
            keep_secrets(self.secrets, self.repository, self.recipient)
            self.sealed = found


@contextlib.asynccontextmanager
async def _receiving(url: str, spool: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    directory = f"--directory={spool}"
    _end_leftover(directory)
    process = await asyncio.create_subprocess_exec(
        str(programs() / "pg_receivewal"),
        *(directory, f"--slot={SLOT}", "--synchronous", "--no-loop", "--no-password"),
        stdin=asyncio.subprocess.DEVNULL,
        env=environment_for(url),
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _end_leftover(directory: str) -> None:
    """Of an archiver that was killed; while it lives it holds the slot."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "pg_receivewal" and directory in process.cmdline():
                process.terminate()
                process.wait(_RECEIVED_SECONDS)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


async def main(environment: Mapping[str, str] = os.environ) -> None:
    """Archives the home that NHIP_BACKUP_HOME names until SIGTERM."""
    home = Path(environment["NHIP_BACKUP_HOME"])
    configuration = configuration_of(home)
    if configuration is None:
        raise BackupError(f"{home} is not backed up anywhere: `nhip backup init` says where to")
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    _say(f"metrics at {start_metrics(environment.get('NHIP_BACKUP_METRICS', '127.0.0.1:0'))}")
    url = environment["NHIP_BACKUP_URL"]
    await Archiver(url, home / "postgres-log", home / "secrets", configuration).run(stopping)


if __name__ == "__main__":
    asyncio.run(main())
