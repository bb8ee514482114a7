"""Exchange over a fresh database."""

from collections.abc import AsyncIterator

import pytest

from libs.database.engine import Database
from tests.services.exchange.running import Exchange
from tests.support.postgres import DatabaseUrl


@pytest.fixture
async def exchange(database_url: DatabaseUrl) -> AsyncIterator[Exchange]:
    """A worker's world: its database, and neighbours at the test's command."""
    database = await Database.connect(database_url("exchange"), name="exchange-test", max_size=6)
    yield Exchange(database)
    await database.close()
