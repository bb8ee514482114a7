"""A follower's effects happen once, whatever breaks, from one database to another through a real feed server."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
from nhip.exchange.v1.events_pb2 import ExchangeEvent
from nhip.feed.v1 import service_pb2, service_pb2_grpc
from sqlalchemy import text

from libs.access.tokens import TokenVerifier, service_token
from libs.clock import system_clock
from libs.database.engine import Database
from libs.database.statements import Statement
from libs.feed.follower import Follower, Subscription
from libs.feed.log import Cursor
from libs.feed.retention import trim
from libs.feed.server import Feed, FeedServer
from libs.runtime.call import Host
from libs.runtime.interceptors.access import Access
from libs.runtime.interceptors.errors import Errors
from libs.runtime.server import add_services, new_server
from tests.support.ground import ground_database
from tests.support.keys import verification_keys

PLATFORM_KEY = b"k" * 32
SEEN_TABLE = "CREATE TABLE seen (key text, content text)"
STATE_TABLE = "CREATE TABLE state (key text PRIMARY KEY, content text)"

SEE = Statement("test.see", text("INSERT INTO seen (key, content) VALUES (:key, :content)"))
FORGET = Statement("test.forget", text("DELETE FROM seen"))
SEEN = Statement("test.seen", text("SELECT key, content FROM seen ORDER BY ctid"))
STATE = Statement("test.state", text("SELECT key, content FROM state ORDER BY key"))
SET = Statement("test.set", text("INSERT INTO state (key, content) VALUES (:key, :content)"))


async def announce(database: Database, *keys: str) -> None:
    for key in keys:
        async with database.writing() as writer:
            await writer.execute(SET, key=key, content=key.upper())
            writer.announce("exchange", key, ExchangeEvent(import_id=key.upper()), is_new=True)


async def state(reader):
    for row in await reader.fetch(STATE):
        yield row["key"], ExchangeEvent(import_id=row["content"])


@asynccontextmanager
async def source(postgres):
    """A database whose feed is served; yields (database, stub)."""
    async with ground_database(postgres, STATE_TABLE) as database:
        server = new_server()
        feeds = {"exchange": Feed("exchange", state), "access": Feed("access")}
        chain = (Errors(), Access(TokenVerifier(verification_keys, PLATFORM_KEY)))
        host = Host(PLATFORM_KEY)
        descriptor = service_pb2.DESCRIPTOR.services_by_name["FeedService"]
        add_services(server, {descriptor: FeedServer(database, feeds)}, chain, host)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        try:
            yield database, service_pb2_grpc.FeedServiceStub(channel)
        finally:
            host.is_draining = True
            await channel.close()
            await server.stop(0)


def credentials():
    return (("authorization", f"Bearer {service_token(PLATFORM_KEY, 'records')}"),)


class Mirror:
    """Writes down each change; fails when told to."""

    def __init__(self) -> None:
        self.failures = 0

    async def apply(self, writer, changes):
        for change in changes:
            await writer.execute(SEE, key=change.key, content=ExchangeEvent.FromString(change.event).import_id)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("after the effects, before the cursor")

    async def reset(self, writer):
        await writer.execute(FORGET)


async def seen(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as reader:
        return [(row["key"], row["content"]) for row in await reader.fetch(SEEN)]


async def until_seen(database: Database, count: int) -> list[tuple[str, str]]:
    async with asyncio.timeout(20):
        while len(found := await seen(database)) < count:
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def following(database, stub, mirror, owner="replica-1"):
    follower = Follower(
        database, Subscription("exchange", "exchange", mirror.apply, mirror.reset), stub, credentials, owner
    )
    follower.start()
    try:
        yield follower
    finally:
        await follower.stop()


async def test_what_was_announced_before_and_after_arrives_in_order(postgres):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        await announce(origin, "a", "b")
        async with following(here, stub, Mirror()):
            await until_seen(here, 2)
            await announce(origin, "c")
            assert await until_seen(here, 3) == [("a", "A"), ("b", "B"), ("c", "C")]


async def test_a_batch_that_fails_after_its_effects_leaves_none_and_is_applied_once(postgres, caplog):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        mirror = Mirror()
        mirror.failures = 2
        await announce(origin, "a", "b")
        async with following(here, stub, mirror):
            assert await until_seen(here, 2) == [("a", "A"), ("b", "B")]
        assert "could not be applied" in caplog.text


async def test_a_replica_that_comes_back_goes_on_where_it_stood(postgres):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        await announce(origin, "a")
        async with following(here, stub, Mirror()):
            await until_seen(here, 1)
        await announce(origin, "b")
        async with following(here, stub, Mirror()):
            assert await until_seen(here, 2) == [("a", "A"), ("b", "B")]


async def test_of_two_replicas_one_follows_and_nothing_arrives_twice(postgres):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        async with following(here, stub, Mirror(), "one"), following(here, stub, Mirror(), "two"):
            await announce(origin, "a", "b", "c")
            assert await until_seen(here, 3) == [("a", "A"), ("b", "B"), ("c", "C")]


async def test_a_replica_that_does_not_follow_knows_how_far_the_one_is_that_does(postgres):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        async with following(here, stub, Mirror(), "one") as one, following(here, stub, Mirror(), "two") as two:
            for key in ("a", "b", "c"):
                async with origin.writing() as writer:
                    writer.announce("exchange", key, ExchangeEvent(), is_new=True)
                position = Cursor(*writer.positions["exchange"])
                assert (
                    await asyncio.gather(*(each.reached(position, 20) for each in (one, two, one, two))) == [True] * 4
                )
            assert [each.progress[0].is_ours for each in (one, two)].count(True) == 1
            beyond = Cursor(position.transaction + 1000, 0)
            assert await asyncio.gather(*(each.reached(beyond, 0.05) for each in (one, two))) == [False] * 2


async def test_what_a_replica_leaves_in_order_another_takes_up_at_once(postgres, monkeypatch):
    # Without a word from the first, the second would look again in an hour.
    monkeypatch.setattr("libs.feed.follower.LEASE_LOOK_SECONDS", 3600)
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        async with following(here, stub, Mirror(), "one"):
            await announce(origin, "a")
            await until_seen(here, 1)
            two = following(here, stub, Mirror(), "two")
            await two.__aenter__()
            # The second has been told that the lease is not free.
            await until(lambda: here.signal._events["lease/exchange/exchange"])
        try:
            await announce(origin, "b")
            assert await until_seen(here, 2) == [("a", "A"), ("b", "B")]
        finally:
            await two.__aexit__(None, None, None)


async def until(is_so) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_a_cursor_older_than_retention_is_rebuilt_from_a_snapshot(postgres):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        await announce(origin, "a")
        async with following(here, stub, Mirror()):
            await until_seen(here, 1)
        await announce(origin, "b", "c")
        removed = 0
        async with asyncio.timeout(30):
            # What another test's open transaction keeps behind the fence is not removed yet.
            while removed < 3:
                removed += await trim(origin, ["exchange"], _tomorrow, kept=timedelta(0))
        async with following(here, stub, Mirror()):
            assert sorted(await until_seen(here, 3)) == [("a", "A"), ("b", "B"), ("c", "C")]
            await announce(origin, "d")
            assert ("d", "D") in await until_seen(here, 4)


def _tomorrow():
    return system_clock() + timedelta(days=1)


async def test_a_reader_can_wait_until_the_projection_has_reached_a_position(postgres):
    async with source(postgres) as (origin, stub), ground_database(postgres, SEEN_TABLE) as here:
        async with following(here, stub, Mirror()) as follower:
            async with origin.writing() as writer:
                writer.announce("exchange", "a", ExchangeEvent(), is_new=True)
            position = Cursor(*writer.positions["exchange"])
            assert await follower.reached(position, 10)
            assert len(await seen(here)) == 1
            assert not await follower.reached(Cursor(position.transaction + 1000, 0), 0.05)


async def test_a_feed_that_does_not_exist_is_named_in_the_error(postgres):
    async with source(postgres) as (_, stub):
        stream = stub.Follow(service_pb2.FollowRequest(feed="nothing"), metadata=credentials())
        try:
            await stream.read()
            code = None
        except grpc.aio.AioRpcError as error:
            code = error.code()
        assert code is grpc.StatusCode.NOT_FOUND
