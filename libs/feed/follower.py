"""Follows another service's feed: effects and cursor commit together, so that redelivery is harmless."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import grpc
from nhip.feed.v1 import service_pb2, service_pb2_grpc
from prometheus_client import Counter, Gauge
from sqlalchemy import text

from libs.database.engine import Database
from libs.database.statements import Statement
from libs.database.transactions import Writer
from libs.feed.log import PARTITIONS, Cursor
from libs.feed.progress import Progress

LAG = Gauge("nhip_feed_lag_seconds", "Age of the oldest change that a follower has not applied.", ["source", "feed"])
HEARD = Gauge(
    "nhip_feed_heard_timestamp_seconds",
    "Unix time when a follower last had applied all that the source had told it.",
    ["source", "feed"],
)
APPLIED = Counter("nhip_feed_changes_applied_total", "Changes that a follower has applied.", ["source", "feed"])
FAILURES = Counter("nhip_feed_failures_total", "Batches that a follower could not apply.", ["source", "feed"])

LEASE_SECONDS = 10
FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 5.0
# How often a replica looks whether another's lease has ended, where it is not told: that replica was killed.
LEASE_LOOK_SECONDS = 2.0
# How often the cursor that another replica advances is looked up while somebody waits for it.
CURSOR_LOOK_SECONDS = 0.01

log = logging.getLogger(__name__)

Apply = Callable[[Writer, Sequence[service_pb2.Change]], Awaitable[None]]

ENSURE = Statement(
    "feed.ensure_cursor",
    text(
        "INSERT INTO feed_cursors (source, feed, group_number) VALUES (:source, :feed, CAST(:group_number AS smallint)) "
        "ON CONFLICT DO NOTHING"
    ),
)
LEASE = Statement(
    "feed.lease",
    text(
        """
        UPDATE feed_cursors
        SET leased_by = :owner, leased_until = now() + CAST(:seconds AS double precision) * interval '1 second'
        WHERE source = :source AND feed = :feed AND group_number = CAST(:group_number AS smallint)
          AND (leased_by = :owner OR leased_until < now())
        RETURNING cursor
        """
    ),
)
ADVANCE = Statement(
    "feed.advance",
    text(
        """
        UPDATE feed_cursors
        SET cursor = CAST(:cursor AS text), updated_at = now(),
            leased_until = now() + CAST(:seconds AS double precision) * interval '1 second'
        WHERE source = :source AND feed = :feed AND group_number = CAST(:group_number AS smallint)
          AND leased_by = :owner AND cursor = :previous
        """
    ),
)
RELEASE = Statement(
    "feed.release",
    text(
        "UPDATE feed_cursors SET leased_until = to_timestamp(0) "
        "WHERE source = :source AND feed = :feed AND group_number = CAST(:group_number AS smallint) AND leased_by = :owner"
    ),
)

STANDING = Statement(
    "feed.standing",
    text(
        "SELECT cursor FROM feed_cursors "
        "WHERE source = :source AND feed = :feed AND group_number = CAST(:group_number AS smallint)"
    ),
)
# Other replicas take up at once what one has left.
RELEASED = Statement("feed.released", text("SELECT pg_notify('nhip_feed', :signal)"))


class LeaseLostError(Exception):
    """Another replica follows this group now."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a service follows, and what it does with it."""

    source: str
    feed: str
    apply: Apply
    # Called with the writer before a rebuild from a snapshot: empties the projection.
    reset: Callable[[Writer], Awaitable[None]] | None = None
    # Called after each batch has committed: refreshes what a process holds in memory.
    applied: Callable[[Sequence[service_pb2.Change]], Awaitable[None]] | None = None
    # Into how many groups the partitions are divided among replicas.
    groups: int = 1


class Follower:
    """Follows one subscription until stopped: reconnects, backs off, rebuilds from a snapshot when its cursor expired."""

    def __init__(
        self,
        database: Database,
        subscription: Subscription,
        stub: "service_pb2_grpc.FeedServiceAsyncStub",
        credentials: Callable[[], Sequence[tuple[str, str]]],
        owner: str,
    ) -> None:
        """`owner` names this replica and stays the same when its process restarts, so that it takes its lease up at once."""
        self._database = database
        self._subscription = subscription
        self._stub = stub
        self._credentials = credentials
        self._owner = owner
        self.progress = [Progress() for _ in range(subscription.groups)]
        self._tasks: list[asyncio.Task[None]] = []
        self._looking: dict[int, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begins to follow."""
        self._tasks = [asyncio.create_task(self._follow(group)) for group in range(self._subscription.groups)]

    async def stop(self) -> None:
        """Stops after the batch in hand has committed or rolled back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for looking in self._looking.values():
            looking.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with self._database.writing() as writer:
                for group in range(self._subscription.groups):
                    await writer.execute(RELEASE, owner=self._owner, **self._place(group))
                await writer.execute(RELEASED, signal=self._lease_signal)

    async def reached(self, cursor: Cursor, seconds: float) -> bool:
        """Waits until the projection stands at or after the cursor, whichever replica applies the feed.

        False when that takes longer than `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                for group, progress in enumerate(self.progress):
                    if progress.cursor < cursor:
                        await self._reach(group, cursor)
        except TimeoutError:
            return False
        return True

    async def _reach(self, group: int, cursor: Cursor) -> None:
        arrived = self.progress[group].reached(cursor)
        self._look_while_awaited(group)
        await arrived

    def _look_while_awaited(self, group: int) -> None:
        """Where another replica applies the feed, one look at a time tells all who wait."""
        progress, looking = self.progress[group], self._looking.get(group)
        if progress.is_awaited and not progress.is_ours and (looking is None or looking.done()):
            self._looking[group] = asyncio.create_task(self._look(group))

    async def _look(self, group: int) -> None:
        progress = self.progress[group]
        while progress.is_awaited and not progress.is_ours:
            # Who waits in vain is told so in time; what keeps the database from answering is told where it is used.
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with self._database.reading() as reader:
                    cursor = await reader.fetch_value(STANDING, **self._place(group))
                if cursor:
                    progress.advance(Cursor.parse(cursor))
            await asyncio.sleep(CURSOR_LOOK_SECONDS)

    @property
    def name(self) -> str:
        """The feed followed, as positions name it: `identity/keys`."""
        return f"{self._subscription.source}/{self._subscription.feed}"

    @property
    def _lease_signal(self) -> str:
        return f"lease/{self.name}"

    def _place(self, group: int) -> dict[str, object]:
        return {"source": self._subscription.source, "feed": self._subscription.feed, "group_number": group}

    async def _follow(self, group: int) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            started = time.monotonic()
            try:
                await self._follow_once(group)
            except LeaseLostError:
                # Another replica tells from now on how far this feed is.
                self._forget_gauges()
                await self._until_lease_may_be_free()
                pause = 0.0
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    await self._rebuild_or_report(group)
                elif error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                    log.warning("feed %s broke off: %s", self.name, error.code().name)
            except Exception:
                FAILURES.labels(self._subscription.source, self._subscription.feed).inc()
                log.exception("a batch of feed %s could not be applied; it will be tried again", self.name)
            if time.monotonic() - started > LAST_RETRY_SECONDS:
                pause = FIRST_RETRY_SECONDS
            await asyncio.sleep(pause)
            pause = min(max(pause * 2, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)

    async def _until_lease_may_be_free(self) -> None:
        released = self._database.signal.subscribe(self._lease_signal)
        try:
            await asyncio.wait_for(released.wait(), LEASE_LOOK_SECONDS)
        except TimeoutError:
            pass
        finally:
            self._database.signal.unsubscribe(self._lease_signal, released)

    async def _follow_once(self, group: int) -> None:
        cursor = await self._lease(group)
        progress = self.progress[group]
        progress.advance(Cursor.parse(cursor))
        groups = self._subscription.groups
        partitions = [] if groups == 1 else [number for number in range(PARTITIONS) if number % groups == group]
        request = service_pb2.FollowRequest(feed=self._subscription.feed, cursor=cursor, partitions=partitions)
        stream = self._stub.Follow(request, metadata=tuple(self._credentials()), wait_for_ready=True)
        labels = (self._subscription.source, self._subscription.feed)
        lag, heard = LAG.labels(*labels), HEARD.labels(*labels)
        renewed = time.monotonic()
        progress.is_ours = True
        try:
            async for response in stream:
                if response.changes:
                    cursor = await self._apply(group, cursor, response)
                    renewed = time.monotonic()
                    newest = response.changes[-1].recorded_at.ToDatetime(UTC)
                    lag.set((datetime.now(UTC) - newest).total_seconds())
                else:
                    lag.set(0.0)
                    if time.monotonic() - renewed > LEASE_SECONDS / 3:
                        await self._lease(group)
                        renewed = time.monotonic()
                heard.set_to_current_time()
                progress.advance(Cursor.parse(response.cursor))
        finally:
            progress.is_ours = False
            self._look_while_awaited(group)
            stream.cancel()

    def _forget_gauges(self) -> None:
        for gauge in (LAG, HEARD):
            with contextlib.suppress(KeyError):
                gauge.remove(self._subscription.source, self._subscription.feed)

    async def _lease(self, group: int) -> str:
        async with self._database.writing() as writer:
            await writer.execute(ENSURE, **self._place(group))
            rows = await writer.change(LEASE, owner=self._owner, seconds=LEASE_SECONDS, **self._place(group))
        if not rows:
            raise LeaseLostError
        return str(rows[0]["cursor"])

    async def _apply(self, group: int, cursor: str, response: service_pb2.FollowResponse) -> str:
        async with self._database.writing() as writer:
            await self._subscription.apply(writer, response.changes)
            await self._advance(writer, group, cursor, response.cursor)
        APPLIED.labels(self._subscription.source, self._subscription.feed).inc(len(response.changes))
        if self._subscription.applied is not None:
            await self._subscription.applied(response.changes)
        return response.cursor

    async def _advance(self, writer: Writer, group: int, previous: str, cursor: str) -> None:
        moved = await writer.execute(
            ADVANCE, owner=self._owner, previous=previous, cursor=cursor, seconds=LEASE_SECONDS, **self._place(group)
        )
        if moved != 1:
            raise LeaseLostError

    async def _rebuild_or_report(self, group: int) -> None:
        if self._subscription.reset is None:
            log.error("feed %s has dropped changes that were not applied here, and has no snapshot", self.name)
            return
        log.warning("feed %s has dropped changes that were not applied here; rebuilding from a snapshot", self.name)
        await self.rebuild(group)

    async def rebuild(self, group: int = 0) -> None:
        """Replaces the projection by the source's present state, in one transaction."""
        if self._subscription.reset is None:
            raise RuntimeError(f"feed {self.name} has no way to be rebuilt")
        previous = await self._lease(group)
        stream = self._stub.Snapshot(
            service_pb2.SnapshotRequest(feed=self._subscription.feed), metadata=tuple(self._credentials())
        )
        async with self._database.writing() as writer:
            await self._subscription.reset(writer)
            async for response in stream:
                if response.changes:
                    await self._subscription.apply(writer, response.changes)
                if response.cursor:
                    await self._advance(writer, group, previous, response.cursor)
