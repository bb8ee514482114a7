"""Every revision is safe while the release before it still runs: it adds, and takes nothing that was there."""

import asyncio
from dataclasses import dataclass

import asyncpg
import pytest

from libs.database.migrations import migrate, revisions
from libs.ids import new_id
from tools.verification import SERVICES

COLUMNS = """
    SELECT table_name, column_name, format_type(atttypid, atttypmod) AS type, is_nullable = 'YES' AS is_nullable,
           column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS' AS fills_itself
    FROM information_schema.columns
    JOIN pg_attribute ON attrelid = to_regclass(format('%I.%I', table_schema, table_name)) AND attname = column_name
    WHERE table_schema = 'public' AND table_name <> 'alembic_version'
"""
# What refuses a row: constraints, and indexes that are unique without being one.
REFUSALS = """
    SELECT conrelid::regclass::text AS table_name, conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
    UNION
    SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indisunique AND relnamespace = 'public'::regnamespace
"""
STEPS = [
    (service, before, after)
    for service in SERVICES
    for before, after in zip(revisions(service), revisions(service)[1:], strict=False)
]


@dataclass(frozen=True)
class Schema:
    """What the code of a release rests on."""

    # (table, column) → type, whether it may be NULL, whether it has a value of its own.
    columns: dict[tuple[str, str], tuple[str, bool, bool]]
    # (table, name) → definition.
    refusals: dict[tuple[str, str], str]

    @property
    def tables(self) -> set[str]:
        return {table for table, _ in self.columns}


async def schema(url: str) -> Schema:
    connection = await asyncpg.connect(url)
    try:
        columns = await connection.fetch(COLUMNS)
        refusals = await connection.fetch(REFUSALS)
    finally:
        await connection.close()
    return Schema(
        {
            (row["table_name"], row["column_name"]): (row["type"], row["is_nullable"], row["fills_itself"])
            for row in columns
        },
        {(row["table_name"], row["name"]): row["definition"] for row in refusals},
    )


def is_no_wider(before: str, after: str) -> bool:
    """Whether it is the same, or a unique index that looks at fewer rows than before."""
    (whole, _, old), (same, _, new) = before.partition(" WHERE "), after.partition(" WHERE ")
    return before == after or (whole == same and bool(old) and old.strip("()") in new and " OR " not in new)


def breaches(before: Schema, after: Schema) -> list[str]:
    """What the release before would stumble over."""
    found = []
    for (table, column), (kind, may_be_null, _) in before.columns.items():
        now = after.columns.get((table, column))
        if now is None:
            found.append(f"{table}.{column} is gone")
        elif now[0] != kind:
            found.append(f"{table}.{column} was {kind} and is {now[0]}")
        elif may_be_null and not now[1]:
            found.append(f"{table}.{column} may not be NULL any more")
    for (table, column), (_, may_be_null, fills_itself) in after.columns.items():
        if table in before.tables and (table, column) not in before.columns and not (may_be_null or fills_itself):
            found.append(f"{table}.{column} is new and must be given")
    for (table, name), definition in after.refusals.items():
        old = [said.replace(f" {known} ", f" {name} ") for (of, known), said in before.refusals.items() if of == table]
        is_old = any(is_no_wider(said, definition) for said in old)
        if table in before.tables and not is_old and not definition.startswith("NOT NULL"):
            found.append(f"{table} refuses more than before: {definition}")
    return found


@pytest.fixture
def step(postgres):
    """Answers the schemas before and after a revision."""
    made = []

    def between(service: str, before: str, after: str) -> tuple[Schema, Schema]:
        name = f"test_steps_{new_id().replace('-', '')}"
        postgres.create_database(name)
        made.append(name)
        found = []
        for revision in (before, after):
            assert migrate(postgres.url(name), service, revision) == revision
            found.append(asyncio.run(schema(postgres.url(name))))
        return found[0], found[1]

    yield between
    for name in made:
        postgres.drop_database(name)


@pytest.mark.parametrize(("service", "before", "after"), STEPS)
def test_a_revision_takes_nothing_from_the_release_before_it(step, service, before, after):
    assert breaches(*step(service, before, after)) == []


def test_a_unique_index_over_fewer_rows_refuses_no_more():
    index = "CREATE UNIQUE INDEX one ON t USING btree (a)"
    assert is_no_wider(f"{index} WHERE (b <> 1)", f"{index} WHERE ((b <> 1) AND (c <> 4))")
    assert not is_no_wider(f"{index} WHERE (b <> 1)", f"{index} WHERE ((b <> 1) OR (c <> 4))")
    assert not is_no_wider(f"{index} WHERE (b <> 1)", index)


TABLE = {("t", "a"): ("text", True, False)}


@pytest.mark.parametrize(
    ("columns", "refusals", "said"),
    [
        ({}, {}, ["t.a is gone"]),
        ({("t", "a"): ("integer", True, False)}, {}, ["t.a was text and is integer"]),
        ({("t", "a"): ("text", False, True)}, {}, ["t.a may not be NULL any more"]),
        ({**TABLE, ("t", "b"): ("text", False, False)}, {}, ["t.b is new and must be given"]),
        (TABLE, {("t", "renamed"): "CREATE UNIQUE INDEX renamed ON t USING btree (a)"}, []),
        (TABLE, {("t", "short"): "CHECK (length(a) < 3)"}, ["t refuses more than before: CHECK (length(a) < 3)"]),
        ({**TABLE, ("t", "b"): ("text", False, True)}, {}, []),
        ({**TABLE, ("u", "b"): ("text", False, False)}, {("u", "u_pkey"): "PRIMARY KEY (b)"}, []),
    ],
)
def test_what_the_release_before_would_stumble_over_is_found(columns, refusals, said):
    unique = {("t", "one"): "CREATE UNIQUE INDEX one ON t USING btree (a)"}
    assert breaches(Schema(TABLE, unique), Schema(columns, refusals)) == said
