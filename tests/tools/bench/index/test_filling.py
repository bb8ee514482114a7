"""What the benchmark of the index fills in is what registering would have written."""

from collections import defaultdict

import asyncpg
from nhip.patient_index.v1 import service_pb2

from tests.services.patient_index.calling import an_index
from tools.bench.index import blocking, filling
from tools.thaibench import Ids, Plan, write
from tools.thaibench.registering import registration_of

KEYS = "SELECT key, kind, registration_id FROM registration_keys ORDER BY 1, 2, 3"


async def test_registering_what_was_filled_in_changes_nothing(database_url, tmp_path):
    write(Plan(600, 31, Ids.WITH), tmp_path)
    async with an_index(database_url) as index:
        secret = index.running.process.ground.settings.secret("citizen_key")
        url = index.running.process.ground.settings.database_url
        filled = await filling.fill(url, tmp_path, secret, jobs=1)
        assert 590 <= filled <= 594
        by_facility = defaultdict(list)
        rows = [row for place, (row, _) in enumerate(filling.lines(tmp_path)) if place % filling.HOLD_OUT]
        for row in rows:
            by_facility[row["facility"]].append(registration_of(row))
        connection = await asyncpg.connect(url)
        before = await connection.fetch(KEYS)
        outcomes = []
        for facility, registrations in list(by_facility.items())[:20]:
            request = service_pb2.BatchRegisterRequest(registrations=registrations)
            answer = await index.stub.BatchRegister(request, **index.hospital(facility))
            outcomes += [one.outcome for one in answer.results if not one.error_reason]
        after = await connection.fetch(KEYS)
        await connection.close()
    assert len(outcomes) >= 20
    assert set(outcomes) == {service_pb2.REGISTRATION_OUTCOME_UNCHANGED}
    assert len(before) > 2_000
    assert after == before


def test_pairs_that_share_no_block_are_counted_by_their_cause(tmp_path):
    write(Plan(5_000, 32, Ids.WITHOUT), tmp_path)
    pairs, lost, reasons = blocking.missed(tmp_path)
    assert 3_000 < pairs < 6_000
    assert 0 < lost < pairs * 0.05
    assert reasons.total() == lost
    assert reasons["foreign name spelt as heard"] > 0
