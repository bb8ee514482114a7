"""How many statements each use-case costs, and which: round trips are what a busy service is made of."""

import json

import pytest
from nhip.records.v1 import service_pb2

from libs.database.statements import Statement
from services.records.tables import metadata
from tests.services.records.stage import B, Stage, an_encounter, an_observation, an_order, treating

# What the ground does beside the calls.
_GROUND = (
    "feed.lease",
    "feed.ensure",
    "feed.read",
    "feed.pending",
    "feed.advance",
    "keys.",
    "requests.",
    "subscriptions.behind",
)


@pytest.fixture
def ran(monkeypatch):
    """The names of the statements run by the service, in order. The server's tasks are not the test's own context."""
    names: list[str] = []
    original = Statement.arguments

    def noting(self, parameters):
        if not self.name.startswith(_GROUND):
            names.append(self.name)
        return original(self, parameters)

    monkeypatch.setattr(Statement, "arguments", noting)
    return names


async def test_a_read_is_one_statement_and_its_record(stage: Stage, ran):
    await stage.arrive("reg-1")
    ran.clear()
    await stage.read("Patient/reg-1")
    assert ran == ["resources.read.own", "feed.append"]


async def test_a_creation_is_three_statements(stage: Stage, ran):
    await stage.arrive("reg-1")
    ran.clear()
    await stage.create(an_observation("reg-1"))
    assert ran == ["resources.targets.own", "resources.insert", "feed.append"]


async def test_an_order_reads_the_allergies_once_more(stage: Stage, ran):
    await stage.arrive("reg-1")
    ran.clear()
    await stage.create(an_order("reg-1", "Paracetamol 500 mg"))
    assert ran == ["resources.targets.own", "allergies.on_record.own", "resources.insert", "feed.append"]


async def test_an_update_locks_looks_and_writes_once(stage: Stage, ran):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    ran.clear()
    await stage.update({**json.loads(made.body), "status": "amended"})
    assert ran == [
        "feed.lock_keys", "resources.currents.own", "resources.targets.own", "resources.update", "feed.append",
    ]  # fmt: skip


async def test_a_search_with_its_total_is_one_statement(stage: Stage, ran):
    await stage.arrive("reg-1")
    await stage.create(an_observation("reg-1"))
    # Whether the index is of today's rules is asked once.
    await stage.search("Observation?patient=reg-1")
    ran.clear()
    await stage.search("Observation?patient=reg-1&_total=accurate", treating(stage, B))
    assert ran == ["resources.search", "feed.append"]


async def test_an_import_costs_the_same_statements_however_many_come(stage: Stage, ran):
    await stage.arrive("reg-1")
    for count in (1, 40):
        ran.clear()
        resources = [
            service_pb2.ImportResource(
                type="Observation",
                id=f"o-{count}-{n}",
                body=json.dumps({**an_observation("reg-1"), "id": f"o-{count}-{n}"}).encode(),
            )
            for n in range(count)
        ]
        await stage.call("ImportResources", service_pb2.ImportResourcesRequest(resources=resources))
        assert ran == [
            "feed.lock_keys", "resources.currents.own", "resources.targets.own", "resources.insert", "feed.append",
        ]  # fmt: skip


async def test_a_transaction_of_twenty_costs_no_more_than_one_of_two(stage: Stage, ran):
    await stage.arrive("reg-1")
    costs = []
    for count in (1, 19):
        entries = [
            service_pb2.TransactionEntry(
                full_url="urn:uuid:5f0c3c1e-0000-4000-8000-000000000001", method="POST", url="Encounter",
                body=json.dumps(an_encounter("reg-1")).encode(),
            )
        ]  # fmt: skip
        body = {**an_observation("reg-1"), "encounter": {"reference": "urn:uuid:5f0c3c1e-0000-4000-8000-000000000001"}}
        entries += [
            service_pb2.TransactionEntry(method="POST", url="Observation", body=json.dumps(body).encode())
            for _ in range(count)
        ]
        ran.clear()
        await stage.call("ExecuteTransaction", service_pb2.ExecuteTransactionRequest(entries=entries))
        costs.append(list(ran))
    assert costs[0] == costs[1] == ["resources.targets.own", "resources.insert", "feed.append"]


async def test_a_summary_is_two_statements(stage: Stage, ran):
    await stage.arrive("reg-1", person="p-1")
    ran.clear()
    await stage.call("GetSummary", service_pb2.GetSummaryRequest(person_id="p-1"), treating(stage, B))
    assert ran == ["summaries.standing", "summaries.newest.treatment", "feed.append"]


async def test_the_migrated_schema_is_the_one_that_the_tables_describe(stage: Stage):
    sql = "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = $1"
    for table in metadata.sorted_tables:
        rows = await stage.running.database.pool.fetch(sql, table.name)
        found = {row["column_name"]: row["is_nullable"] == "YES" for row in rows}
        assert found == {column.name: column.nullable for column in table.columns}
