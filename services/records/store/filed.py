"""What is filed under registrations, without what it says."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.visibility import View, parameters, view_of, visible

COUNT = Statement(
    "filed.count",
    text(
        """
        SELECT count(*) FROM resources
        WHERE filed_under = ANY (CAST(:registration_ids AS text[])) AND type = :type AND body <> ''
        """
    ),
)


@cache
def _listing(view: View) -> Statement:
    return Statement(
        f"filed.list.{view.value}",
        text(
            f"""
            SELECT id, filed_under FROM resources AS row
            WHERE filed_under = ANY (CAST(:registration_ids AS text[])) AND type = :type AND body <> ''
              AND {visible("row", view)}
            ORDER BY filed_under, occurred_from, id
            LIMIT CAST(:most AS integer)
            """
        ),
    )


async def count_filed(reader: Reader, registration_ids: Sequence[str], resource_type: str) -> int:
    """How many resources of a type are filed under registrations and not deleted, whoever filed them."""
    return int(await reader.fetch_value(COUNT, registration_ids=list(registration_ids), type=resource_type))


async def list_filed(
    reader: Reader, caller: Caller, seen_at: datetime, registration_ids: Sequence[str], resource_type: str, most: int
) -> list[tuple[str, str]]:
    """(id, registration) of those that the caller may see, at most so many."""
    rows = await reader.fetch(
        _listing(view_of(caller)),
        registration_ids=list(registration_ids),
        type=resource_type,
        most=most,
        **parameters(caller, seen_at),
    )
    return [(row["id"], row["filed_under"]) for row in rows]
