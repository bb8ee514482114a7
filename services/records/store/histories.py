"""The versions of a resource, or of a type, newest first."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.model import Stored
from services.records.store.resources import COLUMNS, VERSIONS, by_view, columns, stored_of
from services.records.visibility import parameters, view_of

_OF_ID = VERSIONS.format(and_current="AND current.id = CAST(:id AS text)", and_past="AND past.id = CAST(:id AS text)")

# `total` counts what was asked for, `known` all versions that the caller may see: with none, there is no such resource.
OF_ONE = by_view(
    "histories.of_one",
    f"""
    WITH seen AS MATERIALIZED (
        SELECT {columns("r")}
        FROM ({_OF_ID}) AS r
        WHERE {{r}}
    ), asked AS (
        SELECT * FROM seen WHERE recorded_at >= CAST(:since AS timestamptz)
    )
    SELECT (SELECT count(*) FROM seen) AS known, (SELECT count(*) FROM asked) AS total, page.*
    FROM (VALUES (1)) AS always
    LEFT JOIN LATERAL (
        SELECT * FROM asked WHERE version < CAST(:before AS bigint) ORDER BY version DESC LIMIT CAST(:count AS bigint)
    ) AS page ON true
    ORDER BY page.version DESC
    """,
    "r",
)

OF_TYPE = by_view(
    "histories.of_type",
    f"""
    SELECT {columns("r")}
    FROM ({VERSIONS.format(and_current="", and_past="")}) AS r
    WHERE r.recorded_at >= CAST(:since AS timestamptz) AND {{r}}
      AND (r.recorded_at, r.id, r.version)
          < (CAST(:before AS timestamptz), CAST(:before_id AS text), CAST(:before_version AS bigint))
    ORDER BY r.recorded_at DESC, r.id DESC, r.version DESC
    LIMIT CAST(:count AS bigint)
    """,
    "r",
)

# The present state of everything, for followers that rebuild; of bodies only those that an event is made of.
STATE = Statement(
    "histories.state",
    text(
        f"""
        SELECT {COLUMNS.replace("body", "CASE WHEN type IN ('Encounter', 'Condition') THEN body ELSE '' END AS body")}
        FROM resources
        WHERE (type, id) > (CAST(:type AS text), CAST(:id AS text))
        ORDER BY type, id
        LIMIT CAST(:count AS bigint)
        """
    ),
)
_STATE_PAGE = 2000
_LAST_VERSION = 2**62


@dataclass(frozen=True, slots=True)
class Asked:
    """Which versions are asked for."""

    type: str
    # Empty for the whole type.
    id: str
    since: datetime | None
    count: int
    # Where the page before ended, as it was in `History.last`.
    after: Any


@dataclass(frozen=True, slots=True)
class History:
    """A page of versions."""

    versions: list[Stored]
    total: int
    # True if there is a version that the caller may see.
    exists: bool
    # Where the next page begins, as JSON; None at the end.
    last: Any


async def history(reader: Reader, caller: Caller, seen_at: datetime, asked: Asked) -> History:
    """One page, by one statement."""
    seen = parameters(caller, seen_at)
    since = asked.since or datetime(1, 1, 2, tzinfo=seen_at.tzinfo)
    if asked.id:
        before = asked.after if asked.after is not None else _LAST_VERSION
        rows = await reader.fetch(
            OF_ONE[view_of(caller)],
            type=asked.type, id=asked.id, since=since, before=before, count=asked.count + 1, **seen,
        )  # fmt: skip
        versions = [stored_of(row) for row in rows if row["id"] is not None]
        last = versions[asked.count - 1].version if len(versions) > asked.count else None
        return History(versions[: asked.count], rows[0]["total"], rows[0]["known"] > 0, last)
    moment, resource_id, version = asked.after or ("9999-12-30T00:00:00+00:00", "", 0)
    rows = await reader.fetch(
        OF_TYPE[view_of(caller)],
        type=asked.type, since=since, before=datetime.fromisoformat(moment), before_id=resource_id,
        before_version=version, count=asked.count + 1, **seen,
    )  # fmt: skip
    versions = [stored_of(row) for row in rows]
    place = None
    if len(versions) > asked.count:
        final = versions[asked.count - 1]
        place = [final.recorded_at.isoformat(), final.id, final.version]
    return History(versions[: asked.count], 0, exists=True, last=place)


async def state(reader: Reader) -> AsyncIterator[Stored]:
    """Every resource as it is, deleted ones too, in the order of type and id."""
    place = ("", "")
    while True:
        rows = await reader.fetch(STATE, type=place[0], id=place[1], count=_STATE_PAGE)
        for row in rows:
            yield stored_of(row)
        if len(rows) < _STATE_PAGE:
            return
        place = (rows[-1]["type"], rows[-1]["id"])
