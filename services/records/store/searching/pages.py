"""A page of a search: which index leads, in which order, up to where.

Which index leads is decided here and not left to estimates: within one person, the registration's; a code that is walked by
date, its walk; else the tokens', whose rows are fetched behind a fence (OFFSET 0), so that the planner does not rather walk
all resources in the order of the result and hope to meet enough that match. Whether a row may be seen is asked in the order
of the result, and of no more rows than the page needs.
"""

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
from services.records.rules.queries import HasCondition, PersonCondition, Query, Sort, TokenCondition
from services.records.store.resources import columns, stored_of
from services.records.store.searching import frequencies
from services.records.store.searching.building import Builder, State, leads
from services.records.visibility import visible

_ORDERS = {"recorded": "recorded_at", "occurred": "occurred_from", "id": "id"}
_NEWEST = "9999-12-30T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended, and the state that it was of."""

    values: tuple[Any, ...]
    id: str
    state: State


@dataclass(frozen=True, slots=True)
class Page:
    """What a search found."""

    matches: list[Stored]
    total: int | None
    # Where the next page begins; None at the end.
    last: Position | None


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
    """A page of matches, and their number where it is asked for: one statement, so that both are of one state."""
    await frequencies.learn(reader, frequencies.asked_for(query))
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
    return Page([stored_of(row) for row in found], counted, last)


@dataclass(frozen=True, slots=True)
class Built:
    """A search as SQL."""

    sql: str
    values: dict[str, Any]
    counts: bool
    keys: int
    # What leads, in words.
    lead: str


def build(caller: Caller, seen_at: datetime, query: Query, after: Position | None) -> Built:
    """The statement of a page."""
    builder = Builder(caller, seen_at, after.state if after is not None else None)
    is_of_person = any(isinstance(one, PersonCondition) for one in query.conditions)
    leading = [one for one in query.conditions if leads(one)]
    frequent = [one for one in leading if not is_of_person and frequencies.is_frequent(one)]
    # What all that leads has in common with very many resources is met on the walk; else the rarer leads.
    is_walked = bool(frequent) and len(frequent) == len(leading)
    builder.looked_up = frozenset(one for one in frequent if isinstance(one, HasCondition))
    types = query.types or (query.type,)
    where = builder.where(query.conditions, "r", types, is_led=is_of_person or is_walked)
    if is_walked and len(types) == 1:
        # Half of the rows, the planner thinks of what it cannot look into: then it walks, and finds a page soon.
        where = f"r.type = {builder.name(types[0], 'text')} AND CASE WHEN {where} THEN true ELSE false END"
    walked = _walked(query, after)
    keys = _keys(query, builder, is_walked=walked is not None)
    counts = query.wants_total and after is None
    total = ""
    if counts:
        total = f"SELECT count(*) AS total FROM {builder.rows('r')} WHERE {where} AND {visible('r', builder.view)}"
    if not query.wants_matches:
        return Built(total, builder.values, counts, len(keys), "count")
    if walked is not None:
        lead, matches = "code by date", _walk(query, builder, where, walked, after)
    else:
        is_led = bool(leading) and not is_walked
        lead = "registration" if is_of_person else "values" if is_led else "order"
        matches = _matches(query, builder, where, keys, after, is_led=is_led)
    if counts:
        matches = (
            f"SELECT counted.total, page.* FROM ({total}) AS counted LEFT JOIN LATERAL ({matches}) AS page ON true"
        )
    return Built(matches, builder.values, counts, len(keys), lead)


def _keys(query: Query, builder: Builder, *, is_walked: bool) -> list[_Key]:
    if query.order == "keys":
        return [_key(one, builder) for one in query.sorts]
    order = query.order or ("occurred" if is_walked else "recorded")
    return [_key(Sort(order, query.is_descending), builder)]


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
        column, limit = ("high", float("-inf")) if sort.is_descending else ("low", float("inf"))
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


def _walked(query: Query, after: Position | None) -> int | None:
    """The token that is walked by date: that of what the type is about, where nothing narrower leads."""
    if query.order not in {"", "occurred"} or len(query.types) > 1:
        return None
    del after
    found = None
    for one in query.conditions:
        if isinstance(one, TokenCondition) and len(one.orders) == 1:
            found = one.orders[0]
        elif leads(one) and not isinstance(one, TokenCondition):
            return None
    return found


def _walk(query: Query, builder: Builder, where: str, token: int, after: Position | None) -> str:
    """The rows of a code, newest or oldest first, each looked up as the walk comes to it."""
    direction = "DESC" if query.is_descending else "ASC"
    beyond = ""
    if after is not None:
        moment, last = builder.name(after.values[0], "timestamptz"), builder.name(after.id, "text")
        beyond = f"AND (w.occurred_from, w.id) {'<' if query.is_descending else '>'} ({moment}, {last})"
    limit = builder.name(query.count + 1, "bigint")
    # What is led by the walk needs no index of tokens.
    where = where.replace("r.tokens", "(r.tokens || CAST('{}' AS bigint[]))")
    where = f"{where} AND r.tokens || CAST('{{}}' AS bigint[]) @> ARRAY[{builder.name(token, 'bigint')}]"
    return f"""
        SELECT {columns("r")}, pg_current_snapshot()::text AS snapshot, w.occurred_from AS key0
        FROM search_orders AS w
        JOIN LATERAL (
            SELECT r.* FROM {builder.rows("r")}
            WHERE r.type = w.type AND r.id = w.id AND r.filed_under = w.filed_under
              AND r.occurred_from = w.occurred_from AND {where}
            OFFSET 0
        ) AS r ON true
        WHERE w.token = {builder.name(token, "bigint")} {beyond} AND {visible("r", builder.view)}
        ORDER BY w.occurred_from {direction}, w.id {direction} LIMIT {limit}
    """


def _matches(
    query: Query, builder: Builder, where: str, keys: Sequence[_Key], after: Position | None, *, is_led: bool
) -> str:
    """The statement of a page, without its total."""
    # One row more than the page tells whether there is a next one.
    limit = builder.name(query.count + 1, "bigint")
    last_direction = keys[-1].is_descending
    seen = visible("r", builder.view)
    if not is_led and len(keys) == 1 and query.order != "keys":
        # The index of the order is walked, and each row that it comes to is looked at.
        key = keys[0]
        direction = "DESC" if key.is_descending else "ASC"
        beyond = ""
        if after is not None:
            place = f"({builder.name(after.values[0], key.sql_type)}, {builder.name(after.id, 'text')})"
            beyond = f"AND ({key.expression}, r.id) {'<' if key.is_descending else '>'} {place}"
        return f"""
            SELECT {columns("r")}, pg_current_snapshot()::text AS snapshot, {key.expression} AS key0
            FROM {builder.rows("r")} WHERE {where} AND {seen} {beyond}
            ORDER BY {key.expression} {direction}, r.id {direction} LIMIT {limit}
        """
    chosen = ", ".join(f"{key.expression} AS key{number}" for number, key in enumerate(keys))
    order = ", ".join(f"r.key{number} {'DESC' if key.is_descending else 'ASC'}" for number, key in enumerate(keys))
    order += f", r.id {'DESC' if last_direction else 'ASC'}"
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
