"""Removes what no follower should still need: old changes, old remembered answers."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta

import asyncpg
from sqlalchemy import text

from libs.clock import Clock
from libs.database.engine import Database
from libs.database.statements import Statement
from libs.feed.log import TRIM

CHANGES_KEPT = timedelta(days=14)
REQUESTS_KEPT = timedelta(days=2)
EVERY_SECONDS = 3600.0
BATCH = 5000

log = logging.getLogger(__name__)

FORGET_REQUESTS = Statement(
    "requests.forget",
    text("DELETE FROM remembered_requests WHERE recorded_at < CAST(:before AS timestamptz)"),
)


async def trim(database: Database, feeds: Iterable[str], clock: Clock, kept: timedelta = CHANGES_KEPT) -> int:
    """Removes changes older than `kept`, in batches; answers how many."""
    removed = 0
    for feed in feeds:
        while True:
            async with database.writing() as writer:
                rows = await writer.change(TRIM, feed=feed, before=clock() - kept, batch_size=BATCH)
            count = int(rows[0][0])
            removed += count
            if count < BATCH:
                break
    return removed


async def keep_trimmed(database: Database, feeds: Iterable[str], clock: Clock) -> None:
    """Trims once an hour until cancelled."""
    feeds = tuple(feeds)
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await trim(database, feeds, clock)
            async with database.writing() as writer:
                await writer.execute(FORGET_REQUESTS, before=clock() - REQUESTS_KEPT)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            log.exception("retention could not be enforced; it is tried again in an hour")
