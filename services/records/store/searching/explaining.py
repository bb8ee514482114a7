"""How a search was carried out: the plan, the indexes, the rows that were visited.

The numbers of rows are those of the tables, hidden ones too: this is for those who operate the platform (scope
`audit.read`), and tells nobody else anything.
"""

from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.store.searching.pages import Built


async def explain(reader: Reader, built: Built) -> dict[str, Any]:
    """Runs the statement once more under EXPLAIN: what led, which indexes were used, how many rows were visited."""
    statement = Statement("resources.explain", text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {built.sql}"))
    raw = await reader.fetch_value(statement, **built.values)
    (told,) = orjson.loads(raw)
    nodes = list(_nodes(told["Plan"]))
    scans = [one for one in nodes if "Scan" in one["Node Type"] and one.get("Actual Loops")]
    return {
        "lead": built.lead,
        "indexes": sorted({one["Index Name"] for one in scans if "Index Name" in one}),
        "sequentialScans": sorted({one["Relation Name"] for one in scans if one["Node Type"] == "Seq Scan"}),
        "rowsVisited": round(sum(map(_visited, scans))),
        "milliseconds": told["Execution Time"],
        "plan": told["Plan"],
    }


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _visited(scan: dict[str, Any]) -> float:
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return float((scan["Actual Rows"] + removed) * scan["Actual Loops"])
