"""A database with the ground's tables and nothing else, for tests of libs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

from libs.database.embedded import EmbeddedPostgres
from libs.database.engine import Database
from libs.database.statements import _DIALECT
from libs.feed.tables import metadata
from libs.ids import new_id


@asynccontextmanager
async def ground_database(postgres: EmbeddedPostgres, *extra_ddl: str) -> AsyncIterator[Database]:
    """A fresh database, connected; dropped after."""
    name = f"test_ground_{new_id().replace('-', '')}"
    postgres.create_database(name)
    connection = await asyncpg.connect(postgres.url(name))
    for table in metadata.sorted_tables:
        await connection.execute(str(CreateTable(table).compile(dialect=_DIALECT)))
        for index in table.indexes:
            await connection.execute(str(CreateIndex(index).compile(dialect=_DIALECT)))
    for ddl in extra_ddl:
        await connection.execute(ddl)
    await connection.close()
    database = await Database.connect(postgres.url(name), name="test", max_size=12)
    database.signal.start()
    try:
        yield database
    finally:
        await database.close()
        postgres.drop_database(name)
