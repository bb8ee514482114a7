"""The key ring holds what the database says, whichever reading of it ends last."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.runtime import keys
from libs.runtime.keys import KeyRing
from tests.support.ground import ground_database


async def store(database, key_id: str) -> None:
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key()))
    now = datetime.now(UTC)
    async with database.writing() as writer:
        await writer.execute(
            keys.STORE, key_id=key_id, jwk=json.dumps(jwk), not_before=now, not_after=now + timedelta(days=1)
        )


class SlowToAnswer:
    """A database whose first reading is held up between its statement and its answer."""

    def __init__(self, database) -> None:
        self._database = database
        self.may_answer, self.has_read = asyncio.Event(), asyncio.Event()
        self._readings = 0

    @asynccontextmanager
    async def reading(self):
        self._readings += 1
        is_first = self._readings == 1
        async with self._database.reading() as reader:
            yield _Held(reader, self) if is_first else reader


class _Held:
    def __init__(self, reader, slow: SlowToAnswer) -> None:
        self._reader, self._slow = reader, slow

    async def fetch(self, statement):
        rows = await self._reader.fetch(statement)
        self._slow.has_read.set()
        await self._slow.may_answer.wait()
        return rows


async def test_a_reading_that_began_before_a_key_came_does_not_take_it_away_again(postgres):
    async with ground_database(postgres) as database:
        slow = SlowToAnswer(database)
        ring = KeyRing(slow)
        earlier = asyncio.create_task(ring.refresh())
        await slow.has_read.wait()
        await store(database, "new")
        later = asyncio.create_task(ring.refresh())
        await asyncio.wait([later], timeout=0.2)
        slow.may_answer.set()
        await asyncio.gather(earlier, later)
        assert set(ring.keys()) == {"new"}
