"""The feed's two traps are closed; each test fails without the fence or the lock."""

import asyncio
from datetime import timedelta

import pytest
from nhip.exchange.v1.events_pb2 import ExchangeEvent
from sqlalchemy import text

from libs.database.engine import Database
from libs.database.statements import Statement
from libs.feed.log import READ, Cursor, partition_of
from libs.feed.retention import trim
from tests.support.ground import ground_database

WRITERS = 8
CHANGES_EACH = 40

COUNT_UP = Statement(
    "test.count_up",
    text(
        "INSERT INTO counters (key, version) VALUES (:key, 1) "
        "ON CONFLICT (key) DO UPDATE SET version = counters.version + 1 RETURNING version"
    ),
)


async def read_after(database: Database, cursor: Cursor, batch_size: int = 1000) -> list:
    async with database.reading() as reader:
        return await reader.fetch(
            READ,
            feed="exchange",
            transaction=str(cursor.transaction),
            position=cursor.position,
            partitions=None,
            batch_size=batch_size,
        )


async def settled(database: Database, count: int) -> list:
    """So many changes, once no transaction of another test, in the same cluster, holds the fence before them."""
    async with asyncio.timeout(30):
        while len(rows := await read_after(database, Cursor())) < count:
            await asyncio.sleep(0.02)
    return rows


async def test_a_change_that_was_numbered_earlier_and_committed_later_is_not_missed(postgres):
    async with ground_database(postgres) as database:
        late_may_commit, late_has_written = asyncio.Event(), asyncio.Event()

        async def late() -> None:
            async with database.writing() as writer:
                writer.announce("exchange", "late", ExchangeEvent(import_id="late"), is_new=True)
                await writer.flush()
                late_has_written.set()
                await late_may_commit.wait()

        task = asyncio.create_task(late())
        await late_has_written.wait()
        async with database.writing() as writer:
            writer.announce("exchange", "early", ExchangeEvent(import_id="early"), is_new=True)
        # "early" has committed with the higher number; a reader that took it now would step over "late" for ever.
        assert await read_after(database, Cursor()) == []
        late_may_commit.set()
        await task
        assert [row["key"] for row in await settled(database, 2)] == ["late", "early"]


async def test_a_reader_under_eight_writers_sees_each_change_once_and_each_key_in_order(postgres):
    async with ground_database(postgres, "CREATE TABLE counters (key text PRIMARY KEY, version bigint)") as database:
        seen: list[tuple[str, int]] = []

        async def write(number: int) -> None:
            for turn in range(CHANGES_EACH):
                key = f"key-{(number + turn) % 3}"
                async with database.writing() as writer:
                    await writer.lock(key)
                    rows = await writer.change(COUNT_UP, key=key)
                    event = ExchangeEvent(import_id=str(rows[0]["version"]))
                    writer.announce("exchange", key, event)
                    await asyncio.sleep(0.0005 * (number % 3))

        async def read() -> None:
            cursor = Cursor()
            while len(seen) < WRITERS * CHANGES_EACH:
                rows = await read_after(database, cursor, batch_size=7)
                for row in rows:
                    cursor = Cursor(row["transaction"], row["position"])
                    seen.append((row["key"], int(ExchangeEvent.FromString(row["event"]).import_id)))
                await asyncio.sleep(0)

        reader = asyncio.create_task(read())
        await asyncio.gather(*(write(number) for number in range(WRITERS)))
        async with asyncio.timeout(60):
            await reader
        for key in ("key-0", "key-1", "key-2"):
            versions = [version for name, version in seen if name == key]
            assert versions == list(range(1, len(versions) + 1))
        assert len(seen) == WRITERS * CHANGES_EACH


async def test_changes_of_a_key_arrive_in_the_order_of_their_commits_whichever_transaction_began_to_write_first(
    postgres,
):
    async with ground_database(postgres, "CREATE TABLE counters (key text PRIMARY KEY, version bigint)") as database:
        first_has_its_number = asyncio.Event()

        async def count_up(writer) -> None:
            rows = await writer.change(COUNT_UP, key="key")
            writer.announce("exchange", "key", ExchangeEvent(import_id=str(rows[0]["version"])))

        async def second() -> None:
            await first_has_its_number.wait()
            async with database.writing() as writer:
                await writer.lock("key")
                await count_up(writer)

        overtaking = asyncio.create_task(second())
        async with database.writing() as writer:
            await writer.lock("key")
            # From here on the transaction has its number; without the lock the second would commit the key before it.
            await writer.change(COUNT_UP, key="another")
            first_has_its_number.set()
            await asyncio.wait([overtaking], timeout=0.3)
            await count_up(writer)
        await overtaking
        versions = [ExchangeEvent.FromString(row["event"]).import_id for row in await settled(database, 2)]
        assert versions == ["1", "2"]


async def test_a_key_that_was_not_locked_cannot_be_announced(postgres):
    async with ground_database(postgres) as database:
        with pytest.raises(RuntimeError, match="without the lock"):
            async with database.writing() as writer:
                writer.announce("exchange", "key", ExchangeEvent())
        assert await read_after(database, Cursor()) == []


async def test_a_lock_after_the_first_write_is_refused(postgres):
    async with ground_database(postgres, "CREATE TABLE counters (key text PRIMARY KEY, version bigint)") as database:
        with pytest.raises(RuntimeError, match="before the first write"):
            async with database.writing() as writer:
                await writer.change(COUNT_UP, key="a")
                await writer.lock("a")


async def test_what_is_rolled_back_is_not_announced(postgres):
    async with ground_database(postgres) as database:
        with pytest.raises(ZeroDivisionError):
            async with database.writing() as writer:
                writer.announce("exchange", "key", ExchangeEvent(), is_new=True)
                await writer.flush()
                raise ZeroDivisionError
        assert await read_after(database, Cursor()) == []


async def test_retention_removes_old_changes_and_remembers_up_to_where(postgres):
    async with ground_database(postgres) as database:
        for number in range(3):
            async with database.writing() as writer:
                writer.announce("exchange", f"key-{number}", ExchangeEvent(), is_new=True)
        rows = await settled(database, 3)
        assert await trim(database, ["exchange"], lambda: rows[1]["recorded_at"], kept=timedelta(0)) == 1
        assert [row["key"] for row in await read_after(database, Cursor())] == ["key-1", "key-2"]


def test_the_partition_of_a_key_never_changes():
    # Followers divide the work by it, also across releases.
    assert [partition_of(key) for key in ("a", "b", "Encounter/1", "")] == [30, 43, 28, 46]


def test_a_cursor_survives_its_text():
    assert Cursor.parse(str(Cursor(12, 34))) == Cursor(12, 34)
    assert Cursor.parse("") == Cursor()
    with pytest.raises(ValueError, match="two numbers"):
        Cursor.parse("12")


async def test_a_free_key_is_locked_late_without_waiting_and_one_that_somebody_holds_is_not(postgres):
    async with ground_database(postgres) as database, database.writing() as holder:
        await holder.lock("held")
        async with database.writing() as writer:
            await writer.lock("mine")
            assert await writer.try_lock("mine", "free")
            assert not await writer.try_lock("other", "held")
            writer.announce("exchange", "free", ExchangeEvent())
            await writer.flush()
            with pytest.raises(RuntimeError, match="before the first write"):
                await writer.try_lock("late")
