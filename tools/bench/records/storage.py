"""What a resource takes up: in tables, in each index, and in the write-ahead log."""

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from tools.measure.results import Result, result

# Each partition counts for its whole; what is kept for a time only, the feed, stands by itself.
_SIZES = """
    SELECT coalesce(pg_partition_root(c.oid), c.oid)::regclass::text AS name, c.relkind IN ('i', 'I') AS is_index,
           sum(pg_relation_size(c.oid) + CASE WHEN c.relkind = 'r' THEN
               coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) ELSE 0 END) AS bytes
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i')
    GROUP BY 1, 2
"""
_KEPT_FOR_A_TIME = ("changes",)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes by table or index, and how much was written to the log so far."""

    by_name: Mapping[str, int]
    indexes: frozenset[str]
    logged: int


async def measure(url: str) -> Sizes:
    """The sizes now, with what waits in GIN's lists where it belongs."""
    connection = await asyncpg.connect(url)
    try:
        logged = int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
        await connection.execute("VACUUM")
        rows = await connection.fetch(_SIZES)
    finally:
        await connection.close()
    return Sizes(
        {row["name"]: int(row["bytes"]) for row in rows},
        frozenset(row["name"] for row in rows if row["is_index"]),
        logged,
    )


def per_resource(
    name: str, before: Sizes, after: Sizes, count: int, conditions: str, floor: float | None
) -> list[Result]:
    """Bytes per resource: all that stays, then each table and index, the feed, and the log."""
    grown = {
        one: (size - before.by_name.get(one, 0)) / count
        for one, size in after.by_name.items()
        if size > before.by_name.get(one, 0)
    }
    staying = {one: size for one, size in grown.items() if not one.startswith(_KEPT_FOR_A_TIME)}
    results = [
        result(f"{name}_bytes", sum(staying.values()), "bytes", conditions, floor=floor),
        result(
            f"{name}_index_bytes",
            sum(size for one, size in staying.items() if one in after.indexes),
            "bytes",
            conditions,
        ),
        result(f"{name}_wal_bytes", (after.logged - before.logged) / count, "bytes", "write-ahead log; the same"),
    ]
    for one, size in sorted(grown.items(), key=lambda item: -item[1]):
        kind = "index" if one in after.indexes else "table"
        note = ", until retention removes it" if one not in staying else ""
        if size >= 1:
            results.append(result(f"{name}_bytes/{one}", size, "bytes", f"{kind}{note}"))
    return results
