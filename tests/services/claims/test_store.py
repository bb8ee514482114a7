"""What claims asks of its database, and what the database itself refuses."""

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from libs.database.engine import Database
from libs.database.statements import counted_statements
from libs.ids import new_id
from services.claims import example_tariff, tables, wire
from services.claims.decisions import post_and_announce
from services.claims.followers import Followers
from services.claims.model import Entry
from services.claims.store import claims, ledger
from tests.services.claims.telling import NOW, a_claim, a_placement, a_visit, tell_index, tell_records


@pytest.fixture
async def database(database_url):
    connected = await Database.connect(database_url("claims"), name="test", max_size=3)
    yield connected
    await connected.close()


@pytest.fixture
def followers():
    return Followers(lambda: NOW)


async def receive(database: Database, *messages) -> None:
    """Stores claims that wait."""
    async with database.writing() as writer:
        await claims.hold(writer, [message.organization_id for message in messages])
        for message in messages:
            claim = wire.claim_of(message, new_id(), NOW)
            await claims.insert_claim(writer, claim, wire.content_hash(claim))
            await post_and_announce(writer, [], NOW)


async def test_deciding_costs_the_same_statements_whether_one_claim_waits_or_fifty(database, followers):
    await example_tariff.load(database)
    counts = []
    for size in (1, 50):
        visits = [f"e{size}-{number}" for number in range(size)]
        await receive(database, *(a_claim(one, of=f"r{one}", visit=one) for one in visits))
        await tell_index(database, followers, *(a_placement(f"r{one}", f"p{one}") for one in visits))
        with counted_statements() as names:
            await tell_records(database, followers, *(a_visit(one, of=f"r{one}") for one in visits))
        counts.append(names)
    assert counts[0] == counts[1]
    assert counts[0] == [
        "feed.lock_keys",
        "claims.store_visits",
        "claims.due_by_visit",
        "claims.situations",
        "claims.store_decisions",
        "feed.append",
    ]


async def test_visits_and_placements_that_no_claim_waits_for_cost_three_statements(database, followers):
    with counted_statements() as names:
        await tell_records(database, followers, *(a_visit(f"e{n}", of=f"r{n}") for n in range(200)))
    assert names == ["feed.lock_keys", "claims.store_visits", "claims.due_by_visit"]
    with counted_statements() as names:
        await tell_index(database, followers, *(a_placement(f"r{n}", f"p{n}") for n in range(200)))
    assert names == ["feed.lock_keys", "claims.store_placements", "claims.due_by_registration"]


async def test_the_example_tariff_is_loaded_once_and_never_over_a_tariff(database):
    assert await example_tariff.load(database) == len(example_tariff.items())
    with counted_statements() as names:
        assert await example_tariff.load(database) == 0
    assert names == ["claims.schemes_without_tariff"]
    async with database.pool.acquire() as connection:
        await connection.execute("DELETE FROM tariff_items WHERE code <> '30101'")
    assert await example_tariff.load(database) == 0


def entry(amount: int, transaction_id: str = "t", account: str = "scheme:UCS:expense") -> Entry:
    return Entry(transaction_id, account, amount, "c", "10661", "")


async def post(database: Database, *entries: Entry) -> None:
    async with database.writing() as writer:
        await ledger.post(writer, entries, NOW)


@pytest.mark.parametrize(
    "amounts",
    [[1], [100, -99], [2**62, 2**62, -(2**62)]],
)
async def test_the_ledger_refuses_a_transaction_that_does_not_sum_to_zero(database, amounts):
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await post(database, *map(entry, amounts))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        # Two transactions that sum to zero only together.
        await post(database, entry(5, "one"), entry(-5, "two"))


async def test_the_ledger_takes_a_balanced_transaction_and_never_gives_it_back(database):
    await post(database, entry(2**62), entry(2**62), entry(-(2**62)), entry(-(2**62)))
    async with database.pool.acquire() as connection:
        for change in (
            "UPDATE ledger_entries SET amount = 1",
            "DELETE FROM ledger_entries",
            "TRUNCATE ledger_entries",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute(change)
        assert await connection.fetchval("SELECT count(*) FROM ledger_entries") == 4


async def test_a_balance_is_the_same_on_every_page(database):
    await post(database, entry(7), entry(-7, account="organization:10661:payable"), entry(5, "u"), entry(-5, "u"))
    query = ledger.EntryQuery(account="scheme:UCS:expense")
    async with database.reading() as reader:
        with counted_statements() as names:
            first = await ledger.list_entries(reader, query, 0, 2)
        second = await ledger.list_entries(reader, query, first.entries[-1].number, 2)
    assert names == ["claims.list_entries"]
    assert [posted.entry.amount for posted in (*first.entries, *second.entries)] == [7, 5, -5]
    assert first.balance == second.balance == 7


async def test_the_tables_are_as_the_migrations_leave_them(database):
    async with database.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT table_name, column_name, is_nullable = 'YES' AS nullable, "
            "format_type(atttypid, atttypmod) AS type "
            "FROM information_schema.columns JOIN pg_attribute "
            "ON attrelid = quote_ident(table_name)::regclass AND attname = column_name "
            "WHERE table_schema = 'public' AND table_name = ANY($1)",
            list(tables.metadata.tables),
        )
    migrated = {(row["table_name"], row["column_name"]): (row["type"], row["nullable"]) for row in rows}
    declared = {
        (table.name, column.name): (column.type.compile(PGDialect_asyncpg()).lower(), column.nullable)
        for table in tables.metadata.sorted_tables
        for column in table.columns
    }
    assert migrated == declared
