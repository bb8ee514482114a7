"""Indexes anew, in the background, what was indexed under earlier rules.

That is what an upgrade finds, and what an older release still writes while it runs beside this one. Each batch is a
transaction; one that was cut off is done again.
"""

import asyncio
import logging

import asyncpg
import orjson

from libs.database.engine import Database
from services.records.model import IndexEntries
from services.records.rules.filing import source_of
from services.records.rules.index_entries import entries_of
from services.records.store import reindexing

log = logging.getLogger(__name__)

BATCH = 200
# How long after it was written by an older release a resource is found at the latest.
PAUSE_SECONDS = 20.0


async def keep_indexed(database: Database) -> None:
    """Never returns; what fails is tried again."""
    while True:
        try:
            done = await index_waiting(database)
            if done:
                log.info("%d resources were indexed anew", done)
        except (asyncpg.PostgresError, OSError) as error:
            log.warning("indexing anew failed and is tried again: %s", type(error).__name__)
        await asyncio.sleep(PAUSE_SECONDS)


async def index_waiting(database: Database) -> int:
    """Indexes all that waits; how many resources they were."""
    done = 0
    while True:
        async with database.reading() as reader:
            rows = await reindexing.waiting(reader, BATCH)
        if not rows:
            return done
        entries = [
            IndexEntries()
            if reindexing.is_deletion(row)
            else entries_of(orjson.loads(row["body"]), row["type"], source_of(row["organization_id"]))
            for row in rows
        ]
        async with database.writing() as writer:
            done += await reindexing.index(writer, rows, entries)
