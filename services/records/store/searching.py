"""Searches as SQL.

The text is put together from the shapes of the conditions, values are parameters, and each text is compiled once. Which
index leads is decided here and not left to estimates: within one person, the registration's; else the tokens', whose rows
are fetched behind a fence (OFFSET 0), so that the planner does not rather walk all resources in the order of the result and
hope to meet enough that match.
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
from libs.fhir.moments import BEGINNING, Span
from libs.fhir.references import LocalReference
from services.records.model import Operation, Stored
from services.records.rules.queries import (
    Condition,
    DateCondition,
    IdCondition,
    PersonCondition,
    Query,
    StringCondition,
    TokenCondition,
)
from services.records.store.resources import by_view, columns, stored_of
from services.records.visibility import View, parameters, view_of, visible

# What one `_include` or `_revinclude` may add to a page.
MAX_INCLUDED = 1000
# Sorts after every string that begins as it does, in the order of bytes.
_LAST = "\U0010ffff"

_ORDERS = {"recorded": "recorded_at", "occurred": "occurred_from", "id": "id"}
_NO_DATE = BEGINNING
# How the span of a resource (low up to high) stands to the one asked for, by prefix.
_PREFIXES = {
    "eq": "({low} >= {start} AND {high} <= {end})",
    "ne": "NOT ({low} >= {start} AND {high} <= {end})",
    "gt": "{high} > {end}",
    "ge": "({high} > {end} OR {low} >= {start})",
    "lt": "{low} < {start}",
    "le": "({low} < {start} OR {high} <= {end})",
    "sa": "{low} >= {end}",
    "eb": "{high} <= {start}",
}


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended."""

    value: datetime | str
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a search found."""

    matches: list[Stored]
    total: int | None
    # Where the next page begins; None at the end.
    last: Position | None


def same_person(ids: str, view: View) -> str:
    """SQL: the registrations named, and those of the same persons, for a caller who may see the Patient that is named."""
    return f"""
        SELECT unnest({ids})
        UNION
        SELECT other.registration_id
        FROM locators AS named
        JOIN registrations AS asked ON asked.registration_id = named.id
        JOIN registrations AS other ON other.person_id = asked.person_id
        WHERE named.type = 'Patient' AND named.id = ANY({ids}) AND NOT named.is_deleted AND {visible("named", view)}
    """


class _Builder:
    """Collects the conditions and the parameters of one search."""

    def __init__(self, query: Query, view: View) -> None:
        self.view = view
        self.values: dict[str, Any] = {"type": query.type}
        self.parts: list[str] = []
        self.is_of_person = any(isinstance(one, PersonCondition) for one in query.conditions)
        # True if an index of values leads: then its rows come first, all of them, and are sorted.
        self.is_led = self.is_of_person
        self._tokens_lead = False
        self._tokens: list[int] = []
        for condition in query.conditions:
            self._add(condition)
        if self._tokens:
            self.parts.append(f"{self._array} @> {self.name(self._tokens, 'bigint[]')}")

    @property
    def _array(self) -> str:
        # An expression, so that the token index is not considered where the registration's leads.
        return "(r.tokens || CAST('{}' AS bigint[]))" if self.is_of_person else "r.tokens"

    def name(self, value: Any, sql_type: str) -> str:
        """A parameter of the statement with this value."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"CAST(:{name} AS {sql_type})"

    def _add(self, condition: Condition) -> None:
        match condition:
            case TokenCondition(hashes, is_negated=True):
                self.parts.append(
                    f"NOT (r.tokens || CAST('{{}}' AS bigint[])) && {self.name(list(hashes), 'bigint[]')}"
                )
            case TokenCondition((one,)):
                self._tokens.append(one)
                self.is_led = self._tokens_lead = True
            case TokenCondition(hashes):
                self.parts.append(f"{self._array} && {self.name(list(hashes), 'bigint[]')}")
                self.is_led = self._tokens_lead = True
            case PersonCondition(registration_ids):
                ids = self.name(list(registration_ids), "text[]")
                self.parts.append(f"r.filed_under = ANY(ARRAY({same_person(ids, self.view)}))")
            case IdCondition(ids):
                self.parts.append(f"r.id = ANY({self.name(list(ids), 'text[]')})")
                self.is_led = True
            case StringCondition():
                self.parts.append(self._strings(condition))
                self.is_led = True
            case DateCondition():
                self.parts.append(self._dates(condition))

    def _strings(self, condition: StringCondition) -> str:
        tests = []
        for value in condition.values:
            if condition.mode == "prefix":
                low, high = self.name(value, "text"), self.name(value + _LAST, "text")
                tests.append(f"(s.value ~>=~ {low} AND s.value ~<~ {high})")
            elif condition.mode == "exact":
                tests.append(f"s.value = {self.name(value, 'text')}")
            else:
                tests.append(f"strpos(s.value, {self.name(value, 'text')}) > 0")
        return f"""(r.filed_under, r.type, r.id) IN (
            SELECT s.filed_under, s.type, s.id FROM search_strings AS s
            WHERE s.type = CAST(:type AS text) AND s.parameter = {self.name(condition.parameter, "text")}
              AND ({" OR ".join(tests)})
        )"""

    def _dates(self, condition: DateCondition) -> str:
        if not condition.parameter:
            # An instant: its span is the millisecond that it was recorded in.
            return self._spans(condition, "r.recorded_at", "(r.recorded_at + interval '1 millisecond')")
        if condition.is_principal:
            spans = self._spans(condition, "r.occurred_from", "r.occurred_to")
            return f"(r.occurred_to > {self.name(_NO_DATE, 'timestamptz')} AND {spans})"
        spans = self._spans(condition, "d.occurred_from", "d.occurred_to")
        return f"""EXISTS (
            SELECT 1 FROM search_dates AS d
            WHERE d.filed_under = r.filed_under AND d.type = r.type AND d.id = r.id
              AND d.parameter = {self.name(condition.parameter, "text")} AND {spans}
        )"""

    def _spans(self, condition: DateCondition, low: str, high: str) -> str:
        """http://hl7.org/fhir/R4/search.html#prefix, on spans without their ends."""
        return f"({' OR '.join(self._span(prefix, span, low, high) for prefix, span in condition.spans)})"

    def _span(self, prefix: str, span: Span, low: str, high: str) -> str:
        template = _PREFIXES[prefix]
        # A parameter is made for what the test names only.
        ends = {
            name: self.name(moment, "timestamptz")
            for name, moment in (("start", span.low), ("end", span.high))
            if f"{{{name}}}" in template
        }
        return template.format(low=low, high=high, **ends)

    def where(self) -> str:
        """The condition on the row with alias r."""
        # Hashes name the type already; where they lead, an index by type would only tempt a planner that has not counted.
        type_column = "(r.type || '')" if self._tokens_lead and not self.is_of_person else "r.type"
        return " AND ".join(
            [
                f"{type_column} = CAST(:type AS text)",
                f"r.operation <> {Operation.DELETE.value}",
                *self.parts,
                visible("r", self.view),
            ]
        )


@lru_cache(maxsize=1024)
def _statement(sql: str) -> Statement:
    return Statement("resources.search", text(sql))


async def search(reader: Reader, caller: Caller, seen_at: datetime, query: Query, after: Position | None) -> Page:
    """A page of matches, and their number where it is asked for: one statement, so that both are of one state."""
    builder = _Builder(query, view_of(caller))
    where = builder.where()
    builder.values.update(parameters(caller, seen_at))
    matches = _matches(query, builder, where, after) if query.wants_matches else ""
    total = f"SELECT count(*) AS total FROM resources AS r WHERE {where}" if query.wants_total else ""
    if not total:
        sql = matches
    elif not matches:
        sql = total
    else:
        sql = f"SELECT counted.total, page.* FROM ({total}) AS counted LEFT JOIN LATERAL ({matches}) AS page ON true"
    rows = await reader.fetch(_statement(sql), **builder.values)
    counted = rows[0]["total"] if total else None
    found = [row for row in rows if matches and row["id"] is not None]
    last = None
    if len(found) > query.count:
        found = found[: query.count]
        last = Position(found[-1]["sort_value"], found[-1]["id"])
    return Page([stored_of(row) for row in found], counted, last)


def _matches(query: Query, builder: _Builder, where: str, after: Position | None) -> str:
    """The statement of a page, without its total."""
    column = _ORDERS[query.order]
    direction = "DESC" if query.is_descending else "ASC"
    beyond = ""
    if after is not None:
        value = builder.name(after.value, "text" if query.order == "id" else "timestamptz")
        beyond = (
            f"AND (r.{column}, r.id) {'<' if query.is_descending else '>'} ({value}, {builder.name(after.id, 'text')})"
        )
    # One row more than the page tells whether there is a next one.
    limit = builder.name(query.count + 1, "bigint")
    ending = f"{beyond} ORDER BY r.{column} {direction}, r.id {direction} LIMIT {limit}"
    chosen = f"{columns('r')}, r.occurred_from"
    source = f"resources AS r WHERE {where}"
    if builder.is_led:
        source = f"(SELECT {chosen} FROM {source} OFFSET 0) AS r WHERE true"
    return f"SELECT {chosen}, r.{column} AS sort_value FROM {source} {ending}"


INCLUDED = by_view(
    "resources.included",
    f"""
    SELECT {columns("r")}
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    JOIN resources AS r ON r.type = wanted.type AND r.id = wanted.id
    WHERE r.operation <> {Operation.DELETE.value} AND {{r}}
    ORDER BY r.type, r.id
    LIMIT {MAX_INCLUDED}
    """,
    "r",
)

REFERRING = by_view(
    "resources.referring",
    f"""
    SELECT {columns("r")}
    FROM resources AS r
    WHERE r.tokens && CAST(:hashes AS bigint[]) AND (r.type || '') = ANY(CAST(:types AS text[]))
      AND r.operation <> {Operation.DELETE.value} AND {{r}}
    ORDER BY r.type, r.id
    LIMIT {MAX_INCLUDED}
    """,
    "r",
)

# For conditions that name one token each, as those of transactions mostly do: all of them at once. Two rows tell "several".
BY_TOKENS = by_view(
    "resources.by_tokens",
    f"""
    SELECT wanted.ordinal, found.id
    FROM unnest(CAST(:types AS text[]), CAST(:hashes AS bigint[])) WITH ORDINALITY AS wanted (type, hash, ordinal)
    CROSS JOIN LATERAL (
        SELECT r.id FROM resources AS r
        WHERE r.tokens @> ARRAY[wanted.hash] AND (r.type || '') = wanted.type
          AND r.operation <> {Operation.DELETE.value} AND {{r}}
        LIMIT 2
    ) AS found
    """,
    "r",
)


async def included(reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[LocalReference]) -> list[Stored]:
    """Those of the resources that the caller may see."""
    rows = await reader.fetch(
        INCLUDED[view_of(caller)],
        types=[one.type for one in wanted],
        ids=[one.id for one in wanted],
        **parameters(caller, seen_at),
    )
    return [stored_of(row) for row in rows]


async def referring(
    reader: Reader, caller: Caller, seen_at: datetime, types: Sequence[str], hashes: Sequence[int]
) -> list[Stored]:
    """Resources of the types with one of the reference tokens, that the caller may see."""
    rows = await reader.fetch(REFERRING[view_of(caller)], types=types, hashes=hashes, **parameters(caller, seen_at))
    return [stored_of(row) for row in rows]


async def by_tokens(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[tuple[str, int]]
) -> list[list[str]]:
    """For each (type, token) the ids that match, two at most."""
    found: list[list[str]] = [[] for _ in wanted]
    rows = await reader.fetch(
        BY_TOKENS[view_of(caller)],
        types=[one[0] for one in wanted],
        hashes=[one[1] for one in wanted],
        **parameters(caller, seen_at),
    )
    for row in rows:
        found[row["ordinal"] - 1].append(row["id"])
    return found
