"""The log on the real PostgreSQL, with its statements counted."""

import asyncio

import pytest
from nhip.patient_index.v1.events_pb2 import PatientIndexEvent

from libs.database.statements import counted_statements
from services.audit import store
from services.audit.followers import append_accesses, place_registrations
from services.audit.proofs import span_hashes
from services.audit.rules import merkle
from services.audit.rules.commitments import commitment
from tests.services.audit.accesses import START, a_database, a_placement, an_access, changes, place, record


async def rows(database, sql, *arguments):
    async with database.reading() as reader:
        return await reader._connection.fetch(sql, *arguments)


async def assert_whole(database):
    """Indexes without gap, every commitment recomputed, every node what the leaves make of it."""
    held = await rows(database, "SELECT * FROM entries ORDER BY leaf_index")
    assert [row["leaf_index"] for row in held] == list(range(len(held)))
    assert [row["commitment"] for row in held] == [commitment(row["salt"], row["content"]) for row in held]
    made = merkle.grown(0, [], [merkle.leaf_hash(row["commitment"]) for row in held])
    nodes = await rows(database, "SELECT level, node_index, hash FROM tree_nodes")
    assert {(row["level"], row["node_index"]): row["hash"] for row in nodes} == {
        tuple(node.place): node.hash for node in made
    }
    return [row["event_id"] for row in held]


async def test_a_batch_of_any_size_costs_two_statements_and_the_lock(database_url):
    async with a_database(database_url("audit")) as database:
        for size in (1, 300):
            events = [an_access(person_ids=[f"p{number}"]) for number in range(size)]
            with counted_statements() as names:
                await record(database, *events)
            assert names == ["feed.lock_keys", "entries.look", "entries.append"]
        assert len(await assert_whole(database)) == 301


async def test_an_event_stands_in_the_log_once_however_often_it_is_delivered(database_url):
    async with a_database(database_url("audit")) as database:
        events = [an_access() for _ in range(7)]
        await record(database, *events[:4], *events[:2])
        await record(database, *events[2:])
        await record(database, *events)
        assert await assert_whole(database) == [event.event_id for event in events]


async def test_concurrent_appends_leave_no_gap(database_url):
    async with a_database(database_url("audit")) as database:
        batches = [[an_access() for _ in range(size)] for size in (1, 17, 3, 64, 2, 9, 31, 5)]
        await asyncio.gather(*(record(database, *batch) for batch in batches))
        logged = await assert_whole(database)
        assert sorted(logged) == sorted(event.event_id for batch in batches for event in batch)


async def test_a_batch_that_fails_after_appending_leaves_nothing(database_url):
    async with a_database(database_url("audit")) as database:
        await record(database, an_access(), an_access())
        events = [an_access() for _ in range(5)]
        with pytest.raises(RuntimeError, match="killed"):
            async with database.writing() as writer:
                await append_accesses(writer, changes(*events))
                raise RuntimeError("killed")
        await record(database, *events)
        assert len(await assert_whole(database)) == 7


async def test_proofs_take_one_statement_for_all_their_nodes(database_url):
    async with a_database(database_url("audit")) as database:
        await record(database, *(an_access() for _ in range(45)))
        async with database.reading() as reader:
            spans = [(0, 45), *merkle.inclusion_spans(17, 45)]
            with counted_statements() as names:
                root, *path = await span_hashes(reader, spans)
            assert names == ["tree.nodes"]
            heads = await store.heads(reader, 17)
        assert merkle.verify_inclusion(merkle.leaf_hash(heads.commitment), 17, 45, path, root)


async def test_a_history_is_read_in_one_statement_newest_first(database_url):
    async with a_database(database_url("audit")) as database:
        await record(
            database,
            *(an_access(person_ids=["p1"], registration_ids=["r1"], minutes=number) for number in range(4)),
            *(an_access(person_ids=["p2"]) for _ in range(3)),
            an_access(registration_ids=["r1"], minutes=9),
        )
        subjects = {"person/p1", "registration/r1"}
        async with database.reading() as reader:
            with counted_statements() as names:
                page = await store.list_entries(reader, subjects, store.NO_LIMIT, START, 3)
            assert names == ["entries.list"]
            assert [entry.leaf_index for entry in page] == [7, 3, 2]
            page = await store.list_entries(reader, subjects, 2, START, 3)
            assert [entry.leaf_index for entry in page] == [1, 0]
            since = START.replace(minute=2)
            page = await store.list_entries(reader, subjects, store.NO_LIMIT, since, 9)
            assert [entry.leaf_index for entry in page] == [7, 3, 2]


async def test_a_page_of_a_long_history_is_read_from_the_index(database_url):
    async with a_database(database_url("audit")) as database:
        for _ in range(4):
            await record(database, *(an_access(person_ids=[f"p{number % 50}"]) for number in range(500)))
        await rows(database, "ANALYZE entry_subjects")
        arguments = store.LIST.arguments(
            {"subjects": ["person/p1"], "before": store.NO_LIMIT, "since": START, "page_size": 10}
        )
        plan = await rows(database, "EXPLAIN " + store.LIST.sql, *arguments)
        told = "\n".join(row[0] for row in plan)
        assert "using entry_subjects_pkey" in told
        assert "Seq Scan on entry_subjects" not in told


async def test_only_a_newer_placement_replaces_whatever_the_order_of_delivery(database_url):
    async with a_database(database_url("audit")) as database:
        await place(database, a_placement("r1", "p1", "k", version=2), a_placement("r2", "p2", version=1))
        with counted_statements() as names:
            await place(
                database,
                a_placement("r1", "p9", version=1),
                a_placement("r2", "p1", version=3),
                a_placement("r2", "p8", version=2),
            )
        assert names == ["placements.place"]
        async with database.reading() as reader:
            placed = await store.placed_of_citizen(reader, "k")
            assert {(one.registration_id, one.person_id) for one in placed} == {("r1", "p1"), ("r2", "p1")}
            assert await store.placed_of_citizen(reader, "") == []


async def test_an_event_of_another_kind_places_nothing(database_url):
    async with a_database(database_url("audit")) as database, database.writing() as writer:
        with counted_statements() as names:
            await place_registrations(writer, changes(PatientIndexEvent()))
        assert names == []
