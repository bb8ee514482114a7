"""What a feed's server costs its database: followers that stand at the same place look once for all."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from nhip.exchange.v1.events_pb2 import ExchangeEvent
from nhip.feed.v1 import service_pb2

from libs.database.engine import Database
from libs.feed.server import Feed, FeedServer
from tests.support.ground import ground_database

FOLLOWERS = 5
CALL: Any = SimpleNamespace(is_draining=False)


class CountingServer(FeedServer):
    reads = 0

    async def _read(self, *asked: Any) -> Any:
        self.reads += 1
        return await super()._read(*asked)


async def announce(database: Database, *keys: str) -> None:
    async with database.writing() as writer:
        for key in keys:
            writer.announce("exchange", key, ExchangeEvent(import_id=key), is_new=True)


async def keys_of(stream: AsyncIterator[service_pb2.FollowResponse], count: int) -> list[str]:
    """Of so many changes."""
    keys: list[str] = []
    async with asyncio.timeout(30):
        while len(keys) < count:
            keys += [change.key for change in (await anext(stream)).changes]
    return keys


async def test_followers_at_one_place_are_each_told_by_one_look(postgres):
    async with ground_database(postgres) as database:
        server = CountingServer(database, {"exchange": Feed("exchange")})
        streams = [server.Follow(service_pb2.FollowRequest(feed="exchange"), CALL) for _ in range(FOLLOWERS)]
        # Told that nothing has come, they wait together.
        await asyncio.gather(*(anext(stream) for stream in streams))
        waiting = [asyncio.create_task(keys_of(stream, 2)) for stream in streams]
        await asyncio.sleep(0.05)
        before = server.reads
        await announce(database, "a", "b")
        assert await asyncio.gather(*waiting) == [["a", "b"]] * FOLLOWERS
        # Another transaction of this cluster may hold the fence back for a while, so that they look again.
        assert server.reads - before < FOLLOWERS


async def test_a_follower_elsewhere_or_of_other_partitions_is_told_of_its_own(postgres):
    async with ground_database(postgres) as database:
        await announce(database, *(f"key-{number}" for number in range(40)))
        server = CountingServer(database, {"exchange": Feed("exchange")})
        whole = server.Follow(service_pb2.FollowRequest(feed="exchange"), CALL)
        some, others = (
            server.Follow(service_pb2.FollowRequest(feed="exchange", partitions=numbers), CALL)
            for numbers in (range(32), range(32, 64))
        )
        every = await keys_of(whole, 40)
        parts = [anext(some), anext(others)]
        told = [{change.key for change in response.changes} for response in await asyncio.gather(*parts)]
        assert told[0] | told[1] == set(every)
        assert not told[0] & told[1]
        assert all(told)
