"""Pages of an export: the versions that were current at a time, as far as the caller may see them.

A type is walked by the time of recording, which an index has and which no version ever changes; the persons of a cohort
some at a time, by type and id. Of what the walk comes to, so many rows are looked at for a page, whether or not the caller
may see them: no page takes long because little of it is for its reader.

As of a time T a resource is what `resources` holds if that was recorded by T; otherwise the version that was superseded
after T. Whatever is recorded or superseded later moves no page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from libs.errors import InvalidArgumentError
from services.records.model import Operation
from services.records.rules.exporting import SYSTEM, Plan, members_of
from services.records.store.resources import by_view
from services.records.store.searching.building import Builder, same_person
from services.records.visibility import OPEN_TYPES, View, parameters, view_of, visible

# So many rows are looked at for a page, and so many bytes are given at most, where one resource is not larger.
PAGE_ROWS = 5_000
PAGE_BYTES = 8 * 1024 * 1024
# Groups within groups deeper than this nobody means.
MAX_DEPTH = 8

_TYPES = Statement(
    "exporting.types",
    text(
        """
        SELECT wanted.type FROM unnest(CAST(:types AS text[])) WITH ORDINALITY AS wanted (type, place)
        WHERE EXISTS (SELECT 1 FROM resources AS r WHERE r.type = wanted.type)
        ORDER BY wanted.place
        """
    ),
)
# A write that goes on: it has its number, or waits for a lock before it gets one. Others only read.
_UNSETTLED = Statement(
    "exporting.unsettled",
    text(
        """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start <= CAST(:since AS timestamptz)
          AND (backend_xid IS NOT NULL OR wait_event_type = 'Lock')
        """
    ),
)
_NOW = Statement("exporting.now", text("SELECT clock_timestamp()"))
_PATIENTS = by_view(
    "exporting.patients",
    """
    SELECT l.id FROM locators AS l
    WHERE l.type = 'Patient' AND l.id = ANY(CAST(:ids AS text[])) AND NOT l.is_deleted AND {l}
    """,
    "l",
)
_REGISTRATIONS = {
    view: Statement(
        f"exporting.registrations.{view.value}",
        text(f"{same_person('CAST(:ids AS text[])', view)} ORDER BY 1"),
    )
    for view in View
}
_OWN = Statement(
    "exporting.own",
    text(
        """
        SELECT DISTINCT other.registration_id
        FROM registrations AS mine JOIN registrations AS other ON other.person_id = mine.person_id
        WHERE mine.citizen_key = CAST(:citizen_key AS text) AND mine.citizen_key <> ''
        ORDER BY 1
        """
    ),
)
_COLUMNS = (
    *("type", "id", "version", "operation", "recorded_at", "filed_under", "is_personal", "organization_id"),
    *("sensitivity", "tokens", "occurred_from", "occurred_to", "body"),
)
# A superseded version is as sensitive as it was, and as what became of it.
_SENSITIVITY = """GREATEST(past.sensitivity, (
    SELECT max(present.sensitivity) FROM resources AS present
    WHERE present.type = past.type AND present.id = past.id AND present.filed_under = past.filed_under
)) AS sensitivity"""


def _columns(alias: str) -> str:
    return ", ".join(
        _SENSITIVITY if name == "sensitivity" and alias == "past" else f"{alias}.{name}" for name in _COLUMNS
    )


@dataclass(frozen=True, slots=True)
class Page:
    """What a page holds. `bodies` are (type, JSON) in the order of the walk."""

    bodies: list[tuple[str, bytes]]
    # `Type/id` of everything on it; of those the ones that were deleted.
    keys: list[str]
    deleted: list[str]
    registration_ids: list[str]
    # Where the next page begins; empty after the last.
    next: str


class _AsOf(Builder):
    """Conditions on what was current at a time, also at the other ends of chains."""

    def __init__(self, caller: Caller, seen_at: datetime, as_of: datetime) -> None:
        super().__init__(caller, seen_at)
        self._time = self.name(as_of, "timestamptz")

    def rows(self, alias: str) -> str:
        """Resources as they were, under the alias."""
        return f"({self.current('', '')} UNION ALL {self.superseded('', '')}) AS {alias}"

    def current(self, where: str, rest: str) -> str:
        """Those of which nothing newer has been recorded."""
        return f"""(
            SELECT {_columns("present")} FROM resources AS present
            WHERE present.recorded_at <= {self._time} {where.format(row="present")} {rest.format(row="present")}
        )"""

    def superseded(self, where: str, rest: str) -> str:
        """Those that something newer has taken the place of since; few, so that they are found first and sorted then."""
        return f"""(
            SELECT {_columns("past")} FROM (
                SELECT * FROM resource_versions AS old
                WHERE old.superseded_at > {self._time} AND old.recorded_at <= {self._time} {where.format(row="old")}
                OFFSET 0
            ) AS past WHERE true {rest.format(row="past")}
        )"""


async def unsettled(reader: Reader, since: datetime) -> bool:
    """True while a write goes on that began at this time of the database's clock, or before."""
    return bool(await reader.fetch_value(_UNSETTLED, since=since))


async def database_now(reader: Reader) -> datetime:
    """What the database's clock says."""
    now: datetime = await reader.fetch_value(_NOW)
    return now


async def types_in_use(reader: Reader, types: Sequence[str]) -> list[str]:
    """Those of the types of which anything is stored."""
    return [row["type"] for row in await reader.fetch(_TYPES, types=list(types))]


async def seen_patients(reader: Reader, caller: Caller, seen_at: datetime, ids: Sequence[str]) -> set[str]:
    """Those of the Patients that the caller may see."""
    rows = await reader.fetch(_PATIENTS[view_of(caller)], ids=list(ids), **parameters(caller, seen_at))
    return {row["id"] for row in rows}


async def group_body(
    reader: Reader, caller: Caller, seen_at: datetime, as_of: datetime, group_id: str
) -> dict[str, Any] | None:
    """A Group as it was; None where the caller may not see it, or there was none."""
    builder = _AsOf(caller, seen_at, as_of)
    where = f"AND {{row}}.type = 'Group' AND {{row}}.id = {builder.name(group_id, 'text')}"
    sql = f"""
        SELECT g.body FROM ({builder.current(where, "")} UNION ALL {builder.superseded(where, "")}) AS g
        WHERE g.operation <> {Operation.DELETE.value} AND {visible("g", builder.view)}
    """
    body = await reader.fetch_value(_statement("exporting.group", sql), **builder.values)
    return orjson.loads(body) if body else None


async def cohort(reader: Reader, plan: Plan, seen_at: datetime, as_of: datetime) -> list[str]:
    """The registrations of the persons whom a plan means, each once, in order."""
    caller = plan.caller
    if not plan.group_id and not plan.patient_ids:
        return [row["registration_id"] for row in await reader.fetch(_OWN, citizen_key=caller.citizen_key)]
    found: set[str] | None = None
    if plan.group_id:
        members = await _members(reader, plan, seen_at, as_of)
        found = await _registrations(reader, caller, seen_at, members)
    if plan.patient_ids:
        named = await _registrations(reader, caller, seen_at, plan.patient_ids)
        found = named if found is None else found & named
    return sorted(found or ())


async def _members(reader: Reader, plan: Plan, seen_at: datetime, as_of: datetime) -> list[str]:
    patients: set[str] = set()
    met = {plan.group_id}
    frontier = {plan.group_id}
    for _ in range(MAX_DEPTH):
        inner: set[str] = set()
        for group_id in sorted(frontier):
            body = await group_body(reader, plan.caller, seen_at, as_of, group_id)
            if body is not None:
                of_persons, of_groups = members_of(body)
                patients |= of_persons
                inner |= of_groups
        frontier = inner - met
        met |= inner
        if not frontier:
            break
    return sorted(patients)


async def _registrations(reader: Reader, caller: Caller, seen_at: datetime, ids: Sequence[str]) -> set[str]:
    if not ids:
        return set()
    rows = await reader.fetch(_REGISTRATIONS[view_of(caller)], ids=list(ids), **parameters(caller, seen_at))
    return {row[0] for row in rows}


@lru_cache(maxsize=256)
def _statement(name: str, sql: str) -> Statement:
    return Statement(name, text(sql))


async def page(
    reader: Reader,
    plan: Plan,
    seen_at: datetime,
    as_of: datetime,
    walk: str | Sequence[str],
    after: str,
) -> Page:
    """The page after a place: of the type, or of the registrations, that `walk` names. Raises InvalidArgumentError."""
    builder = _AsOf(plan.caller, seen_at, as_of)
    where, key, types = _walk(builder, plan, walk)
    first, kind = key
    order, backwards = f"{first}, id", f"{first} DESC, id DESC"
    beyond = ""
    if after:
        low, last_id = _place(after)
        place = f"(CAST({builder.name(low, 'text')} AS {kind}), {builder.name(last_id, 'text')})"
        beyond = f"AND ({{row}}.{first}, {{row}}.id) > {place}"
    if plan.since is not None:
        beyond += f" AND {{row}}.recorded_at > {builder.name(plan.since, 'timestamptz')}"
    limit = builder.name(PAGE_ROWS, "bigint")
    rest = f"{beyond} ORDER BY {order} LIMIT {limit}"
    asked = _asked(builder, plan, types)
    # Deletions are told of to who asks since when.
    deletions = "" if plan.since is not None else f"AND c.operation <> {Operation.DELETE.value}"
    budget = builder.name(PAGE_BYTES, "bigint")
    sql = f"""
        WITH candidates AS MATERIALIZED (
            SELECT u.* FROM ({builder.current(where, rest)} UNION ALL {builder.superseded(where, rest)}) AS u
            ORDER BY {order} LIMIT {limit}
        ), seen AS MATERIALIZED (
            SELECT c.*, sum(length(c.body)) OVER walked AS reached, row_number() OVER walked AS place
            FROM candidates AS c
            WHERE {visible("c", builder.view)} {deletions} {asked}
            WINDOW walked AS (ORDER BY {order})
        ), kept AS MATERIALIZED (
            SELECT * FROM seen WHERE reached <= {budget} OR place = 1
        )
        SELECT
            (SELECT count(*) FROM candidates) AS looked_at,
            (SELECT count(*) FROM seen) AS seen,
            (SELECT ARRAY[CAST(c.{first} AS text), c.id] FROM candidates AS c ORDER BY {backwards} LIMIT 1) AS last,
            (SELECT ARRAY[CAST(k.{first} AS text), k.id] FROM kept AS k ORDER BY {backwards} LIMIT 1) AS last_kept,
            array_agg(k.type ORDER BY {order}) AS types,
            array_agg(k.id ORDER BY {order}) AS ids,
            array_agg(k.operation ORDER BY {order}) AS operations,
            array_agg(k.body ORDER BY {order}) AS bodies,
            array_agg(DISTINCT k.filed_under) FILTER (WHERE k.is_personal) AS registration_ids
        FROM kept AS k
    """
    row = await reader.fetch_one(_statement("exporting.page", sql), **builder.values)
    if row is None:
        raise AssertionError("an aggregate answers one row")
    return _page(row)


def _walk(builder: _AsOf, plan: Plan, walk: str | Sequence[str]) -> tuple[str, tuple[str, str], Sequence[str]]:
    """Which rows are walked, by which key before the id (with its type), and of which types they are."""
    if isinstance(walk, str):
        return f"AND {{row}}.type = {builder.name(walk, 'text')}", ("recorded_at", "timestamptz"), (walk,)
    registrations = builder.name(list(walk), "text[]")
    types = builder.name(list(plan.types), "text[]")
    return (
        f"AND {{row}}.filed_under = ANY({registrations}) AND {{row}}.type = ANY({types})",
        ("type", "text"),
        plan.types,
    )


def _asked(builder: _AsOf, plan: Plan, types: Sequence[str]) -> str:
    """What a plan asks of a row beside that it may be seen."""
    parts = []
    if plan.level != SYSTEM:
        named = [one for one in OPEN_TYPES if one in types] if plan.are_types_named else []
        parts.append(f"(c.is_personal OR c.type = ANY({builder.name(named, 'text[]')}))")
    for one in types:
        alternatives = plan.conditions(one)
        if alternatives:
            tests = [
                " AND ".join(builder.condition(condition, "c", is_led=True) for condition in conditions) or "true"
                for conditions in alternatives
            ]
            test = " OR ".join(f"({each})" for each in tests)
            # A deletion says nothing that a filter could be held against.
            parts.append(f"(c.type <> {builder.name(one, 'text')} OR c.operation = {Operation.DELETE.value} OR {test})")
    return "".join(f" AND {part}" for part in parts)


def _place(after: str) -> tuple[str, str]:
    """Raises InvalidArgumentError, reason PLACE_INVALID."""
    low, bar, last_id = after.partition("|")
    if not bar:
        raise InvalidArgumentError("PLACE_INVALID", "a place is what the page before told")
    return low, last_id


def _page(row: Any) -> Page:
    types, ids = row["types"] or (), row["ids"] or ()
    keys = [f"{kind}/{one}" for kind, one in zip(types, ids, strict=True)]
    is_whole = len(keys) == row["seen"]
    last = row["last"] if is_whole else row["last_kept"]
    is_last = is_whole and row["looked_at"] < PAGE_ROWS
    operations, bodies = row["operations"] or (), row["bodies"] or ()
    gone = Operation.DELETE.value
    return Page(
        [(kind, body) for kind, body, made in zip(types, bodies, operations, strict=True) if made != gone],
        keys,
        [key for key, made in zip(keys, operations, strict=True) if made == gone],
        row["registration_ids"] or [],
        "" if is_last or last is None else "|".join(last),
    )
