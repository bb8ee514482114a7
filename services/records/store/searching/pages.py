"""A page of a search: which index leads, in which order, up to where.

Where values lead (`leading`), their rows are fetched behind a fence (OFFSET 0), so that the planner does not rather walk all
resources in the order of the result and hope to meet enough that match. Whether a row may be seen is asked in the order of
the result, and of no more rows than the page needs.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from libs.fhir.moments import BEGINNING, END
from services.records.model import Stored
from services.records.rules.queries import Query, Sort
from services.records.store.resources import columns, stored_of
from services.records.store.searching import frequencies
from services.records.store.searching.building import Builder, State
from services.records.store.searching.leading import Lead, Plan, beginnings, is_of_row, plan_of
from services.records.visibility import visible

_ORDERS = {"recorded": "recorded_at", "occurred": "occurred_from", "id": "id"}
# What stands where there is no number; infinity would not come back from the link to the next page.
_GREATEST = sys.float_info.max
# Entries of a walk that are looked at before another index leads: that costs less than to sort what many carry. If a page
# would be met within so many times more, these are looked at too.
_TRIAL = {Lead.CODE: 400, Lead.ORDER: 1000}
_FURTHER = 6


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended, and the state that it was of."""

    values: tuple[Any, ...]
    id: str
    state: State


@dataclass(frozen=True, slots=True)
class Built:
    """A search as SQL."""

    sql: str
    values: dict[str, Any]
    counts: bool
    keys: int
    # What leads, in words.
    lead: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a search found."""

    matches: list[Stored]
    total: int | None
    # Where the next page begins; None at the end.
    last: Position | None
    # What was asked of the database.
    built: Built


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of the order: an SQL expression on the row, its type, its direction."""

    expression: str
    sql_type: str
    is_descending: bool


@lru_cache(maxsize=1024)
def _statement(sql: str) -> Statement:
    return Statement("resources.search", text(sql))


async def search(reader: Reader, caller: Caller, seen_at: datetime, query: Query, after: Position | None) -> Page:
    """A page of matches, and their number where it is asked for: one statement, so that both are of one state.

    A statement that only tries, and finds less than a page, has no part in the answer.
    """
    await frequencies.learn(reader, frequencies.asked_for(query))
    built, rows = None, []
    for entries in _trials(query, after):
        built = build(caller, seen_at, query, after, entries=entries)
        rows = await reader.fetch(_statement(built.sql), **built.values)
        if len(rows) > query.count or len(rows) * _FURTHER <= query.count:
            break
    if built is None or len(rows) <= query.count:
        built = build(caller, seen_at, query, after)
        rows = await reader.fetch(_statement(built.sql), **built.values)
    counted = rows[0]["total"] if built.counts else None
    found = [row for row in rows if query.wants_matches and row["id"] is not None]
    last = None
    if len(found) > query.count:
        found = found[: query.count]
        final = found[-1]
        state = after.state if after is not None else State(final["snapshot"], seen_at)
        last = Position(tuple(final[f"key{number}"] for number in range(built.keys)), final["id"], state)
    return Page([stored_of(row) for row in found], counted, last, built)


def _trials(query: Query, after: Position | None) -> Sequence[int]:
    """How many entries of a walk are looked at before another index leads; the second time if some were met."""
    tried = plan_of(query).tried
    # Where all are counted, they are found anyway.
    if tried is None or not query.wants_matches or (query.wants_total and after is None):
        return ()
    entries = max(_TRIAL[tried], 2 * query.count)
    return entries, entries * _FURTHER


def build(
    caller: Caller, seen_at: datetime, query: Query, after: Position | None, *, entries: int | None = None
) -> Built:
    """The statement of a page; given `entries`, one that looks at so many of a walk alone, and may find too few."""
    builder = Builder(caller, seen_at, after.state if after is not None else None)
    plan = plan_of(query)
    lead = plan.lead if entries is None else plan.tried or plan.lead
    counts = query.wants_total and after is None
    total = _total(query, builder, plan) if counts else ""
    if not query.wants_matches:
        return Built(total, builder.values, counts, 0, "count")
    keys = _keys(query, builder, plan.order)
    builder.looked_up = plan.looked_up
    # One row more than the page tells whether there is a next one.
    limit = builder.name(query.count + 1, "bigint")
    tried = builder.name(entries, "bigint") if entries is not None else ""
    if lead is Lead.CODE:
        matches = _walk(query, builder, plan.token, after, limit=limit, tried=tried)
    elif lead is Lead.ORDER and query.order != "keys":
        matches = _in_order(query, builder, keys[0], after, limit=limit, tried=tried)
    else:
        matches = _sorted(query, builder, keys, after, limit=limit, is_led=lead is Lead.REGISTRATION)
    if counts:
        matches = (
            f"SELECT counted.total, page.* FROM ({total}) AS counted LEFT JOIN LATERAL ({matches}) AS page ON true"
        )
    return Built(matches, builder.values, counts, len(keys), lead.value)


def _total(query: Query, builder: Builder, plan: Plan) -> str:
    """All that match are counted, so that whatever finds them leads, and no walk."""
    where = builder.where(query.conditions, "r", _types(query), is_led=plan.lead is Lead.REGISTRATION)
    return f"SELECT count(*) AS total FROM {builder.rows('r')} WHERE {where} AND {visible('r', builder.view)}"


def _types(query: Query) -> Sequence[str]:
    return query.types or (query.type,)


def _keys(query: Query, builder: Builder, order: str) -> list[_Key]:
    if query.order == "keys":
        return [_key(one, builder) for one in query.sorts]
    return [_key(Sort(query.order or order, query.is_descending), builder)]


def _key(sort: Sort, builder: Builder) -> _Key:
    """Of several values the first in the direction counts; what has none comes last."""
    if sort.kind in _ORDERS:
        return _Key(f"r.{_ORDERS[sort.kind]}", "text" if sort.kind == "id" else "timestamptz", sort.is_descending)
    best = "max" if sort.is_descending else "min"
    if sort.kind == "date":
        column, missing = ("occurred_to", BEGINNING) if sort.is_descending else ("occurred_from", END)
        found = f"""SELECT {best}(dated.{column}) FROM search_dates AS dated
            WHERE dated.filed_under = r.filed_under AND dated.type = r.type AND dated.id = r.id
              AND dated.version = r.version AND dated.parameter = ANY({builder.name(list(sort.paths), "text[]")})"""
        return _Key(f"coalesce(({found}), {builder.name(missing, 'timestamptz')})", "timestamptz", sort.is_descending)
    if sort.kind in {"number", "quantity"}:
        column, limit = ("high", -_GREATEST) if sort.is_descending else ("low", _GREATEST)
        found = f"""SELECT {best}(number.{column}) FROM search_numbers AS number
            WHERE number.filed_under = r.filed_under AND number.id = r.id AND number.type = r.type
              AND number.version = r.version AND number.place = ANY({builder.name(list(sort.places), "bigint[]")})"""
        value = f"coalesce(({found}), {builder.name(limit, 'double precision')})"
        return _Key(value, "double precision", sort.is_descending)
    values = " UNION ALL ".join(
        f"SELECT * FROM jsonb_path_query(search_body(r.body), {builder.name(path, 'jsonpath')})"
        for path in sort.json_paths
    )
    said = """coalesce(
        CASE jsonb_typeof(value) WHEN 'object' THEN coalesce(
            value ->> 'text', value #>> '{coding,0,display}', value #>> '{coding,0,code}', value ->> 'family',
            value ->> 'code', value ->> 'value', value ->> 'reference', value ->> 'city', value #>> '{given,0}'
        ) END, value #>> '{}')"""
    last = "" if sort.is_descending else "\U0010ffff"
    expression = f"""coalesce(
        (SELECT {best}(lower({said}) COLLATE "C") FROM ({values}) AS found (value)), {builder.name(last, "text")}
    ) COLLATE "C" """
    return _Key(expression, "text", sort.is_descending)


def _walk(query: Query, builder: Builder, token: int, after: Position | None, *, limit: str, tried: str) -> str:
    """The rows of a code, newest or oldest first, each looked up as the walk comes to it; of so many entries, if it is tried."""
    direction = _direction(query)
    named = builder.name(token, "bigint")
    bounds = [f"w.token = {named}"]
    begins = beginnings(query.conditions)
    if begins.first is not None:
        bounds.append(f"w.occurred_from >= {builder.name(begins.first, 'timestamptz')}")
    if begins.last is not None:
        bounds.append(f"w.occurred_from <= {builder.name(begins.last, 'timestamptz')}")
    if begins.first_of_short is not None:
        bounds.append(f"w.occurred_from >= {_unless_some_last(query.type, builder, begins.first_of_short)}")
    if after is not None:
        place = f"({builder.name(after.values[0], 'timestamptz')}, {builder.name(after.id, 'text')})"
        bounds.append(f"(w.occurred_from, w.id) {'<' if query.is_descending else '>'} {place}")
    order = f"ORDER BY w.occurred_from {direction}, w.id {direction}"
    walked, within = "search_orders", " AND ".join(bounds)
    if tried:
        walked, within = f"(SELECT * FROM search_orders AS w WHERE {within} {order} LIMIT {tried})", "true"
    # What is led by the walk needs no index of tokens. An entry counts only if the row still says the same.
    where = builder.where(query.conditions, "r", _types(query), is_led=True)
    where = f"{where} AND r.tokens || CAST('{{}}' AS bigint[]) @> ARRAY[{named}]"
    return f"""
        SELECT {columns("r")}, pg_current_snapshot()::text AS snapshot, w.occurred_from AS key0
        FROM {walked} AS w
        JOIN LATERAL (
            SELECT r.* FROM {builder.rows("r")}
            WHERE r.type = w.type AND r.id = w.id AND r.filed_under = w.filed_under
              AND r.occurred_from = w.occurred_from AND {where}
            OFFSET 0
        ) AS r ON true
        WHERE {within} AND {visible("r", builder.view)}
        {order} LIMIT {limit}
    """


def _unless_some_last(resource_type: str, builder: Builder, first: datetime) -> str:
    """SQL: the moment, if no resource of the type lasts so long that it could have begun before; decided in the statement."""
    return f"""CASE WHEN EXISTS (
        SELECT 1 FROM {builder.rows("r")}
        WHERE r.type = {builder.name(resource_type, "text")} AND r.occurred_to - r.occurred_from > interval '32 days'
    ) THEN CAST('-infinity' AS timestamptz) ELSE {builder.name(first, "timestamptz")} END"""


def _in_order(query: Query, builder: Builder, key: _Key, after: Position | None, *, limit: str, tried: str) -> str:
    """The index of the order is walked, and each row that it comes to is looked at; so many of them, if it is tried."""
    types = _types(query)
    direction = _direction(key)
    order = f"ORDER BY {key.expression} {direction}, r.id {direction}"
    beyond = "true"
    if after is not None:
        place = f"({builder.name(after.values[0], key.sql_type)}, {builder.name(after.id, 'text')})"
        beyond = f"({key.expression}, r.id) {'<' if key.is_descending else '>'} {place}"
    walked = builder.rows("r")
    if len(types) > 1:
        where = builder.where(query.conditions, "r", types, is_led=True)
    else:
        is_of_type = f"r.type = {builder.name(types[0], 'text')}"
        own = [builder.condition(one, "r", is_led=True) for one in query.conditions if is_of_row(one)]
        others = [one for one in query.conditions if not is_of_row(one)]
        # Half of the rows, the planner thinks of what it cannot look into: then it walks, and finds a page soon. The times
        # of the row it can count, and may find fewer by them.
        looked_into = f"CASE WHEN {builder.where(others, 'r', types, is_led=True)} THEN true ELSE false END"
        where = " AND ".join([is_of_type, *own, looked_into])
        if tried:
            walked = f"(SELECT * FROM {walked} WHERE {is_of_type} AND {beyond} {order} LIMIT {tried}) AS r"
    return f"""
        SELECT {columns("r")}, pg_current_snapshot()::text AS snapshot, {key.expression} AS key0
        FROM {walked} WHERE {where} AND {visible("r", builder.view)} AND {beyond}
        {order} LIMIT {limit}
    """


def _direction(one: Query | _Key) -> str:
    return "DESC" if one.is_descending else "ASC"


def _sorted(
    query: Query, builder: Builder, keys: Sequence[_Key], after: Position | None, *, limit: str, is_led: bool
) -> str:
    """All that match, found by the index that leads, and sorted."""
    seen = visible("r", builder.view)
    where = builder.where(query.conditions, "r", _types(query), is_led=is_led)
    chosen = ", ".join(f"{key.expression} AS key{number}" for number, key in enumerate(keys))
    order = ", ".join(f"r.key{number} {_direction(key)}" for number, key in enumerate(keys))
    order += f", r.id {_direction(keys[-1])}"
    beyond = f"AND {_beyond(builder, keys, after)}" if after is not None else ""
    names = ", ".join(f"r.key{number}" for number in range(len(keys)))
    return f"""
        SELECT {columns("r")}, pg_current_snapshot()::text AS snapshot, {names}
        FROM (
            SELECT * FROM (SELECT {columns("r")}, {chosen} FROM {builder.rows("r")} WHERE {where} OFFSET 0) AS r
            ORDER BY {order} OFFSET 0
        ) AS r
        WHERE {seen} {beyond} ORDER BY {order} LIMIT {limit}
    """


def _beyond(builder: Builder, keys: Sequence[_Key], after: Position) -> str:
    """After the last row of the page before, key by key; the id decides between equals."""
    names = [f"r.key{number}" for number in range(len(keys))] + ["r.id"]
    values = [builder.name(value, key.sql_type) for value, key in zip(after.values, keys, strict=True)]
    values.append(builder.name(after.id, "text"))
    descending = [*(key.is_descending for key in keys), keys[-1].is_descending]
    parts = []
    for number, name in enumerate(names):
        equal = [f"{names[before]} = {values[before]}" for before in range(number)]
        parts.append(" AND ".join([*equal, f"{name} {'<' if descending[number] else '>'} {values[number]}"]))
    return f"({' OR '.join(f'({part})' for part in parts)})"
