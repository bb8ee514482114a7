"""Wakes feed readers. A signal says only that something may have come; what came is read from the table.

NOTIFY inside the writing transactions would serialise their commits; so it is sent after, from one connection, and many
commits share one.
"""

import asyncio
import logging
from collections import defaultdict

import asyncpg

CHANNEL = "nhip_feed"
# Commits within this time share one notification to the other replicas.
COALESCE_SECONDS = 0.02

log = logging.getLogger(__name__)


class FeedSignal:
    """One per process: in-process wake-ups at once, those of other replicas through the database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._events: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._pending: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to listen to, and to notify, other replicas."""
        self._tasks = [asyncio.create_task(self._notify()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        """Stops both."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def raise_for(self, feed: str) -> None:
        """Something was appended to the feed."""
        self._wake_here(feed)
        self._pending.add(feed)
        self._wake.set()

    def subscribe(self, feed: str) -> asyncio.Event:
        """An event that is set whenever something may have come; the subscriber clears it."""
        event = asyncio.Event()
        self._events[feed].add(event)
        return event

    def unsubscribe(self, feed: str, event: asyncio.Event) -> None:
        """Ends a subscription."""
        self._events[feed].discard(event)

    def _wake_here(self, feed: str) -> None:
        for event in self._events.get(feed, ()):
            event.set()

    async def _notify(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            feeds, self._pending = self._pending, set()
            try:
                async with self._pool.acquire() as connection:
                    for feed in feeds:
                        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, feed)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # Readers also look by themselves every second; a lost wake-up costs that second.
                log.warning("a feed notification could not be sent")
            await asyncio.sleep(COALESCE_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._listen_on(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.warning("the feed's listening connection was lost; listening again")
            await asyncio.sleep(1)

    async def _listen_on(self, connection: asyncpg.Connection) -> None:
        lost = asyncio.Event()

        def wake(_connection: object, _pid: int, _channel: str, feed: object) -> None:
            self._wake_here(str(feed))

        def lose(_connection: object) -> None:
            lost.set()

        connection.add_termination_listener(lose)
        await connection.add_listener(CHANNEL, wake)
        try:
            await lost.wait()
        finally:
            connection.remove_termination_listener(lose)
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, wake)
