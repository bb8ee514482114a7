"""What followers hold, against what their sources say.

Both sides are summed by hashes in the databases, in 256 heaps by the hash of the key; the rows of a heap are fetched only
where its sums differ. So millions of rows that agree cost one pass on either side, and what differs is named.
"""

from dataclasses import dataclass
from typing import Any

from tools.verification.feeds import pending_keys
from tools.verification.findings import Databases, Finding

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Projection:
    """Two queries of (key, content), both text, that must answer the same rows."""

    what: str
    follower: str
    held: str
    source: str
    feed: str
    told: str
    # What a change of the feed has before the key, such as the type of a resource.
    key_prefix: str = ""
    # Whether the follower keeps only some of what is told, so that only its own rows are compared.
    is_partial: bool = False


_PLACED = "SELECT registration_id::text AS key, concat_ws('/', person_id, citizen_key, version) AS content FROM {table}"
_PLACED_SHORT = "SELECT registration_id::text AS key, concat_ws('/', person_id, version) AS content FROM {table}"
_CONSENTS = (
    "SELECT consent_id::text AS key,"
    " concat_ws('/', citizen_key, organization_id, category, decision, version) AS content FROM consents"
)


def _placements(follower: str, table: str, query: str = _PLACED) -> Projection:
    return Projection(
        f"{follower}: whom registrations stand for",
        follower,
        query.format(table=table),
        "patient_index",
        "patient_index",
        query.format(table="registrations"),
    )


PROJECTIONS = (
    _placements("records", "registrations"),
    _placements("claims", "placements"),
    _placements("surveillance", "placements", _PLACED_SHORT),
    _placements("audit", "placements"),
    *(
        Projection(f"{follower}: what citizens decided", follower, _CONSENTS, "identity", "identity", _CONSENTS)
        for follower in ("records", "patient_index")
    ),
    Projection(
        "claims: visits",
        "claims",
        "SELECT encounter_id AS key, version::text AS content FROM visits",
        "records",
        "records",
        "SELECT id AS key, version::text AS content FROM resources WHERE type = 'Encounter'",
        key_prefix="Encounter/",
    ),
    Projection(
        "surveillance: diagnoses of cases",
        "surveillance",
        "SELECT DISTINCT diagnosis_id AS key, '' AS content FROM cases",
        "records",
        "records",
        "SELECT id AS key, '' AS content FROM resources WHERE type = 'Condition'",
        key_prefix="Condition/",
        is_partial=True,
    ),
)

_SUMS = """
SELECT hashtext(key) & 255 AS heap, count(*) AS rows, sum(hashtextextended(key || '=' || content, 0)::numeric) AS total
FROM ({query}) AS stated GROUP BY 1
"""
_HEAPS = "SELECT key, content FROM ({query}) AS stated WHERE (hashtext(key) & 255) = ANY($1::int[])"


async def check(databases: Databases) -> list[Finding]:
    """For each projection: it says what its source says, but for what it has still to be told."""
    return [await _check(databases, projection) for projection in PROJECTIONS]


async def _check(databases: Databases, projection: Projection) -> Finding:
    held = await _sums(databases[projection.follower], projection.held)
    told = await _sums(databases[projection.source], projection.told)
    rows = sum(count for count, _ in held.values())
    heaps = sorted(heap for heap in {*held, *told} if held.get(heap) != told.get(heap))
    differing: list[str] = []
    if heaps:
        here = await _rows(databases[projection.follower], projection.held, heaps)
        there = await _rows(databases[projection.source], projection.told, heaps)
        keys = here.keys() if projection.is_partial else here.keys() | there.keys()
        differing = sorted(key for key in keys if here.get(key) != there.get(key))
    if differing:
        pending = await pending_keys(databases, projection.follower, projection.source, projection.feed)
        differing = [key for key in differing if projection.key_prefix + key not in pending]
    if not differing:
        return Finding(projection.what, f"{rows} as {projection.source} says")
    named = ", ".join(differing[:_NAMED]) + (", …" if len(differing) > _NAMED else "")
    return Finding(projection.what, f"{len(differing)} not as {projection.source} says: {named}", is_fault=True)


async def _sums(database: Any, query: str) -> dict[int, tuple[int, Any]]:
    rows = await database.fetch(_SUMS.format(query=query))
    return {row["heap"]: (row["rows"], row["total"]) for row in rows}


async def _rows(database: Any, query: str, heaps: list[int]) -> dict[str, str]:
    return {row["key"]: row["content"] for row in await database.fetch(_HEAPS.format(query=query), heaps)}
