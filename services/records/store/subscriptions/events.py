"""Events of subscriptions: found in the feed, numbered, read for the eyes of who subscribed, settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from nhip.records.v1 import events_pb2
from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from libs.feed.log import HORIZON, Cursor
from services.records.model import Operation
from services.records.rules.notifications import Happening
from services.records.rules.queries import Condition
from services.records.store.searching.building import Builder
from services.records.visibility import visible

SCAN_ROWS = 1_000
WAITING, DELIVERED, DEAD = 0, 1, 2

# Of the changes after a place, up to where they are settled: those of a type, and the last of all.
_SCAN = Statement(
    "subscriptions.scan",
    text(
        """
        WITH scanned AS MATERIALIZED (
            SELECT transaction, position, key, event, recorded_at FROM changes
            WHERE feed = :feed
              AND (transaction, position) > (CAST(CAST(:transaction AS text) AS xid8), CAST(:position AS bigint))
              AND transaction < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY transaction, position LIMIT CAST(:count AS integer)
        ), last AS (
            SELECT transaction, position FROM scanned ORDER BY transaction DESC, position DESC LIMIT 1
        )
        SELECT CAST(CAST(s.transaction AS text) AS bigint) AS transaction, s.position,
               CASE WHEN starts_with(s.key, :prefix) THEN s.event END AS event, s.recorded_at
        FROM scanned AS s
        WHERE starts_with(s.key, :prefix) OR (s.transaction, s.position) IN (SELECT l.transaction, l.position FROM last AS l)
        ORDER BY s.transaction, s.position
        """
    ),
)
_APPEND = Statement(
    "subscriptions.append",
    text(
        """
        INSERT INTO subscription_events (subscription_id, number, type, id, version, operation, occurred_at, state)
        SELECT :subscription_id, CAST(:after AS bigint) + event.place, event.type, event.id, event.version,
               event.operation, event.occurred_at, 0
        FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[]), CAST(:versions AS bigint[]),
                    CAST(:operations AS smallint[]), CAST(:times AS timestamptz[]))
            WITH ORDINALITY AS event (type, id, version, operation, occurred_at, place)
        """
    ),
)
_COLUMNS = "number, type, id, version, operation, occurred_at"
_NEXT = Statement(
    "subscriptions.next",
    text(
        f"""
        SELECT {_COLUMNS} FROM subscription_events WHERE subscription_id = :subscription_id AND state = 0
        ORDER BY number LIMIT CAST(:count AS integer)
        """
    ),
)
_BETWEEN = Statement(
    "subscriptions.between",
    text(
        f"""
        SELECT {_COLUMNS} FROM subscription_events
        WHERE subscription_id = :subscription_id AND number BETWEEN CAST(:since AS bigint) AND CAST(:until AS bigint)
        ORDER BY number LIMIT CAST(:count AS integer)
        """
    ),
)
_SETTLE = Statement(
    "subscriptions.settle",
    text(
        """
        UPDATE subscription_events SET state = CAST(:state AS smallint)
        WHERE subscription_id = :subscription_id AND number = ANY(CAST(:numbers AS bigint[]))
        """
    ),
)
_TRIM = Statement(
    "subscriptions.trim",
    text(
        """
        DELETE FROM subscription_events
        WHERE subscription_id = :subscription_id AND state = 1 AND occurred_at < CAST(:before AS timestamptz)
        """
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the feed that may be an event."""

    event: events_pb2.RecordsEvent
    recorded_at: datetime

    @property
    def tested_version(self) -> int:
        """The version that filters are held against: a deletion says nothing, so that it is the one before."""
        return self.event.version - (int(self.event.operation) == Operation.DELETE)


async def scan(reader: Reader, feed: str, cursor: Cursor, resource_type: str) -> tuple[list[Change], Cursor]:
    """The next changes of a type, and how far was looked."""
    rows = await reader.fetch(
        _SCAN,
        feed=feed,
        transaction=str(cursor.transaction),
        position=cursor.position,
        count=SCAN_ROWS,
        prefix=f"{resource_type}/",
    )
    if rows:
        cursor = Cursor(rows[-1]["transaction"], rows[-1]["position"])
    changes = [
        Change(events_pb2.RecordsEvent.FromString(row["event"]), row["recorded_at"])
        for row in rows
        if row["event"] is not None
    ]
    return changes, cursor


async def horizon(reader: Reader, feed: str) -> Cursor:
    """Up to where the feed's beginning has been removed."""
    row = await reader.fetch_one(HORIZON, feed=feed)
    return Cursor(row["transaction"], row["position"]) if row is not None else Cursor()


async def matching(
    reader: Reader, caller: Caller, seen_at: datetime, changes: Sequence[Change], filters: Sequence[Sequence[Condition]]
) -> list[Change]:
    """Those of the changes that the caller may see and that pass one of the filters, in their order."""
    keys = [(one.event.type, one.event.id, one.tested_version) for one in changes]
    seen = await _seen(reader, caller, seen_at, keys, filters)
    return [one for one, key in zip(changes, keys, strict=True) if key in seen]


async def append(writer: Writer, subscription_id: str, after: int, changes: Sequence[Change]) -> None:
    """Numbers events, on from `after`."""
    events = [one.event for one in changes]
    await writer.execute(
        _APPEND,
        subscription_id=subscription_id,
        after=after,
        types=[one.type for one in events],
        ids=[one.id for one in events],
        versions=[one.version for one in events],
        operations=[int(one.operation) for one in events],
        times=[one.recorded_at for one in changes],
    )


async def waiting(
    reader: Reader, caller: Caller, seen_at: datetime, subscription_id: str, count: int
) -> list[Happening]:
    """The next that wait for delivery, as they may be seen now."""
    rows = await reader.fetch(_NEXT, subscription_id=subscription_id, count=count)
    return await _happenings(reader, caller, seen_at, rows)


async def between(
    reader: Reader, caller: Caller, seen_at: datetime, subscription_id: str, since: int, until: int, count: int
) -> list[Happening]:
    """Those with numbers from `since` to `until`, as they may be seen now."""
    rows = await reader.fetch(_BETWEEN, subscription_id=subscription_id, since=since, until=until, count=count)
    return await _happenings(reader, caller, seen_at, rows)


async def settle(writer: Writer, subscription_id: str, numbers: Sequence[int], state: int) -> None:
    """Notes what became of events."""
    await writer.execute(_SETTLE, subscription_id=subscription_id, numbers=list(numbers), state=state)


async def trim(writer: Writer, subscription_id: str, before: datetime) -> None:
    """Removes delivered events that are older."""
    await writer.execute(_TRIM, subscription_id=subscription_id, before=before)


async def _happenings(reader: Reader, caller: Caller, seen_at: datetime, rows: Sequence[Any]) -> list[Happening]:
    keys = [(row["type"], row["id"], row["version"] - (row["operation"] == Operation.DELETE)) for row in rows]
    seen = await _seen(reader, caller, seen_at, keys, ())
    found = []
    for row, key in zip(rows, keys, strict=True):
        body, registration_id = seen.get(key, (None, ""))
        operation = Operation(row["operation"])
        found.append(
            Happening(
                *(row["number"], row["type"], row["id"], row["version"], operation, row["occurred_at"], body),
                registration_id,
            )
        )
    return found


@lru_cache(maxsize=256)
def _statement(sql: str) -> Statement:
    return Statement("subscriptions.seen", text(sql))


async def _seen(
    reader: Reader,
    caller: Caller,
    seen_at: datetime,
    keys: Sequence[tuple[str, str, int]],
    filters: Sequence[Sequence[Condition]],
) -> Mapping[tuple[str, str, int], tuple[bytes, str]]:
    """Of the versions those that the caller may see, and that pass one of the filters: body and registration."""
    if not keys or not all(caller.scopes.allow_fhir(kind, "r") for kind in {key[0] for key in keys}):
        return {}
    builder = Builder(caller, seen_at)
    types = builder.name([one[0] for one in keys], "text[]")
    ids = builder.name([one[1] for one in keys], "text[]")
    versions = builder.name([one[2] for one in keys], "bigint[]")
    tests = [
        " AND ".join(builder.condition(one, "v", is_led=True) for one in conditions) or "true" for conditions in filters
    ]
    passes = f"AND ({' OR '.join(f'({one})' for one in tests)})" if tests else ""
    columns = ("type", "id", "version", "operation", "recorded_at", "filed_under", "is_personal", "organization_id")
    rest = ("tokens", "occurred_from", "occurred_to", "body")
    # A superseded version is as sensitive as it was, and as what became of it.
    sql = f"""
        SELECT v.type, v.id, v.version, v.body, CASE WHEN v.is_personal THEN v.filed_under ELSE '' END AS registration_id
        FROM unnest({types}, {ids}, {versions}) AS wanted (type, id, version)
        JOIN LATERAL (
            SELECT {", ".join(f"current.{name}" for name in columns)}, current.sensitivity,
                   {", ".join(f"current.{name}" for name in rest)}
            FROM resources AS current
            WHERE current.type = wanted.type AND current.id = wanted.id AND current.version = wanted.version
            UNION ALL
            SELECT {", ".join(f"past.{name}" for name in columns)}, GREATEST(past.sensitivity, current.sensitivity),
                   {", ".join(f"past.{name}" for name in rest)}
            FROM resource_versions AS past
            JOIN resources AS current
              ON current.type = past.type AND current.id = past.id AND current.filed_under = past.filed_under
            WHERE past.type = wanted.type AND past.id = wanted.id AND past.version = wanted.version
        ) AS v ON true
        WHERE {visible("v", builder.view)} {passes}
    """
    rows = await reader.fetch(_statement(sql), **builder.values)
    return {(row["type"], row["id"], row["version"]): (row["body"], row["registration_id"]) for row in rows}
