"""Takes imports up, one of each organisation at a time, and carries them to their end.

A worker that dies leaves its import RUNNING under its lease. Restarted under the same name it takes it up at once; any
other worker does when the lease is over. What was committed is not repeated; what was sent and not committed is sent
again, and answered as the first time.
"""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import IO

import asyncpg

from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import InvalidArgumentError
from services.exchange import rules
from services.exchange.job import LEASE, Job
from services.exchange.model import Format, Import, Lease, State
from services.exchange.neighbours import Neighbours
from services.exchange.store import jobs
from services.exchange.store.progress import LeaseLostError
from services.exchange.wire import event_of

log = logging.getLogger(__name__)

FEED = "exchange"
# Two at once: while one waits for a neighbour's answer the other reads.
JOBS_AT_ONCE = 2
# What another replica took in is found by looking.
LOOK_SECONDS = 1.0
_INTERNAL = "the platform could not process this file; it has been noted"

Process = Callable[[Job], Awaitable[None]]


def spooled(process: Callable[[Job, IO[bytes]], Awaitable[None]]) -> Process:
    """A format that reads its file here and there: the stored bytes are laid out for it first."""

    async def run(job: Job) -> None:
        with tempfile.TemporaryFile() as file:
            await job.spool(file)
            await process(job, file)

    return run


class Worker:
    """The imports of one process."""

    def __init__(
        self,
        database: Database,
        neighbours: Neighbours,
        clock: Clock,
        instance: str,
        queued: asyncio.Event,
        formats: Mapping[Format, Process],
    ) -> None:
        """`instance` is the same after a restart; `queued` is set when there is something new."""
        self._database = database
        self._neighbours = neighbours
        self._clock = clock
        self._instance = instance
        self._queued = queued
        self._formats = formats
        self._running: set[str] = set()
        # Two takers at once would each find the other's import to be its own of before a restart.
        self._taking = asyncio.Lock()
        # Import → failures in a row that are nobody's but ours.
        self._failures: dict[str, int] = {}

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(JOBS_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        failures = 0
        while True:
            # Before the look: what is queued after it wakes us.
            self._queued.clear()
            try:
                did_something = await self.run_once()
                failures = 0
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                failures += 1
                log.exception("the database of exchange does not answer")
                await asyncio.sleep(rules.backoff(failures))
                continue
            if not did_something:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._queued.wait(), LOOK_SECONDS)

    async def run_once(self) -> bool:
        """Takes one import up and processes it as far as it goes; False when none waits."""
        found = await self._take()
        if found is None:
            return False
        job = Job(
            self._database,
            self._neighbours,
            self._clock,
            found,
            Lease(found.import_id, self._instance, found.attempts),
        )
        try:
            await self._process(job)
        finally:
            self._running.discard(found.import_id)
        return True

    async def _take(self) -> Import | None:
        async with self._taking:
            now, running = self._clock(), sorted(self._running)
            async with self._database.reading() as reader:
                waiting = await jobs.next_waiting(reader, self._instance, running)
            if waiting is None:
                return None
            import_id, organization_id = waiting
            async with self._database.writing() as writer:
                await writer.lock(import_id, f"importing/{organization_id}")
                taken = await jobs.take(writer, import_id, self._instance, running, now, LEASE)
                if taken is not None:
                    writer.announce(FEED, import_id, event_of(taken))
            if taken is not None:
                self._running.add(import_id)
            return taken

    async def _process(self, job: Job) -> None:
        keeping = asyncio.create_task(self._keep(job, asyncio.current_task()))
        try:
            await job.load()
            await self._formats[job.found.format](job)
            await self._finish(job, State.SUCCEEDED)
            self._failures.pop(job.found.import_id, None)
        except InvalidArgumentError as error:
            # Nothing of it was stored: a file is read through before its first row is taken.
            await self._finish(job, State.FAILED, error.reason, error.message)
        except LeaseLostError:
            log.info("import %s was cancelled or taken over", job.found.import_id)
        except asyncio.CancelledError:
            if not keeping.done():
                raise
            # The lease was lost while a neighbour was waited for.
            task = asyncio.current_task()
            if task is None or task.uncancel() > 0:
                raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            raise
        except Exception:
            log.exception("import %s failed for an unknown reason", job.found.import_id)
            await self._fail(job)
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self, job: Job, work: "asyncio.Task[None] | None") -> None:
        """Renews the lease while a chunk takes long; stops the work when the lease was lost."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                if await job.renew():
                    continue
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.warning("the lease of import %s could not be renewed", job.found.import_id)
                continue
            if work is not None:
                work.cancel()
            return

    async def _fail(self, job: Job) -> None:
        import_id = job.found.import_id
        failures = self._failures[import_id] = self._failures.get(import_id, 0) + 1
        if failures >= rules.MAX_FAILURES:
            self._failures.pop(import_id)
            await self._finish(job, State.FAILED, "INTERNAL", _INTERNAL)
        else:
            await asyncio.sleep(rules.backoff(failures))

    async def _finish(self, job: Job, state: State, reason: str = "", message: str = "") -> None:
        found = job.found
        async with self._database.writing() as writer:
            await writer.lock(found.import_id)
            finished = await jobs.finish(writer, job.lease, found.upload_id, state, self._clock(), reason, message)
            if finished is not None:
                writer.announce(FEED, found.import_id, event_of(finished))
