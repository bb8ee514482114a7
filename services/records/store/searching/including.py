"""What comes along with matches, and the matches of many small conditions at once."""

from collections.abc import Sequence
from datetime import datetime

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.fhir.references import LocalReference
from services.records.model import Operation, Stored
from services.records.store.resources import by_view, columns, stored_of
from services.records.visibility import parameters, view_of

# What `_include` and `_revinclude` may add to a page, and each step of them.
MAX_INCLUDED = 1000

INCLUDED = by_view(
    "resources.included",
    f"""
    SELECT {columns("r")}
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    JOIN resources AS r ON r.type = wanted.type AND r.id = wanted.id
    WHERE r.operation <> {Operation.DELETE.value} AND {{r}}
    ORDER BY r.type, r.id
    LIMIT {MAX_INCLUDED}
    """,
    "r",
)

REFERRING = by_view(
    "resources.referring",
    f"""
    SELECT {columns("r")}
    FROM resources AS r
    WHERE r.tokens && CAST(:hashes AS bigint[]) AND (r.type || '') = ANY(CAST(:types AS text[]))
      AND r.operation <> {Operation.DELETE.value} AND {{r}}
    ORDER BY r.type, r.id
    LIMIT {MAX_INCLUDED}
    """,
    "r",
)

# For conditions that name one token each, as those of transactions mostly do: all of them at once. Two rows tell "several".
BY_TOKENS = by_view(
    "resources.by_tokens",
    f"""
    SELECT wanted.ordinal, found.id
    FROM unnest(CAST(:types AS text[]), CAST(:hashes AS bigint[])) WITH ORDINALITY AS wanted (type, hash, ordinal)
    CROSS JOIN LATERAL (
        SELECT r.id FROM resources AS r
        WHERE r.tokens @> ARRAY[wanted.hash] AND (r.type || '') = wanted.type
          AND r.operation <> {Operation.DELETE.value} AND {{r}}
        LIMIT 2
    ) AS found
    """,
    "r",
)


async def included(reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[LocalReference]) -> list[Stored]:
    """Those of the resources that the caller may see."""
    rows = await reader.fetch(
        INCLUDED[view_of(caller)],
        types=[one.type for one in wanted],
        ids=[one.id for one in wanted],
        **parameters(caller, seen_at),
    )
    return [stored_of(row) for row in rows]


async def referring(
    reader: Reader, caller: Caller, seen_at: datetime, types: Sequence[str], hashes: Sequence[int]
) -> list[Stored]:
    """Resources of the types with one of the reference tokens, that the caller may see."""
    rows = await reader.fetch(REFERRING[view_of(caller)], types=types, hashes=hashes, **parameters(caller, seen_at))
    return [stored_of(row) for row in rows]


async def by_tokens(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[tuple[str, int]]
) -> list[list[str]]:
    """For each (type, token) the ids that match, two at most."""
    found: list[list[str]] = [[] for _ in wanted]
    rows = await reader.fetch(
        BY_TOKENS[view_of(caller)],
        types=[one[0] for one in wanted],
        hashes=[one[1] for one in wanted],
        **parameters(caller, seen_at),
    )
    for row in rows:
        found[row["ordinal"] - 1].append(row["id"])
    return found
