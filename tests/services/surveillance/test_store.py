"""What surveillance asks of its database: how often, and by which index."""

from datetime import date

import pytest
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from libs.database.engine import Database
from libs.database.statements import counted_statements
from services.surveillance import tables
from services.surveillance.diseases import packaged
from services.surveillance.followers import Followers
from services.surveillance.store import alerts, facts, lists
from tests.services.surveillance.telling import NOW, a_diagnosis, a_placement, tell_index, tell_records


@pytest.fixture
async def database(database_url):
    connected = await Database.connect(database_url("surveillance"), name="test", max_size=3)
    yield connected
    await connected.close()


@pytest.fixture
def followers():
    return Followers(packaged(), lambda: NOW)


async def test_a_batch_costs_the_same_statements_whether_it_holds_one_diagnosis_or_three_hundred(database, followers):
    await tell_records(database, followers, a_diagnosis("first", "A90", of="r", place="501001"))
    with counted_statements() as one:
        await tell_records(database, followers, a_diagnosis("d", "A90", of="r0", place="501001"))
    many = [a_diagnosis(f"d{number}", "A90", of=f"r{number}", place="501001") for number in range(1, 300)]
    with counted_statements() as three_hundred:
        await tell_records(database, followers, *many)
    assert three_hundred == one
    assert one == [
        "feed.lock_keys",
        "surveillance.find",
        "surveillance.load",
        "surveillance.earliest",
        "surveillance.stand",
        "surveillance.earliest",
        "surveillance.count",
        "surveillance.standing_alerts",
        "feed.append",
    ]


async def test_diagnoses_that_need_no_report_cost_no_statement(database, followers):
    with counted_statements() as names:
        await tell_records(database, followers, a_diagnosis("d", "I10", of="r"), a_diagnosis("e", "E119", of="r"))
    assert names == []


async def test_placing_registrations_without_cases_costs_three_statements(database, followers):
    with counted_statements() as names:
        await tell_index(database, followers, *(a_placement(f"r{number}", f"p{number}") for number in range(300)))
    assert names == ["feed.lock_keys", "surveillance.place", "surveillance.load"]


async def test_a_list_a_series_and_the_alerts_are_one_statement_each(database, followers):
    await tell_records(database, followers, a_diagnosis("d", "A90", of="r", place="501001"))
    monday = date(2026, 7, 27)
    async with database.reading() as reader:
        with counted_statements() as names:
            page = await lists.list_cases(reader, lists.CaseQuery(disease_code="66", place_code="50"), None, 10)
            weeks, earliest = await lists.series(reader, "66", "50", monday, monday)
            assert await lists.list_alerts(reader, "66", "50", None, 10) == []
    assert names == ["surveillance.list_cases", "surveillance.series", "surveillance.list_alerts"]
    assert page.total == 1
    assert weeks == [(monday, 1)]
    assert earliest == monday


async def test_a_series_is_counted_from_an_index_alone(database):
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO cases
            SELECT 'c' || n, 'd' || n, (n % 57)::text, 'r' || n, 'o', 'A90', date '2026-01-01', now(), '', 2, 1, now(),
                   1, 2, 'c' || n, '', (10 + n % 77)::text || '0101', 1, 1, '', date '2025-01-06' + 7 * (n % 80), 1
            FROM generate_series(1, 20000) AS n
            """
        )
        await connection.execute("ANALYZE cases")
        statement = lists._SERIES
        plan = await connection.fetch(
            "EXPLAIN " + statement.sql,
            *statement.arguments(
                {
                    "disease_code": "5",
                    "place_code": "50",
                    "place_code_end": "50~",
                    "first_week": date(2025, 7, 7),
                    "last_week": date(2026, 6, 29),
                }
            ),
        )
    text = "\n".join(row[0] for row in plan)
    assert "cases_counted" in text
    assert "Seq Scan on cases" not in text


async def test_only_a_newer_placement_is_taken(database, followers):
    await tell_index(database, followers, a_placement("r", "new", version=2))
    await tell_index(database, followers, a_placement("r", "old", version=1))
    async with database.writing() as writer:
        await writer.lock(facts.CASES)
        assert await facts.place(writer, [], []) == ([], [])
    async with database.reading() as reader:
        _, placements = await facts.load(reader, ["r"], [])
        assert placements == {}
    async with database.pool.acquire() as connection:
        assert await connection.fetchval("SELECT person_id FROM placements") == "new"


async def test_counts_take_every_place_below_the_one_asked(database, followers):
    await tell_records(
        database,
        followers,
        a_diagnosis("a", "A90", of="r1", place="501001"),
        a_diagnosis("b", "A90", of="r2", place="5010"),
        a_diagnosis("c", "A90", of="r3", place="501101"),
        a_diagnosis("d", "A90", of="r4", place="510101"),
        a_diagnosis("e", "A90", of="r5"),
    )
    monday = date(2026, 7, 27)
    async with database.reading() as reader:
        for place, count in (("501001", 1), ("5010", 2), ("50", 3), ("51", 1), ("", 5)):
            weeks, _ = await lists.series(reader, "66", place, monday, monday)
            assert weeks == [(monday, count)], place
            if place:
                span = alerts.Span("66", place, monday, monday)
                assert list((await alerts.counts(reader, [span])).values()) == [count]


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
