"""A follower that was away for very long catches up, through broken connections, with every change once and in order.

`make test-lifecycle` lets it be a million changes behind.
"""

import asyncio
import os
import time

import asyncpg
from nhip.exchange.v1.events_pb2 import ExchangeEvent
from sqlalchemy import text

from libs.database.statements import Statement
from tests.libs.feed.test_follower import SEEN_TABLE, following, source
from tests.support.ground import ground_database

CHANGES = int(os.environ.get("NHIP_LIFECYCLE_CHANGES", "6000"))
TRANSACTIONS = 6

TELL = """
INSERT INTO changes (feed, partition, key, event)
SELECT 'exchange', 0, CAST(number AS text), $1 FROM generate_series(CAST($2 AS int), CAST($3 AS int)) AS number
"""
SEE_ALL = Statement("test.see_all", text("INSERT INTO seen (key, content) SELECT unnest(CAST(:keys AS text[])), ''"))
COUNT = Statement("test.count", text("SELECT count(*) FROM seen"))
VERDICT = Statement(
    "test.verdict",
    text(
        """
        SELECT count(*) AS seen, count(DISTINCT key) AS different, bool_and(is_next) AS in_order FROM (
            SELECT key, CAST(key AS bigint) = row_number() OVER (ORDER BY ctid) AS is_next FROM seen
        ) AS placed
        """
    ),
)
BREAK = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


class Bulk:
    """Writes down whole batches."""

    async def apply(self, writer, changes):
        await writer.execute(SEE_ALL, keys=[change.key for change in changes])

    async def reset(self, writer):
        raise AssertionError("nothing has expired")


async def until_caught_up(database, wanted: int) -> None:
    """Polls: transactions of other tests in the cluster hold the feed back now and then."""
    async with asyncio.timeout(120 + CHANGES / 500):
        while True:
            try:
                async with database.reading() as reader:
                    if await reader.fetch_value(COUNT) >= wanted:
                        return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                # The connection that we broke ourselves.
                pass
            await asyncio.sleep(0.02)


async def tell(database) -> None:
    size = CHANGES // TRANSACTIONS
    async with database.pool.acquire() as connection:
        for first in range(0, CHANGES, size):
            await connection.execute(TELL, ExchangeEvent().SerializeToString(), first + 1, min(first + size, CHANGES))


async def break_connections(postgres, database) -> None:
    async with database.pool.acquire() as connection:
        name = await connection.fetchval("SELECT current_database()")
    outside = await asyncpg.connect(postgres.url("postgres"))
    try:
        await outside.fetchval(BREAK, name)
    finally:
        await outside.close()


async def test_a_follower_far_behind_catches_up_through_broken_connections_with_each_change_once_and_in_order(postgres):
    async with source(postgres) as (told, stub), ground_database(postgres, SEEN_TABLE) as database:
        await tell(told)
        began = time.monotonic()
        async with following(database, stub, Bulk()):
            for broken, share in ((database, 0.1), (told, 0.3), (database, 0.6)):
                await until_caught_up(database, int(CHANGES * share))
                await break_connections(postgres, broken)
            await until_caught_up(database, CHANGES)
        seconds = time.monotonic() - began
        async with database.reading() as reader:
            verdict = dict(await reader.fetch_one(VERDICT))
    assert verdict == {"seen": CHANGES, "different": CHANGES, "in_order": True}
    print(f"\n{CHANGES} changes behind: caught up in {seconds:.1f} s, {CHANGES / seconds:.0f}/s, none lost, none twice")  # noqa: T201 the numbers are what a long run is for
