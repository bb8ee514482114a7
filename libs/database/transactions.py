"""Readers and writers: what may be done within a transaction.

A writer closes the second trap of the feed by construction: whoever announces a change of a key must have locked the key
before the transaction's first write. Only then does the order of transaction numbers equal the order of commits per key.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import asyncpg
from google.protobuf.message import Message
from opentelemetry import trace

from libs.database.statements import Statement
from libs.feed.log import APPEND, LOCK, TRY_LOCK, Announcement, partition_of

Response = TypeVar("Response", bound=Message)


class Committing(Protocol):
    """What a call does around the transaction that it opened."""

    async def opened(self, writer: "Writer") -> None:
        """Before the handler's first statement."""

    async def committing(self, writer: "Writer") -> None:
        """After the handler's last statement, still inside."""

    def committed(self, positions: dict[str, tuple[int, int]]) -> None:
        """After the commit, with the last position appended to each feed."""

    async def remember(self, writer: "Writer", response: Message) -> None:
        """Stores the answer under the request's id, where there is one."""


class Reader:
    """Runs statements that change nothing."""

    __slots__ = ("_connection",)

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: Statement, **parameters: Any) -> list[asyncpg.Record]:
        """All rows."""
        rows: list[asyncpg.Record] = await self._connection.fetch(statement.sql, *statement.arguments(parameters))
        return rows

    async def fetch_one(self, statement: Statement, **parameters: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        return await self._connection.fetchrow(statement.sql, *statement.arguments(parameters))

    async def fetch_value(self, statement: Statement, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(statement.sql, *statement.arguments(parameters))


class Writer(Reader):
    """Runs statements that change, and announces what changed."""

    __slots__ = ("_announcements", "_call", "_has_written", "_locked", "positions")

    def __init__(self, connection: asyncpg.Connection, call: Committing | None) -> None:
        super().__init__(connection)
        self._call = call
        self._announcements: list[Announcement] = []
        self._locked: set[str] = set()
        self._has_written = False
        # After the commit: feed → (transaction, position) of the last change appended.
        self.positions: dict[str, tuple[int, int]] = {}

    @property
    def feeds(self) -> set[str]:
        """The feeds that this transaction announced to."""
        return set(self.positions)

    async def lock(self, *keys: str) -> None:
        """Waits for, and holds until the end, the right to change these keys. Before the first write only.

        Raises RuntimeError after a write: the transaction has its number by then, and a writer of the same key could
        commit in between with a later number.
        """
        wanted = self._unlocked(keys)
        if wanted:
            # Sorted within the statement, so that two writers of the same keys never wait for each other.
            hashes = sorted({_lock_hash(key) for key in wanted})
            await self._connection.execute(LOCK.sql, *LOCK.arguments({"hashes": hashes}))
            self._locked.update(wanted)

    async def try_lock(self, *keys: str) -> bool:
        """Holds these keys too, unless somebody else holds one: it never waits, so that others may be locked already.

        What was read of them before may have changed until now. Raises RuntimeError as `lock`.
        """
        wanted = self._unlocked(keys)
        if not wanted:
            return True
        has_locked = bool(await self.fetch_value(TRY_LOCK, hashes=[_lock_hash(key) for key in wanted]))
        if has_locked:
            self._locked.update(wanted)
        return has_locked

    def _unlocked(self, keys: Iterable[str]) -> list[str]:
        wanted = [key for key in keys if key not in self._locked]
        if wanted and self._has_written:
            raise RuntimeError("keys are locked before the first write of a transaction, or the feed loses their order")
        return wanted

    async def execute(self, statement: Statement, **parameters: Any) -> int:
        """Runs a statement; the number of rows it changed."""
        self._has_written = True
        status = await self._connection.execute(statement.sql, *statement.arguments(parameters))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def change(self, statement: Statement, **parameters: Any) -> list[asyncpg.Record]:
        """Runs a statement that changes rows and returns some (RETURNING)."""
        self._has_written = True
        return await self.fetch(statement, **parameters)

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Appends rows by COPY, the fastest way in."""
        self._has_written = True
        await self._connection.copy_records_to_table(table, columns=list(columns), records=rows)

    def announce(self, feed: str, key: str, event: Message, *, is_new: bool = False) -> None:
        """Appends a change to a feed when the transaction commits.

        The key must be locked, unless `is_new`: a key made in this transaction that nobody else can know.
        """
        if not is_new and key not in self._locked:
            raise RuntimeError(f"a change of feed {feed} is announced without the lock of its key")
        self._announcements.append(Announcement(feed, partition_of(key), key, event.SerializeToString()))

    async def answer(self, response: Response) -> Response:
        """Remembers the response under the request's id, so that a retry gets it again; answers it."""
        if self._call is not None:
            await self._call.remember(self, response)
        return response

    async def flush(self) -> None:
        """Appends what was announced. Called once, at the end of the transaction."""
        if not self._announcements:
            return
        announced, self._announcements = self._announcements, []
        rows = await self.change(
            APPEND,
            feeds=[one.feed for one in announced],
            partitions=[one.partition for one in announced],
            keys=[one.key for one in announced],
            events=[one.event for one in announced],
            traceparent=_traceparent(),
        )
        for row in rows:
            self.positions[row["feed"]] = (row["transaction"], row["position"])


def _lock_hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def _traceparent() -> str:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
