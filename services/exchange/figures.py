"""What the exchange tells of its jobs by metrics: rows by outcome, jobs that are open, and how long the oldest has waited."""

import asyncio
import logging

import asyncpg
from prometheus_client import Counter, Gauge
from sqlalchemy import text

from libs.database.engine import Database
from libs.database.statements import Statement
from services.exchange.model import Chunk, State

ROWS = Counter("nhip_import_rows_total", "Rows of imports, by what became of them.", ["outcome"])
OPEN = Gauge("nhip_imports_open", "Imports that are not finished, by state.", ["state"])
OLDEST = Gauge(
    "nhip_import_oldest_seconds", "Since when the import that moved last of all has not moved, by state.", ["state"]
)
LOOK_SECONDS = 15.0
_OPEN_STATES = (State.UPLOADING, State.QUEUED, State.RUNNING)
_OUTCOMES = ("created", "updated", "unchanged", "rejected", "skipped")

COUNT_OPEN = Statement(
    "imports.count_open",
    text(
        """
        SELECT state, count(*) AS jobs,
            CAST(extract(epoch FROM now() - min(greatest(touched_at, leased_until))) AS double precision) AS seconds
        FROM imports WHERE state IN (1, 2, 3) GROUP BY state
        """
    ),
)
log = logging.getLogger(__name__)


def count_rows(chunk: Chunk) -> None:
    """Counts the rows of a chunk that was committed."""
    for step in chunk.steps:
        for outcome in _OUTCOMES:
            ROWS.labels(outcome).inc(getattr(step.counts, outcome))


async def look(database: Database) -> None:
    """Brings the gauges to what the table says."""
    async with database.reading() as reader:
        found = {State(row["state"]): row for row in await reader.fetch(COUNT_OPEN)}
    for state in _OPEN_STATES:
        row = found.get(state)
        OPEN.labels(state.name.lower()).set(row["jobs"] if row else 0)
        OLDEST.labels(state.name.lower()).set(max(0.0, row["seconds"]) if row else 0)


async def keep_looking(database: Database) -> None:
    """Looks now and then, until cancelled."""
    while True:
        try:
            await look(database)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            log.warning("open imports could not be counted; it is tried again")
        await asyncio.sleep(LOOK_SECONDS)
