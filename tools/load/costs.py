"""What work costs: processor seconds of each service and of its database, bytes of log, bytes that stay."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import asyncpg
import psutil

from tools.nhip.state import PlatformState

# Beside the services: what PostgreSQL does for all of them, such as writing and vacuuming.
SHARED = "postgresql"
_SESSIONS = "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE 'nhip-%'"
_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
_STORED = "SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datname LIKE 'nhip_%'"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent since some time before: of each service, of each service's sessions of PostgreSQL, in seconds and bytes."""

    services: Mapping[str, float]
    databases: Mapping[str, float]
    log_bytes: float
    stored_bytes: float
    # Resident memory, which is no sum: that of the moment.
    memory_bytes: Mapping[str, float]

    def since(self, before: "Spent") -> "Spent":
        """The difference, but for the memory."""
        return Spent(
            _less(self.services, before.services),
            _less(self.databases, before.databases),
            self.log_bytes - before.log_bytes,
            self.stored_bytes - before.stored_bytes,
            self.memory_bytes,
        )


class Meter:
    """Reads what a platform on this machine has spent; replicas of a service count together."""

    def __init__(
        self, state: Callable[[], PlatformState], url: Callable[[str], str], postmaster: Callable[[], int]
    ) -> None:
        """`url` names a service's database, `postmaster` the process of PostgreSQL."""
        self._state = state
        self._url = url
        self._postmaster = postmaster

    async def read(self) -> Spent:
        """Since the processes began. Raises OSError and asyncpg.PostgresError where PostgreSQL does not answer."""
        connection = await asyncpg.connect(self._url("identity"))
        try:
            sessions = {
                row["pid"]: row["application_name"].removeprefix("nhip-") for row in await connection.fetch(_SESSIONS)
            }
            written, stored = await connection.fetchval(_WRITTEN), await connection.fetchval(_STORED)
        finally:
            await connection.close()
        services: dict[str, float] = defaultdict(float)
        memory: dict[str, float] = defaultdict(float)
        for name, one in self._state().services.items():
            process = one.process()
            if process is not None:
                services[_service(name)] += _seconds(process)
                memory[_service(name)] += process.memory_info().rss
        return Spent(services, self._databases(sessions), float(written), float(stored), memory)

    def _databases(self, sessions: Mapping[int, str]) -> dict[str, float]:
        databases: dict[str, float] = defaultdict(float)
        postmaster = psutil.Process(self._postmaster())
        times = postmaster.cpu_times()
        # Of those that have ended: workers of the vacuum, and sessions.
        databases[SHARED] += times.user + times.system + times.children_user + times.children_system
        for process in postmaster.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                databases[sessions.get(process.pid, SHARED)] += _seconds(process)
        return databases


def _service(name: str) -> str:
    head, _, number = name.rpartition("-")
    return head if number.isdigit() else name


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _less(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: now[name] - before.get(name, 0.0) for name in now}
