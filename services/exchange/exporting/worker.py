"""Takes exports up, one at a time, and carries them to their end; removes those whose time is over.

A worker that dies leaves its export RUNNING under its lease, as imports do: see `services.exchange.worker`.
"""

import asyncio
import contextlib
import logging

import asyncpg

from libs.clock import Clock
from libs.database.engine import Database
from services.exchange import rules
from services.exchange.exporting.job import ExportJob
from services.exchange.exporting.run import process
from services.exchange.job import LEASE
from services.exchange.model import Lease, State
from services.exchange.neighbours import Neighbours, RefusedError
from services.exchange.store import exports
from services.exchange.store.progress import LeaseLostError

log = logging.getLogger(__name__)

# What another replica took in is found by looking.
LOOK_SECONDS = 1.0
_INTERNAL = "the platform could not carry this export out; it has been noted"
_DATABASE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Exporter:
    """The exports of one process."""

    def __init__(
        self, database: Database, neighbours: Neighbours, clock: Clock, instance: str, queued: asyncio.Event
    ) -> None:
        """`instance` is the same after a restart; `queued` is set when there is something new."""
        self._database = database
        self._neighbours = neighbours
        self._clock = clock
        self._instance = instance
        self._queued = queued
        # Export → failures in a row that are nobody's but ours.
        self._failures: dict[str, int] = {}

    async def run(self) -> None:
        """Works until cancelled."""
        failures = 0
        while True:
            # Before the look: what is queued after it wakes us.
            self._queued.clear()
            try:
                did_something = await self.run_once()
                failures = 0
            except _DATABASE:
                failures += 1
                log.exception("the database of exchange does not answer")
                await asyncio.sleep(rules.backoff(failures))
                continue
            if not did_something:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._queued.wait(), LOOK_SECONDS)

    async def run_once(self) -> bool:
        """Takes one export up and carries it as far as it goes; False when none waits."""
        now = self._clock()
        async with self._database.writing() as writer:
            found = await exports.take(writer, self._instance, now, LEASE)
        if found is None:
            return False
        lease = Lease(found.export_id, self._instance, found.attempts)
        await self._process(ExportJob(self._database, self._neighbours, self._clock, found, lease))
        return True

    async def sweep(self) -> int:
        """Removes exports whose time is over; answers how many."""
        async with self._database.reading() as reader:
            gone = await exports.expired(reader, self._clock())
        if gone:
            async with self._database.writing() as writer:
                await exports.forget(writer, gone)
        return len(gone)

    async def _process(self, job: ExportJob) -> None:
        export_id = job.found.export_id
        work = asyncio.current_task()
        keeping = asyncio.create_task(self._keep(job, work))
        try:
            await process(job)
            self._failures.pop(export_id, None)
        except RefusedError as error:
            log.warning("records refuses export %s: %s", export_id, error.reason)
            await _fail(job, error.reason, error.message)
        except LeaseLostError:
            log.info("export %s was cancelled or taken over", export_id)
        except asyncio.CancelledError:
            # Of ours only when the lease was lost while records was waited for.
            if not keeping.done() or work is None or work.uncancel() > 0:
                raise
        except _DATABASE:
            raise
        except Exception:
            log.exception("export %s failed for an unknown reason", export_id)
            failures = self._failures[export_id] = self._failures.get(export_id, 0) + 1
            if failures >= rules.MAX_FAILURES:
                self._failures.pop(export_id)
                await _fail(job, "INTERNAL", _INTERNAL)
            else:
                await asyncio.sleep(rules.backoff(failures))
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self, job: ExportJob, work: "asyncio.Task[None] | None") -> None:
        """Renews the lease while a page takes long; stops the work when the lease was lost."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                if await job.renew():
                    continue
            except _DATABASE:
                log.warning("the lease of export %s could not be renewed", job.found.export_id)
                continue
            if work is not None:
                work.cancel()
            return


async def _fail(job: ExportJob, reason: str, message: str) -> None:
    with contextlib.suppress(LeaseLostError):
        await job.finish(State.FAILED, reason, message)
