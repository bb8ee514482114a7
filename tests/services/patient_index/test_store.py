"""What the index asks of its database: few statements, whatever comes, and decisions that are the truth."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from nhip.patient_index.v1 import service_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.database.engine import Database
from libs.database.statements import Statement, counted_statements
from services.patient_index import wire
from services.patient_index.api.transaction import Index
from services.patient_index.model import Held, Incoming, Scope
from services.patient_index.rules.blocking import MAX_BLOCK, identifier_key, scope_of
from services.patient_index.rules.deciding import Word, link, unlink
from services.patient_index.rules.history import replay
from services.patient_index.rules.placing import further_keys, place
from services.patient_index.rules.world import World
from services.patient_index.store import reading
from services.patient_index.store.loading import FIND_BLOCKS, FIND_REGISTRATIONS, load
from services.patient_index.store.names import NameShares
from services.patient_index.store.rows import decision_of
from services.patient_index.tables import metadata
from tests.services.patient_index.people import (
    CLINIC,
    HOSPITAL_A,
    HOSPITAL_B,
    NOW,
    a_filing,
    a_message,
    a_number,
    an_incoming,
    key_of,
)

EVERY_DECISION = Statement(
    "test.every_decision",
    text(
        """
        SELECT CAST(decision_id AS text) AS decision_id, kind, CAST(registration_id AS text) AS registration_id,
            CAST(previous_person_id AS text) AS previous_person_id, CAST(person_id AS text) AS person_id, decided_by,
            reason, model, weight, evidence, recorded_at
        FROM decisions ORDER BY position
        """
    ),
)
ASKED = Statement(
    "test.asked",
    text("SELECT rule, CAST(:namesake AS uuid) IN (registration_id, other_id) AS is_namesake FROM reviews"),
)
VERSIONS = Statement("test.versions", text("SELECT version, content FROM registration_versions ORDER BY version"))
LOADING = ["feed.lock_keys", "patient_index.find_blocks", "patient_index.find_registrations"]


@pytest.fixture
async def database(database_url):
    opened = await Database.connect(database_url("patient_index"), name="test", max_size=6)
    yield opened
    await opened.close()


@pytest.fixture
def index(database: Database) -> Index:
    return Index(database, key_of, wire.event_of, dict)


def sent(**told) -> Incoming:
    """A registration as it comes over the wire, with its content."""
    filed = a_filing(**told)
    return replace(an_incoming(**told), content=wire.content_of(a_message(filed), filed.identifiers))


async def register(index: Index, *incoming: Incoming) -> list[Held]:
    placed: list[Held] = []

    def decide(world: World) -> service_pb2.BatchRegisterResponse:
        placed[:] = [place(world, one, "client/test", NOW).held for one in incoming]
        return service_pb2.BatchRegisterResponse()

    await index.change(None, scope_of(incoming), decide, NOW, partial(further_keys, incoming))
    return placed


def people(count: int, organization: str = HOSPITAL_A) -> list[Incoming]:
    consonants = "กขคงจชซดตถทนบปผพฟมยรลวศสหอ"
    return [
        sent(
            number=a_number(one),
            given=f"{consonants[one % 26]}าพร{consonants[one // 26 % 26]}ัน",
            family=f"{consonants[one // 7 % 26]}ีสุข{consonants[one % 23]}าม",
            born=f"{1940 + one % 70}-{1 + one % 12:02d}-{1 + one % 28:02d}",
            phone=f"08{one:08d}",
            organization=organization,
            local_number=str(one),
        )
        for one in range(count)
    ]


WRITTEN = [*(f"patient_index.insert_{table}" for table in ("registrations", "keys", "decisions")), "feed.append"]


async def test_a_registration_costs_four_looks_and_one_statement_for_each_table(index: Index):
    with counted_statements() as names:
        await register(index, sent(number=a_number(1)))
    assert names == [*LOADING, "patient_index.find_blocks", *WRITTEN]


async def test_who_is_known_by_number_is_looked_for_by_nothing_else(index: Index):
    (known,) = await register(index, sent(number=a_number(1)))
    with counted_statements() as names:
        (placed,) = await register(index, sent(number=a_number(1), organization=HOSPITAL_B))
    assert names == [*LOADING, *WRITTEN]
    assert placed.person_id == known.person_id


async def test_who_looks_like_none_of_those_with_the_number_is_looked_for_by_name(index: Index):
    await register(index, sent(number=a_number(1), given="มานะ", family="อดทน", born="1960-01-02", sex=1))
    (namesake,) = await register(index, sent(number=a_number(2), organization=CLINIC))
    with counted_statements() as names:
        (placed,) = await register(index, sent(number=a_number(1), organization=HOSPITAL_B))
    assert names[len(LOADING)] == "patient_index.find_blocks"
    assert placed.person_id != namesake.person_id
    async with index.database.reading() as reader:
        asked = {
            (row["rule"], row["is_namesake"]) for row in await reader.fetch(ASKED, namesake=namesake.registration_id)
        }
    assert ("citizen-id-contradicted", False) in asked


async def test_two_of_one_batch_find_each_other_though_a_number_found_somebody_for_one(index: Index):
    (known,) = await register(index, sent(number=a_number(1)))
    first, second = await register(
        index,
        sent(number=a_number(1), organization=HOSPITAL_B),
        sent(organization=CLINIC),
    )
    assert first.person_id == known.person_id == second.person_id


def a_neighbour() -> Incoming:
    """Who shows number 1 and is somebody else."""
    return sent(number=a_number(1), given="มานะ", family="อดทน", born="1960-01-02")


async def test_whose_account_changes_because_another_shows_the_number_is_locked_late(index: Index, database: Database):
    (neighbour,) = await register(index, a_neighbour())
    async with database.reading() as reader:
        before = await reading.read_registration(reader, neighbour.registration_id, None)
    assert before.citizen_key
    with counted_statements() as names:
        await register(index, sent(number=a_number(1), organization=HOSPITAL_B))
    assert (names.count("feed.lock_keys"), names.count("feed.try_lock_keys")) == (1, 1)
    async with database.reading() as reader:
        after = await reading.read_registration(reader, neighbour.registration_id, None)
    assert (after.citizen_key, after.version) == ("", 2)


async def test_whose_account_changes_while_somebody_holds_them_is_waited_for(index: Index, database: Database):
    (neighbour,) = await register(index, a_neighbour())
    async with database.writing() as holder:
        await holder.lock(neighbour.registration_id)
        coming = asyncio.create_task(register(index, sent(number=a_number(1), organization=HOSPITAL_B)))
        await asyncio.wait([coming], timeout=0.3)
        assert not coming.done()
    await coming
    async with database.reading() as reader:
        after = await reading.read_registration(reader, neighbour.registration_id, None)
    assert after.citizen_key == ""


async def test_a_batch_costs_as_many_statements_as_one(index: Index):
    for batch in (people(20), people(200)[20:]):
        with counted_statements() as names:
            await register(index, *batch)
        found = [name for name in names[len(LOADING) :] if name not in WRITTEN]
        # The second finds some who share a name with the first.
        assert found in (
            ["patient_index.find_blocks"],
            [f"patient_index.find_{one}" for one in ("blocks", "registrations")],
        )
        assert names[-len(WRITTEN) :] == WRITTEN
    known = people(200, HOSPITAL_B)
    with counted_statements() as names:
        linked = await register(index, *known)
    assert names == [*LOADING, *WRITTEN]
    assert len({one.person_id for one in linked}) == 200


async def test_what_is_known_already_costs_no_write(index: Index):
    await register(index, *people(30))
    with counted_statements() as names:
        await register(index, *people(30))
    assert names == [*LOADING, "patient_index.find_apart"]


async def test_a_changed_form_keeps_what_it_said(index: Index, database: Database):
    await register(index, sent(family="ใจดีงาม"))
    await register(index, sent(family="มั่งมีสุข"))
    (held,) = await register(index, sent(family="เจริญพร"))
    async with database.reading() as reader:
        rows = await reader.fetch(VERSIONS)
        found = await reading.read_registration(reader, held.registration_id, None)
    assert [row["version"] for row in rows] == [1, 2]
    assert "ใจดีงาม".encode() in rows[0]["content"]
    assert (found.version, found.features.family) == (3, "เจริญพร")


async def test_what_is_stored_is_what_was_decided(index: Index, database: Database):
    (placed,) = await register(index, sent(number=a_number(1), passport="MC1", roman=("Somchai", "Jaidee")))
    async with database.reading() as reader:
        found = await reading.read_registration(reader, placed.registration_id, None)
    assert (found.features, found.content) == (placed.features, placed.content)
    assert found.citizen_key == key_of(placed.features.identifiers[0])


async def test_replaying_the_stored_decisions_gives_the_stored_persons(index: Index, database: Database):
    first, second = await register(index, sent(number=a_number(1)), sent(number=a_number(1), organization=HOSPITAL_B))
    await register(index, *people(20), sent(number=a_number(1), organization=CLINIC))
    await part(index, second)
    await part(index, first)
    await join(index, second, first.person_id)
    async with database.reading() as reader:
        decisions = [decision_of(row) for row in await reader.fetch(EVERY_DECISION)]
        stored = {one.registration_id: one.person_id async for one in reading.scan(reader)}
    assert replay(decisions).persons == stored
    assert stored[second.registration_id] == first.person_id != stored[first.registration_id]


WORD = Word("client/test", NOW, "somebody says so")


async def part(index: Index, held: Held) -> None:
    def decide(world: World) -> service_pb2.UnlinkRegistrationResponse:
        unlink(world, held.registration_id, WORD)
        return service_pb2.UnlinkRegistrationResponse()

    await index.change(None, Scope(), decide, NOW)


async def join(index: Index, held: Held, person_id: str) -> None:
    def decide(world: World) -> service_pb2.LinkRegistrationResponse:
        link(world, held.registration_id, person_id, WORD)
        return service_pb2.LinkRegistrationResponse()

    await index.change(None, Scope(), decide, NOW)


async def test_a_block_that_a_village_shares_is_not_loaded(index: Index, database: Database):
    dummy = a_number(7)
    nobody = {"number": dummy, "given": "", "family": "", "born": "", "phone": ""}
    village = [sent(**nobody, local_number=str(one)) for one in range(MAX_BLOCK + 5)]
    await register(index, *village)
    key = identifier_key(village[0].features.identifiers[0])
    async with database.reading() as reader:
        loaded = await load(reader, scope_of([sent(number=dummy, organization=CLINIC)]), MAX_BLOCK)
    assert key in loaded.cut
    assert not loaded.held


async def test_eight_at_once_wait_for_each_other_and_none_finds_the_feed_out_of_order(index: Index):
    same = [sent(number=a_number(1), organization=f"9910{one}") for one in range(8)]
    placed = await asyncio.gather(*(register(index, one) for one in same))
    assert len({one.person_id for (one,) in placed}) == 1


async def test_the_hot_statements_go_by_index(index: Index, database: Database):
    await register(index, *people(1500))
    known = people(3)
    keys = [key for one in known for key in one.keys]
    asked = {
        FIND_BLOCKS: {"kinds": [kind for kind, _ in keys], "keys": [key for _, key in keys], "most": MAX_BLOCK},
        FIND_REGISTRATIONS: {"registration_ids": [one.registration_id for one in known], "person_ids": []},
    }
    async with database.pool.acquire() as connection:
        await connection.execute("ANALYZE")
        for statement, parameters in asked.items():
            rows = await connection.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(parameters))
            plan = "\n".join(row[0] for row in rows)
            assert "Index" in plan
            assert "Seq Scan" not in plan, plan


async def test_common_names_are_counted_and_taken_over(index: Index, database: Database):
    await register(index, *(sent(given="สมชาย", family=f"{'กขคง'[one]}ีสุข", local_number=str(one)) for one in range(4)))
    shares = NameShares(database)
    await shares.count(least_rows=1000)
    assert not shares()
    await shares.count(least_rows=0, least_bearers=2)
    assert shares() == {"given_name|สมชาย": 1.0}


async def test_the_migrations_make_the_tables_that_the_code_describes(database_url):
    engine = create_async_engine(database_url("patient_index").replace("postgresql://", "postgresql+asyncpg://", 1))

    def differences(connection) -> list[object]:
        def is_ours(name: str, kind: str, _: object) -> bool:
            return kind != "table" or name in metadata.tables

        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        return compare_metadata(context, metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
