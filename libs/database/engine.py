"""The connection pool of one service's database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
from prometheus_client import Gauge

from libs.database.transactions import Committing, Reader, Writer
from libs.errors import UnavailableError
from libs.feed.signal import FeedSignal

CONNECTIONS = Gauge("nhip_database_connections", "Connections of the pool, by what they do.", ["state"])
CONNECTIONS_MAX = Gauge("nhip_database_connections_max", "Connections that the pool may open.")

# A statement that runs longer than any deadline serves nobody.
STATEMENT_TIMEOUT_MS = 60_000
# A transaction left open by a crash of ours must not hold the feeds' fence back.
IDLE_TRANSACTION_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000


class Database:
    """Hands out readers and writers. One per process."""

    def __init__(self, pool: asyncpg.Pool, signal: FeedSignal) -> None:
        self.pool = pool
        self.signal = signal
        # The sessions, by PostgreSQL's number of their process, that plan each statement once.
        self._planning_once: set[int] = set()

    @classmethod
    async def connect(cls, url: str, *, name: str, min_size: int = 2, max_size: int = 12) -> "Database":
        """Opens the pool. `name` stands as application_name in PostgreSQL's own views.

        Raises UnavailableError, reason DATABASE_UNREACHABLE.
        """
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=min_size,
                max_size=max_size,
                statement_cache_size=512,
                max_inactive_connection_lifetime=300,
                init=_prepare_connection,
                reset=_keep_session,
                server_settings={
                    "application_name": name,
                    "jit": "off",
                    "timezone": "UTC",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_TRANSACTION_TIMEOUT_MS),
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                },
            )
        except (OSError, asyncpg.PostgresError) as error:
            message = f"the database of {name} cannot be reached: {type(error).__name__}"
            raise UnavailableError("DATABASE_UNREACHABLE", message) from error
        # Read when somebody asks: a pool counts its connections anyway.
        CONNECTIONS.labels("idle").set_function(pool.get_idle_size)
        CONNECTIONS.labels("busy").set_function(lambda: pool.get_size() - pool.get_idle_size())
        CONNECTIONS_MAX.set(max_size)
        return cls(pool, FeedSignal(pool))

    async def close(self) -> None:
        """Closes every connection."""
        await self.signal.stop()
        await self.pool.close()

    @asynccontextmanager
    async def reading(self, *, snapshot: bool = False, plans_once: bool = False) -> AsyncIterator[Reader]:
        """A reader; with `snapshot`, all its statements see one and the same state.

        With `plans_once`, PostgreSQL keeps one plan of each statement, whatever the values: for statements whose best plan
        does not depend on them, and takes longer to make than to carry out.
        """
        async with self.pool.acquire() as connection:
            await self._plan(connection, once=plans_once)
            if not snapshot:
                yield Reader(connection)
                return
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield Reader(connection)

    @asynccontextmanager
    async def writing(self, call: Committing | None = None) -> AsyncIterator[Writer]:
        """A transaction: commits when the block ends, rolls back when it raises.

        What was announced is appended to the feeds within it. `call` adds its audit event, remembers the answer under the
        request's id, and learns the position that was committed.
        """
        async with self.pool.acquire() as connection:
            await self._plan(connection, once=False)
            writer = Writer(connection, call)
            async with connection.transaction():
                if call is not None:
                    await call.opened(writer)
                yield writer
                if call is not None:
                    await call.committing(writer)
                await writer.flush()
            if call is not None:
                call.committed(writer.positions)
        for feed in writer.feeds:
            self.signal.raise_for(feed)

    async def _plan(self, connection: asyncpg.Connection, *, once: bool) -> None:
        """Sessions keep the mode they were last given, so that the same work again needs no word about it."""
        session = connection.get_server_pid()
        if once == (session in self._planning_once):
            return
        # Forgotten first: a session whose mode is not known is told again.
        self._planning_once.discard(session)
        await connection.execute(f"SET plan_cache_mode = {'force_generic_plan' if once else 'auto'}")
        if once:
            self._planning_once.add(session)


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        format="binary",
    )


async def _keep_session(connection: asyncpg.Connection) -> None:
    """Nothing of a session is ever set or locked beyond a transaction, which the pool ends: no round trip to reset it."""
