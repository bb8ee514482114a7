"""The versions of a resource, of a type, or of everything, newest first."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from libs.fhir.definitions import definitions
from libs.fhir.moments import BEGINNING, END, Span
from services.records.model import Stored
from services.records.store.resources import COLUMNS, VERSIONS, by_view, columns, stored_of
from services.records.visibility import parameters, view_of

_OF_ID = VERSIONS.format(and_current="AND current.id = CAST(:id AS text)", and_past="AND past.id = CAST(:id AS text)")

# True of the alias r when it was current at some time of the span: not replaced before the span began.
_CURRENT_IN_SPAN = """r.recorded_at < CAST(:at_until AS timestamptz) AND NOT EXISTS (
    SELECT 1 FROM {table} AS newer
    WHERE newer.type = r.type AND newer.id = r.id AND newer.filed_under = r.filed_under
      AND newer.version = r.version + 1 AND newer.recorded_at <= CAST(:at_from AS timestamptz)
)"""
_AT = " AND ".join(_CURRENT_IN_SPAN.format(table=table) for table in ("resources", "resource_versions"))

# `total` counts what was asked for, `known` all versions that the caller may see: with none, there is no such resource.
OF_ONE = by_view(
    "histories.of_one",
    f"""
    WITH seen AS MATERIALIZED (
        SELECT {columns("r")}
        FROM ({_OF_ID}) AS r
        WHERE {{r}}
    ), asked AS (
        SELECT * FROM seen AS r WHERE r.recorded_at >= CAST(:since AS timestamptz) AND {_AT}
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

_PAGE = f"""
    r.recorded_at >= CAST(:since AS timestamptz) AND {_AT} AND {{r}}
      AND (r.recorded_at, r.type, r.id, r.version) < (
          CAST(:before AS timestamptz), CAST(:before_type AS text), CAST(:before_id AS text),
          CAST(:before_version AS bigint)
      )
    ORDER BY r.recorded_at DESC, r.type DESC, r.id DESC, r.version DESC
    LIMIT CAST(:count AS bigint)
"""

# A page of each of the types, of which the newest are the page of all: each is read by its own index, however many there are.
OF_TYPES = by_view(
    "histories.of_types",
    f"""
    SELECT page.*
    FROM unnest(CAST(:types AS text[])) AS wanted (type)
    CROSS JOIN LATERAL (
        SELECT {columns("r")}
        FROM ({VERSIONS.format(and_current="", and_past="").replace("CAST(:type AS text)", "wanted.type")}) AS r
        WHERE {_PAGE}
    ) AS page
    ORDER BY page.recorded_at DESC, page.type DESC, page.id DESC, page.version DESC
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

    # Empty for all types.
    type: str
    # Empty for the whole type.
    id: str
    since: datetime | None
    # Only versions that were current at some time within.
    at: Span | None
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
    bounds: dict[str, Any] = {
        "since": asked.since or BEGINNING,
        "at_from": asked.at.low if asked.at else BEGINNING,
        "at_until": asked.at.high if asked.at else END,
        "count": asked.count + 1,
        **parameters(caller, seen_at),
    }
    if asked.id:
        before = asked.after if asked.after is not None else _LAST_VERSION
        rows = await reader.fetch(OF_ONE[view_of(caller)], type=asked.type, id=asked.id, before=before, **bounds)
        versions = [stored_of(row) for row in rows if row["id"] is not None]
        last = versions[asked.count - 1].version if len(versions) > asked.count else None
        return History(versions[: asked.count], rows[0]["total"], rows[0]["known"] > 0, last)
    moment, resource_type, resource_id, version = asked.after or (END.isoformat(), "", "", 0)
    rows = await reader.fetch(
        OF_TYPES[view_of(caller)],
        types=[asked.type] if asked.type else sorted(definitions().resource_types),
        before=datetime.fromisoformat(moment), before_type=resource_type, before_id=resource_id,
        before_version=version, **bounds,
    )  # fmt: skip
    versions = [stored_of(row) for row in rows]
    place = None
    if len(versions) > asked.count:
        final = versions[asked.count - 1]
        place = [final.recorded_at.isoformat(), final.type, final.id, final.version]
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
