"""What was indexed under earlier rules is indexed anew, while the service serves."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from libs.errors import UnavailableError
from services.records.model import IndexEntries, Operation
from services.records.rules.index_entries import GENERATION
from services.records.store.index_rows import DATES, NEW_ORDERS, NOTHING, NUMBERS, TEXTS, array_text, index_arrays

# The partial index on what is behind answers, and holds nothing once all is done.
_BEHIND = Statement(
    "reindexing.behind",
    text(
        f"""
        SELECT DISTINCT type FROM resources
        WHERE type = ANY(CAST(:types AS text[])) AND index_generation < {GENERATION}
        """
    ),
)
_NEXT = Statement(
    "reindexing.next",
    text(
        f"""
        SELECT type, id, filed_under, version, operation, organization_id, body FROM resources
        WHERE index_generation < {GENERATION} ORDER BY type, id LIMIT CAST(:count AS bigint)
        """
    ),
)
# A version that was superseded meanwhile was indexed by who superseded it.
_INDEX = Statement(
    "reindexing.index",
    text(
        f"""
        WITH filed AS MATERIALIZED (
            SELECT one.* FROM unnest(
                CAST(:types AS text[]), CAST(:ids AS text[]), CAST(:filed_unders AS text[]), CAST(:versions AS bigint[]),
                CAST(:occurred_froms AS timestamptz[]), CAST(:occurred_tos AS timestamptz[]), CAST(:tokens AS text[])
            ) WITH ORDINALITY AS one (
                type, id, filed_under, version, occurred_from, occurred_to, tokens, ordinal
            )
            JOIN resources AS r ON r.type = one.type AND r.id = one.id AND r.filed_under = one.filed_under
            WHERE r.version = one.version AND r.index_generation < {GENERATION}
        ),
        lost_dates AS (
            DELETE FROM search_dates AS d USING filed
            WHERE d.filed_under = filed.filed_under AND d.type = filed.type AND d.id = filed.id
        ),
        found_texts AS ({TEXTS}),
        found_dates AS ({DATES}),
        found_numbers AS ({NUMBERS}),
        found_orders AS ({NEW_ORDERS})
        UPDATE resources AS r
        SET occurred_from = filed.occurred_from, occurred_to = filed.occurred_to,
            tokens = CAST(filed.tokens AS bigint[]), index_generation = {GENERATION}
        FROM filed
        WHERE r.type = filed.type AND r.id = filed.id AND r.filed_under = filed.filed_under
          AND r.version = filed.version
        """
    ),
)


async def require_indexed(reader: Reader, types: Sequence[str], indexed: set[str]) -> None:
    """Raises UnavailableError, reason INDEX_BUILDING, while resources of one of the types wait to be indexed anew.

    `indexed` keeps the types that were found to be indexed: what an older release still writes is taken up soon after.
    """
    unknown = [one for one in types if one not in indexed]
    if not unknown:
        return
    behind = {row["type"] for row in await reader.fetch(_BEHIND, types=unknown)}
    indexed.update(one for one in unknown if one not in behind)
    if behind:
        named = ", ".join(sorted(behind)[:3])
        raise UnavailableError("INDEX_BUILDING", f"the search index of {named} is being built; ask again in a minute")


async def waiting(reader: Reader, count: int) -> list[Any]:
    """The next rows that are behind, in the order of type and id."""
    return await reader.fetch(_NEXT, count=count)


async def index(writer: Writer, rows: Sequence[Any], entries: Sequence[IndexEntries]) -> int:
    """Replaces the entries of the rows, those that are still as they were read; how many they were."""
    arrays: dict[str, Any] = {
        "types": [row["type"] for row in rows],
        "ids": [row["id"] for row in rows],
        "filed_unders": [row["filed_under"] for row in rows],
        "versions": [row["version"] for row in rows],
        "occurred_froms": [one.occurred_from for one in entries],
        "occurred_tos": [one.occurred_to for one in entries],
        "tokens": [array_text(one.tokens) for one in entries],
    }
    found = index_arrays(entries)
    for kind, nothing in NOTHING.items():
        arrays.update(found.get(kind) or nothing)
    return await writer.execute(_INDEX, **arrays)


def is_deletion(row: Any) -> bool:
    """True for a resource that is gone: it is found by nothing."""
    return bool(row["operation"] == Operation.DELETE.value)
