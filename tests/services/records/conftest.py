"""A records service for each test that asks."""

from collections.abc import AsyncIterator

import pytest

from tests.services.records.stage import Stage, records
from tests.support.postgres import DatabaseUrl


@pytest.fixture
async def stage(database_url: DatabaseUrl) -> AsyncIterator[Stage]:
    async with records(database_url("records")) as running:
        yield running
