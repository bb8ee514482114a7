"""How common names are: to share สมชาย says less than to share a name that one family bears.

Counted now and then over a sample, so that no registration waits for a counter that many would touch. Every process holds
what was counted last.
"""

import asyncio
from collections.abc import Mapping

from sqlalchemy import delete, select, text

from libs.database.engine import Database
from libs.database.statements import Statement
from services.patient_index.model import Shares
from services.patient_index.tables import name_shares

SAMPLE_ROWS = 200_000
# Below so many registrations shares say more about who came first than about names.
LEAST_ROWS = 10_000
# Names that fewer bear in the sample weigh what the model says of names in general.
LEAST_BEARERS = 30
REFRESH_SECONDS = 3600.0

ESTIMATE_ROWS = Statement(
    "patient_index.estimate_rows",
    text("SELECT CAST(greatest(reltuples, 0) AS bigint) FROM pg_class WHERE oid = CAST('registrations' AS regclass)"),
)

CLEAR_SHARES = Statement("patient_index.clear_shares", delete(name_shares))

COUNT_SHARES = Statement(
    "patient_index.count_shares",
    text(
        """
        WITH sample AS (
            SELECT features ->> 0 AS given, features ->> 1 AS family, features ->> 2 AS given_roman,
                features ->> 3 AS family_roman
            FROM registrations TABLESAMPLE SYSTEM (CAST(:percent AS real))
        ), borne AS (
            SELECT 'given_name|' || given AS name FROM sample WHERE given <> ''
            UNION ALL SELECT 'given_name|' || given_roman FROM sample WHERE given_roman <> ''
            UNION ALL SELECT 'family_name|' || family FROM sample WHERE family <> ''
            UNION ALL SELECT 'family_name|' || family_roman FROM sample WHERE family_roman <> ''
        )
        INSERT INTO name_shares (name, share)
        SELECT name, CAST(count(*) AS double precision) / (SELECT count(*) FROM sample)
        FROM borne
        GROUP BY name
        HAVING count(*) >= CAST(:least AS integer)
        """
    ),
)

READ_SHARES = Statement("patient_index.read_shares", select(name_shares.c.name, name_shares.c.share))


class NameShares:
    """The shares of common names, as they were counted last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shares: Shares = {}

    def __call__(self) -> Shares:
        """The shares now."""
        return self._shares

    async def read(self) -> None:
        """Takes over what was counted last, by whichever process."""
        async with self._database.reading() as reader:
            counted: Mapping[str, float] = {row["name"]: row["share"] for row in await reader.fetch(READ_SHARES)}
        self._shares = counted

    async def count(self, least_rows: int = LEAST_ROWS, least_bearers: int = LEAST_BEARERS) -> None:
        """Counts anew, where there are enough registrations, and takes it over."""
        async with self._database.writing() as writer:
            rows = int(await writer.fetch_value(ESTIMATE_ROWS))
            if rows >= least_rows:
                # One at a time; two that count at once would write the same names.
                await writer.lock("patient_index/name_shares")
                await writer.execute(CLEAR_SHARES)
                percent = min(100.0, 100.0 * SAMPLE_ROWS / max(rows, 1))
                await writer.execute(COUNT_SHARES, percent=percent, least=least_bearers)
        await self.read()

    async def keep_counted(self) -> None:
        """Reads at once and counts every hour, until cancelled."""
        await self.read()
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.count()
