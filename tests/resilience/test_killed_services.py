"""Services are killed (-9) in the midst of a journey; it completes, nothing is lost and nothing is there twice."""

import asyncio

import asyncpg
import httpx
import pytest

from tests.support.whole import platform, sample_of, walk

SEED, PEOPLE = 12, 60
# Before so many requests of the journey to the edge, this service dies.
KILLS = {
    2: "identity",
    4: "exchange",
    6: "records",
    8: "patient_index",
    10: "exchange",
    14: "edge",
    40: "records",
    44: "patient_index",
    47: "edge",
    50: "records",
    53: "claims",
    56: "claims",
    60: "surveillance",
    64: "identity",
    68: "audit",
    72: "records",
    80: "patient_index",
}
# What must be the same with and without the kills: the content, not the moments and the ids that chance gave.
FINGERPRINTS = {
    "records": [
        "SELECT type, count(*) FROM resources GROUP BY type ORDER BY type",
        "SELECT count(*) FROM (SELECT type, id FROM resources GROUP BY type, id HAVING count(*) > 1) AS twice",
    ],
    "exchange": [
        "SELECT state FROM imports",
        "SELECT file, rows, created, updated, unchanged, rejected, skipped FROM import_files ORDER BY file",
        "SELECT file, line, reason FROM rejected_rows ORDER BY file, line",
    ],
    "patient_index": [
        "SELECT count(*), count(DISTINCT person_id) FROM registrations",
    ],
    "claims": [
        "SELECT status, count(*) FROM claims GROUP BY status ORDER BY status",
        "SELECT account, sum(amount)::bigint, count(*) FROM ledger_entries GROUP BY account ORDER BY account",
    ],
    "surveillance": [
        "SELECT disease_code, count(*) FROM cases GROUP BY disease_code ORDER BY disease_code",
    ],
}


def fingerprint(running) -> dict[str, list[list[tuple]]]:
    async def ask(service: str, queries: list[str]) -> list[list[tuple]]:
        connection = await asyncpg.connect(running.databases.url(service))
        try:
            return [[tuple(row) for row in await connection.fetch(query)] for query in queries]
        finally:
            await connection.close()

    return {service: asyncio.run(ask(service, queries)) for service, queries in FINGERPRINTS.items()}


async def audit_is_sound(url: str) -> bool:
    """The log has no gap, and holds each event once."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow("SELECT count(*), count(DISTINCT event_id), max(leaf_index) FROM entries")
    finally:
        await connection.close()
    return row[0] == row[1] == row[2] + 1


@pytest.mark.xdist_group("whole")
def test_a_journey_in_which_services_are_killed_ends_as_one_in_which_none_is(home_path, monkeypatch):
    report = home_path.parent / "journey.json"
    with platform(home_path / "calm") as running:
        well, printed = walk(running, sample_of(running, seed=SEED, people=PEOPLE), report)
        assert well, printed
        calm = fingerprint(running)

    with platform(home_path / "stormy") as running:
        sample = sample_of(running, seed=SEED, people=PEOPLE)
        asked, killed = 0, []
        ask = httpx.Client.request

        def ask_after_a_kill(client, *arguments, **named):
            nonlocal asked
            asked += 1
            if asked in KILLS:
                # One that is still coming back from an earlier kill is killed when it is there.
                running.wait_healthy(KILLS[asked])
                running.kill(KILLS[asked])
                killed.append(KILLS[asked])
            return ask(client, *arguments, **named)

        monkeypatch.setattr(httpx.Client, "request", ask_after_a_kill)
        well, printed = walk(running, sample, report, patience_seconds=90)
        assert well, printed
        assert len(killed) >= 10
        running.wait_healthy()
        assert fingerprint(running) == calm
        assert asyncio.run(audit_is_sound(running.databases.url("audit")))


def test_the_points_of_the_kills_are_spread_over_all_services():
    assert len(set(KILLS.values())) == 8
    assert len(KILLS) >= 10
