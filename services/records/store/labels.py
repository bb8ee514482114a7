"""The profiles, tags and security labels in use."""

from collections.abc import Sequence
from datetime import datetime

from libs.access.caller import Caller
from libs.database.transactions import Reader
from services.records.model import Operation
from services.records.store.resources import by_view
from services.records.visibility import parameters, view_of

MAX_LABELS = 1000
# Of each type: whoever asks must not make the whole store be read.
NEWEST = 20_000

# Most resources carry none: those are told by their bytes, before any is parsed.
IN_USE = by_view(
    "labels.in_use",
    f"""
    WITH labelled AS MATERIALIZED (
        SELECT CAST(convert_from(newest.body, 'UTF8') AS jsonb) -> 'meta' AS meta
        FROM unnest(CAST(:types AS text[])) AS wanted (type)
        CROSS JOIN LATERAL (
            SELECT r.body FROM resources AS r
            WHERE r.type = wanted.type AND r.operation <> {Operation.DELETE.value} AND {{r}}
            ORDER BY r.recorded_at DESC
            LIMIT {NEWEST}
        ) AS newest
        WHERE position(CAST('"profile":[' AS bytea) IN newest.body) > 0
           OR position(CAST('"tag":[' AS bytea) IN newest.body) > 0
           OR position(CAST('"security":[' AS bytea) IN newest.body) > 0
    )
    SELECT DISTINCT found.kind, found.value
    FROM labelled
    CROSS JOIN LATERAL (
        SELECT 'profile' AS kind, one #>> '{{{{}}}}' AS value
        FROM jsonb_array_elements(labelled.meta -> 'profile') AS one
        UNION ALL
        SELECT 'tag', CAST(jsonb_strip_nulls(jsonb_build_object(
            'system', one -> 'system', 'code', one -> 'code', 'display', one -> 'display')) AS text)
        FROM jsonb_array_elements(labelled.meta -> 'tag') AS one
        UNION ALL
        SELECT 'security', CAST(jsonb_strip_nulls(jsonb_build_object(
            'system', one -> 'system', 'code', one -> 'code', 'display', one -> 'display')) AS text)
        FROM jsonb_array_elements(labelled.meta -> 'security') AS one
    ) AS found
    ORDER BY found.kind, found.value
    LIMIT {MAX_LABELS}
    """,
    "r",
)


async def in_use(reader: Reader, caller: Caller, seen_at: datetime, types: Sequence[str]) -> list[tuple[str, str]]:
    """(profile, URL), (tag or security, coding as JSON), each once."""
    rows = await reader.fetch(IN_USE[view_of(caller)], types=types, **parameters(caller, seen_at))
    return [(row["kind"], row["value"]) for row in rows]
