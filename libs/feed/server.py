"""Serves a service's feeds to followers: nhip.feed.v1.FeedService."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from google.protobuf.message import Message
from nhip.feed.v1 import service_pb2

from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.errors import InvalidArgumentError, NotFoundError, OutOfRangeError
from libs.feed.log import FENCE, HORIZON, PENDING, READ, Cursor, partition_of
from libs.runtime.call import Call

DEFAULT_BATCH = 500
# Without a wake-up a reader looks by itself; what it finds then was announced by a replica whose notification was lost.
LOOK_SECONDS = 1.0
# A transaction that is still open when we look holds the fence back; the next look follows soon.
BEHIND_FENCE_SECONDS = 0.02
# What commits so soon after a batch goes into the next one: each costs its follower a transaction, however few its changes.
GATHER_SECONDS = 0.02
HEARTBEAT_SECONDS = 5.0
_LAST_POSITION = 2**63 - 1

Found = TypeVar("Found")
Snapshot = Callable[[Reader], AsyncIterator[tuple[str, Message]]]


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that a service serves."""

    name: str
    # Yields (key, event) for everything that is, from a reader whose statements see one state; None where a feed tells of
    # happenings and not of a state.
    snapshot: Snapshot | None = None


class FeedServer:
    """The RPCs of FeedService over one database."""

    def __init__(self, database: Database, feeds: Mapping[str, Feed]) -> None:
        self._database = database
        self._feeds = feeds
        self._looks: dict[tuple[Any, ...], asyncio.Task[Any]] = {}

    async def Follow(self, request: service_pb2.FollowRequest, call: Call) -> AsyncIterator[service_pb2.FollowResponse]:
        """Streams what commits after the cursor until the follower goes."""
        feed = self._feed(request.feed)
        try:
            cursor = Cursor.parse(request.cursor)
        except ValueError as error:
            raise InvalidArgumentError("FEED_CURSOR_INVALID", str(error)) from None
        await self._refuse_expired(feed, cursor, is_beginning=not request.cursor)
        batch_size = request.batch_size or DEFAULT_BATCH
        partitions = tuple(request.partitions)
        event = self._database.signal.subscribe(feed.name)
        loop = asyncio.get_running_loop()
        quiet_since: float | None = None
        try:
            while not call.is_draining:
                event.clear()
                batch = await self._together(self._read, feed.name, cursor, partitions, batch_size)
                if batch is not None:
                    cursor, response = batch
                    yield response
                    quiet_since = None
                    if len(response.changes) == batch_size:
                        continue
                    # At the same moment for all, so that they go on looking together.
                    await asyncio.sleep(GATHER_SECONDS - loop.time() % GATHER_SECONDS)
                    if event.is_set():
                        continue
                if await self._together(self._is_pending, feed.name, cursor):
                    await asyncio.sleep(BEHIND_FENCE_SECONDS)
                    continue
                if quiet_since is None or loop.time() - quiet_since >= HEARTBEAT_SECONDS:
                    yield service_pb2.FollowResponse(cursor=str(cursor), caught_up=True)
                    quiet_since = loop.time()
                await _wait(event, LOOK_SECONDS)
        finally:
            self._database.signal.unsubscribe(feed.name, event)

    async def Snapshot(
        self, request: service_pb2.SnapshotRequest, call: Call
    ) -> AsyncIterator[service_pb2.SnapshotResponse]:
        """Streams the present state, then the cursor from which Follow goes on."""
        del call
        feed = self._feed(request.feed)
        if feed.snapshot is None:
            raise NotFoundError("FEED_WITHOUT_SNAPSHOT", f"feed {feed.name} tells of happenings; it has no snapshot")
        async with self._database.reading(snapshot=True) as reader:
            # Taken first and in the same snapshot: what commits meanwhile is delivered by Follow, some of it again.
            cursor = Cursor(await reader.fetch_value(FENCE), _LAST_POSITION)
            changes: list[service_pb2.Change] = []
            async for key, event in feed.snapshot(reader):
                changes.append(
                    service_pb2.Change(partition=partition_of(key), key=key, event=event.SerializeToString())
                )
                if len(changes) >= DEFAULT_BATCH:
                    yield service_pb2.SnapshotResponse(changes=changes)
                    changes = []
        yield service_pb2.SnapshotResponse(changes=changes, cursor=str(cursor))

    def _feed(self, name: str) -> Feed:
        feed = self._feeds.get(name)
        if feed is None:
            raise NotFoundError("FEED_UNKNOWN", "this service serves no such feed", metadata={"feed": name})
        return feed

    async def _refuse_expired(self, feed: Feed, cursor: Cursor, *, is_beginning: bool) -> None:
        async with self._database.reading() as reader:
            horizon = await reader.fetch_one(HORIZON, feed=feed.name)
        # Who starts anew, on a feed that has lost its beginning, must take a snapshot where there is one.
        starts_late = is_beginning and feed.snapshot is None
        if horizon is not None and not starts_late and cursor < Cursor(horizon["transaction"], horizon["position"]):
            raise OutOfRangeError(
                "FEED_CURSOR_EXPIRED", "the cursor is older than what is retained; take a snapshot and go on from there"
            )

    async def _together(self, look: Callable[..., Awaitable[Found]], *asked: Any) -> Found:
        """What a look finds; followers that stand at the same place and ask in the same moment look once."""
        key = (look, *asked)
        task = self._looks.get(key)
        if task is None:
            task = self._looks[key] = asyncio.create_task(self._look(key))
        # Whoever goes away leaves it to the others.
        found: Found = await asyncio.shield(task)
        return found

    async def _look(self, key: tuple[Any, ...]) -> Any:
        # Those that were woken with the first come along. Once it looks, whoever comes is told by a look of their own.
        await asyncio.sleep(0)
        del self._looks[key]
        look, *asked = key
        return await look(*asked)

    async def _is_pending(self, feed: str, cursor: Cursor) -> bool:
        """True if something has committed after the cursor that an older, open transaction still keeps back."""
        async with self._database.reading() as reader:
            return bool(
                await reader.fetch_value(
                    PENDING, feed=feed, transaction=str(cursor.transaction), position=cursor.position
                )
            )

    async def _read(
        self, feed: str, cursor: Cursor, partitions: tuple[int, ...], batch_size: int
    ) -> tuple[Cursor, service_pb2.FollowResponse] | None:
        async with self._database.reading() as reader:
            rows = await reader.fetch(
                READ,
                feed=feed,
                transaction=str(cursor.transaction),
                position=cursor.position,
                partitions=list(partitions) or None,
                batch_size=batch_size,
            )
        if not rows:
            return None
        after = Cursor(rows[-1]["transaction"], rows[-1]["position"])
        return after, _response(rows, after)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _response(rows: list[asyncpg.Record], cursor: Cursor) -> service_pb2.FollowResponse:
    # Whether more waits, behind an open transaction too, the next look tells: a heartbeat follows when nothing does.
    response = service_pb2.FollowResponse(cursor=str(cursor))
    for row in rows:
        change = response.changes.add(
            position=row["position"],
            transaction=row["transaction"],
            partition=row["partition"],
            key=row["key"],
            event=row["event"],
            traceparent=row["traceparent"],
        )
        change.recorded_at.FromDatetime(row["recorded_at"])
    return response
