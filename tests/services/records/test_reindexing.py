"""What an earlier release indexed is found again, and until then nobody is told that it is not there."""

import json

import pytest

from services.records import reindexing
from services.records.reindexing import index_waiting
from tests.services.records.stage import Refused, Stage, a_condition, an_observation

# As the release before leaves a row: under tokens that nobody asks for any more.
AGED = "UPDATE resources SET index_generation = 0, tokens = '{1,2,3}', occurred_from = recorded_at, occurred_to = recorded_at"


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """What is done in the background is done by the test, when it says so."""
    monkeypatch.setattr(reindexing, "PAUSE_SECONDS", 3600.0)


async def test_what_was_indexed_by_earlier_rules_is_refused_until_it_is_indexed_anew(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    gone = await stage.create(a_condition("reg-1", "E11", onsetDateTime="2020-01-01"))
    pool = stage.running.database.pool
    for table in ("search_dates", "search_numbers", "search_orders", "search_texts"):
        await pool.execute(f"TRUNCATE {table}")
    await pool.execute(AGED)
    queries = {
        "Observation?code=718-7": made, "Observation?value-quantity=13.2": made, "Observation?date=2024-05-01": made,
        "Condition?onset-date=2020": gone, "Observation?patient.name=ใจดี": made,
    }  # fmt: skip
    for query in queries:
        with pytest.raises(Refused) as refused:
            await stage.search(query)
        assert refused.value.reason == "INDEX_BUILDING"
    with pytest.raises(Refused) as refused:
        await stage.create(an_observation("reg-1"), if_none_exist="code=718-7")
    assert refused.value.reason == "INDEX_BUILDING"
    # Reads and writes go on meanwhile.
    assert (await stage.read(f"Observation/{made.id}"))["id"] == made.id
    await stage.update({**json.loads(made.body), "status": "amended"})
    assert await index_waiting(stage.running.database) == 2
    for query, expected in queries.items():
        assert await stage.found(query) == [f"{expected.type}/{expected.id}"]
    assert await index_waiting(stage.running.database) == 0


async def test_what_an_older_release_still_writes_is_taken_up(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(an_observation("reg-1"))
    assert len(await stage.found("Observation?code=718-7")) == 1
    await stage.running.database.pool.execute(f"{AGED} WHERE type = 'Observation'")
    # Known to be indexed: found again as soon as the background came by.
    assert await stage.found("Observation?code=718-7") == []
    await index_waiting(stage.running.database)
    assert await stage.found("Observation?code=718-7") == [f"Observation/{made.id}"]
