"""Conditions of a search as SQL.

The text is put together from the shapes of the conditions, values are parameters, and each text is compiled once. Every row
that a condition looks at beside the one that is searched (a link of a chain, what refers to it, a List) is one that the
caller may see, by their scopes and by what holds for its person: what they may not see has no part in any answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from libs.access.caller import Caller
from libs.fhir.moments import BEGINNING, Span
from services.records.model import Operation
from services.records.rules.index_entries import MAX_TEXT
from services.records.rules.queries import (
    AllCondition,
    AnyCondition,
    ChainCondition,
    Condition,
    DateCondition,
    HasCondition,
    IdCondition,
    ListCondition,
    MissingCondition,
    NearCondition,
    NumberCondition,
    NumberTest,
    PersonCondition,
    TextCondition,
    TokenCondition,
    TypeCondition,
)
from services.records.store.searching.leading import leads
from services.records.visibility import View, parameters, view_of, visible

# Sorts after every string that begins as it does, in the order of bytes.
_LAST = "\U0010ffff"
# What the index of texts holds of one.
_BEGINNING = 200
_GRAM = 3
# A transaction ends within this, so that what was recorded longer before a snapshot was taken is within it.
_SETTLED = timedelta(minutes=10)
_NOTHING = "false"
# How the span of a resource (low up to high) stands to the one asked for, by prefix; what follows for its beginning is
# said too, since that is what indexes are sorted by.
_PREFIXES = {
    "eq": "({low} >= {start} AND {low} < {end} AND {high} <= {end})",
    "ne": "NOT ({low} >= {start} AND {high} <= {end})",
    "gt": "{high} > {end}",
    "ge": "({high} > {end} OR {low} >= {start})",
    "lt": "{low} < {start}",
    "le": "({low} < {end} AND ({low} < {start} OR {high} <= {end}))",
    "sa": "{low} >= {end}",
    "eb": "({low} < {start} AND {high} <= {start})",
    "ap": "({low} < {end} AND {high} > {start})",
}
# The same for numbers, whose own value counts where a side is meant, and whose range where equality is. Most are points, and
# found by their low end alone.
_NUMBER_PREFIXES = {
    "eq": "({low} >= {start} AND {low} < {end} AND {high} < {end})",
    "ne": "NOT ({low} >= {start} AND {high} < {end})",
    "gt": "({low} > {value} OR (number.low < number.high AND {high} > {value}))",
    "ge": "({low} >= {value} OR (number.low < number.high AND {high} >= {value}))",
    "lt": "{low} < {value}",
    "le": "{low} <= {value}",
    "sa": "{low} > {value}",
    "eb": "({low} < {value} AND {high} < {value})",
    "ap": "({low} <= {end} AND {high} >= {start})",
}
_COLUMNS = (
    "type, id, version, operation, recorded_at, filed_under, is_personal, organization_id, sensitivity, body, tokens, "
    "occurred_from, occurred_to"
)


@dataclass(frozen=True, slots=True)
class State:
    """The state of the database that a first page was of: PostgreSQL's snapshot, and when it was taken."""

    snapshot: str
    taken_at: datetime


def may_see(caller: Caller, resource_type: str) -> bool:
    """True if the caller's scopes let them read or search the type."""
    return caller.scopes.allow_fhir(resource_type, "r") or caller.scopes.allow_fhir(resource_type, "s")


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


class Builder:
    """Turns conditions into SQL, and keeps the parameters that it names."""

    def __init__(self, caller: Caller, seen_at: datetime, state: State | None = None) -> None:
        self.caller = caller
        self.seen_at = seen_at
        self.view = view_of(caller)
        self.values: dict[str, Any] = dict(parameters(caller, seen_at))
        self._state = state
        self._aliases = 0
        # Chains that are looked at row by row, instead of leading.
        self.looked_up: frozenset[Condition] = frozenset()

    def name(self, value: Any, sql_type: str) -> str:
        """A parameter of the statement with this value."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"CAST(:{name} AS {sql_type})"

    def rows(self, alias: str) -> str:
        """Resources, as they are or as they were in the state that is asked for, under the alias."""
        state = self._state
        if state is None:
            return f"resources AS {alias}"
        if "snapshot" not in self.values:
            self.values["snapshot"] = state.snapshot
            self.values["settled_at"] = state.taken_at - _SETTLED
        snapshot, settled = "CAST(CAST(:snapshot AS text) AS pg_snapshot)", "CAST(:settled_at AS timestamptz)"
        past = _COLUMNS.replace(
            "sensitivity",
            """GREATEST(past.sensitivity, (
                SELECT max(present.sensitivity) FROM resources AS present
                WHERE present.type = past.type AND present.id = past.id AND present.filed_under = past.filed_under
            )) AS sensitivity""",
        )
        return f"""(
            SELECT {_COLUMNS} FROM resources AS present
            WHERE present.recorded_at < {settled} OR present.written_by IS NULL
               OR pg_visible_in_snapshot(present.written_by, {snapshot})
            UNION ALL
            SELECT {past} FROM resource_versions AS past
            WHERE past.superseded_at >= {settled} AND NOT pg_visible_in_snapshot(past.superseded_by, {snapshot})
              AND (past.written_by IS NULL OR pg_visible_in_snapshot(past.written_by, {snapshot}))
        ) AS {alias}"""

    def where(self, conditions: Sequence[Condition], alias: str, types: Sequence[str], *, is_led: bool = False) -> str:
        """The conditions on the row of the alias, and that it is there; without who may see it.

        `is_led` by a registration: then no index of tokens is considered.
        """
        parts = [self._type(alias, types, conditions, is_led=is_led), f"{alias}.operation <> {Operation.DELETE.value}"]
        array = self._array(alias, is_led=is_led)
        needed = [one.hashes[0] for one in conditions if _is_needed(one) and isinstance(one, TokenCondition)]
        parts += [self.condition(one, alias, is_led=is_led) for one in conditions if not _is_needed(one)]
        if needed:
            parts.append(f"{array} @> {self.name(needed, 'bigint[]')}")
        return " AND ".join(parts)

    def _type(self, alias: str, types: Sequence[str], conditions: Sequence[Condition], *, is_led: bool) -> str:
        # Hashes name the type already; where they lead, an index by type would only tempt a planner that has not counted.
        is_hidden = not is_led and any(
            leads(one) for one in conditions if not isinstance(one, IdCondition | ListCondition)
        )
        column = f"({alias}.type || '')" if is_hidden else f"{alias}.type"
        if len(types) == 1:
            return f"{column} = {self.name(types[0], 'text')}"
        return f"{column} = ANY({self.name(list(types), 'text[]')})"

    @staticmethod
    def _array(alias: str, *, is_led: bool) -> str:
        # An expression, so that the token index is not considered where the registration's leads.
        return f"({alias}.tokens || CAST('{{}}' AS bigint[]))" if is_led else f"{alias}.tokens"

    def condition(  # noqa: C901, PLR0911, PLR0912 a case for each condition
        self, condition: Condition, alias: str, *, is_led: bool = False
    ) -> str:
        """One condition on the row of the alias."""
        array = self._array(alias, is_led=is_led)
        match condition:
            case TokenCondition(hashes, is_negated=True):
                return f"NOT {self._array(alias, is_led=True)} && {self.name(list(hashes), 'bigint[]')}"
            case TokenCondition(hashes):
                return f"{array} && {self.name(list(hashes), 'bigint[]')}" if hashes else _NOTHING
            case TextCondition():
                return " AND ".join(f"{array} && ARRAY({one})" for one in self._texts(condition))
            case PersonCondition(registration_ids):
                named = self.name(list(registration_ids), "text[]")
                return f"{alias}.filed_under = ANY(ARRAY({same_person(named, self.view)}))"
            case IdCondition(ids):
                return f"{alias}.id = ANY({self.name(list(ids), 'text[]')})"
            case TypeCondition(resource_type):
                return f"{alias}.type = {self.name(resource_type, 'text')}"
            case ListCondition(list_ids):
                return self._listed(list_ids, alias)
            case DateCondition():
                return self._dates(condition, alias, is_led=is_led)
            case NumberCondition():
                return self._numbers(condition, alias, is_led=is_led)
            case NearCondition():
                return self._near(condition, alias, is_led=is_led)
            case MissingCondition(json_paths, is_missing):
                found = " OR ".join(
                    f"jsonb_path_exists(search_body({alias}.body), {self.name(one, 'jsonpath')})" for one in json_paths
                )
                return f"{'NOT ' if is_missing else ''}({found})"
            case ChainCondition():
                return self._chain(condition, alias, array)
            case HasCondition():
                return self._has(condition, alias)
            case AnyCondition(parts):
                return f"({' OR '.join(self.condition(one, alias, is_led=is_led) for one in parts)})"
            case AllCondition(parts):
                return f"({' AND '.join(self.condition(one, alias, is_led=is_led) for one in parts)})"

    def _alias(self) -> str:
        self._aliases += 1
        return f"other{self._aliases}"

    def _seen(self, conditions: Sequence[Condition], alias: str, resource_type: str) -> str:
        return f"{self.where(conditions, alias, (resource_type,))} AND {visible(alias, self.view)}"

    def _texts(self, condition: TextCondition) -> list[str]:
        """SQL for the tokens of the texts that are meant; of several words each by itself, so that all must be there."""
        places = self.name(list(condition.places), "bigint[]")
        select = f"SELECT found.hash # place FROM search_texts AS found CROSS JOIN unnest({places}) AS place WHERE "
        if condition.mode in {"prefix", "below"}:
            tests = [self._begins(value, is_address=condition.mode == "below") for value in condition.values]
            return [f"{select}({' OR '.join(tests)})"]
        if condition.mode == "whole" or len(condition.values) > 1:
            # Values are alternatives: the words of each must stand in one text.
            tests = [
                " AND ".join(self._holds(word) for word in ([value] if condition.mode == "whole" else value.split()))
                for value in condition.values
            ]
            return [f"{select}({' OR '.join(f'({test})' for test in tests)})"]
        return [select + self._holds(word) for word in condition.values[0].split()]

    def _begins(self, value: str, *, is_address: bool) -> str:
        beginning = value[:_BEGINNING]
        low, high = self.name(beginning, "text"), self.name(beginning + _LAST, "text")
        column = f"left(found.value, {_BEGINNING})"
        test = f"{column} ~>=~ {low} AND {column} ~<~ {high}"
        if len(value) > _BEGINNING:
            test += f" AND starts_with(found.value, {self.name(value[:MAX_TEXT], 'text')})"
        if is_address:
            under = self.name(value.rstrip("/") + "/", "text")
            test += f" AND (found.value = {self.name(value, 'text')} OR starts_with(found.value, {under}))"
        return f"({test})"

    def _holds(self, word: str) -> str:
        size = min(_GRAM, len(word))
        grams = sorted({word[at : at + size] for at in range(len(word) - size + 1)})
        return (
            f"(search_grams(found.value) @> {self.name(grams[:64], 'text[]')}"
            f" AND strpos(found.value, {self.name(word, 'text')}) > 0)"
        )

    def _listed(self, list_ids: Sequence[str], alias: str) -> str:
        if not may_see(self.caller, "List"):
            return _NOTHING
        other = self._alias()
        return f"""({alias}.type, {alias}.id) IN (
            SELECT split_part(item #>> '{{}}', '/', 1), split_part(item #>> '{{}}', '/', 2)
            FROM {self.rows(other)}
            CROSS JOIN LATERAL jsonb_path_query(search_body({other}.body), '$.entry[*].item.reference') AS item
            WHERE {self._seen([IdCondition(tuple(list_ids))], other, "List")}
        )"""

    def _dates(self, condition: DateCondition, alias: str, *, is_led: bool) -> str:
        if not condition.paths:
            # An instant: its span is the millisecond that it was recorded in.
            return self._spans(condition, f"{alias}.recorded_at", f"({alias}.recorded_at + interval '1 millisecond')")
        if condition.is_principal:
            spans = self._spans(condition, f"{alias}.occurred_from", f"{alias}.occurred_to")
            return f"({alias}.occurred_to > {self.name(BEGINNING, 'timestamptz')} AND {spans})"
        spans = self._spans(condition, "dated.occurred_from", "dated.occurred_to")
        tests = f"dated.parameter = ANY({self.name(list(condition.paths), 'text[]')}) AND {spans}"
        return _stands_beside("search_dates", "dated", alias, tests, is_led=is_led)

    def _spans(self, condition: DateCondition, low: str, high: str) -> str:
        """http://hl7.org/fhir/R4/search.html#prefix, on spans without their ends."""
        return f"({' OR '.join(self._span(prefix, span, low, high) for prefix, span in condition.spans)})"

    def _span(self, prefix: str, span: Span, low: str, high: str) -> str:
        if prefix == "ap":
            # A tenth of how long ago it is, says the specification.
            slack = abs(self.seen_at - span.low) / 10
            span = Span(max(span.low - slack, BEGINNING), span.high + slack)
        template = _PREFIXES[prefix]
        # A parameter is made for what the test names only.
        ends = {
            name: self.name(moment, "timestamptz")
            for name, moment in (("start", span.low), ("end", span.high))
            if f"{{{name}}}" in template
        }
        return template.format(low=low, high=high, **ends)

    def _numbers(self, condition: NumberCondition, alias: str, *, is_led: bool) -> str:
        tests = " OR ".join(f"({self._number(tests)})" for tests in condition.tests)
        tests = f"number.place = ANY({self.name(list(condition.places), 'bigint[]')}) AND ({tests})"
        return _stands_beside("search_numbers", "number", alias, tests, is_led=is_led)

    def _number(self, tests: Sequence[NumberTest]) -> str:
        first = tests[0]
        ends = [("number.low", "number.high")] if len(tests) == 1 else [("number.low",) * 2, ("number.high",) * 2]
        parts = []
        for test, (low, high) in zip(tests, ends, strict=True):
            template = _NUMBER_PREFIXES[test.prefix]
            values = {
                name: self.name(value, "double precision")
                for name, value in (("start", test.low), ("end", test.high), ("value", test.value))
                if f"{{{name}}}" in template
            }
            parts.append(template.format(low=low, high=high, **values))
        if first.about:
            parts.append(f"number.about = {self.name(first.about, 'bigint')}")
        if first.keys:
            parts.append(f"number.keys @> {self.name(list(first.keys), 'bigint[]')}")
        return " AND ".join(parts)

    def _near(self, condition: NearCondition, alias: str, *, is_led: bool) -> str:
        """Distances on a sphere: of a town they are right to a few metres."""
        tests = []
        for latitude, longitude, kilometres in condition.points:
            north, east = self.name(latitude, "double precision"), self.name(longitude, "double precision")
            distance = f"""2 * 6371.0088 * asin(sqrt(least(1,
                power(sin(radians(number.low - {north}) / 2), 2)
                + cos(radians({north})) * cos(radians(number.low)) * power(sin(radians(number.high - {east}) / 2), 2)
            )))"""
            tests.append(f"{distance} <= {self.name(kilometres, 'double precision')}")
        where = f"number.place = {self.name(condition.place, 'bigint')} AND ({' OR '.join(tests)})"
        return _stands_beside("search_numbers", "number", alias, where, is_led=is_led)

    def _chain(self, condition: ChainCondition, alias: str, array: str) -> str:
        if not may_see(self.caller, condition.type):
            return _NOTHING
        other = self._alias()
        if condition.markers:
            marked = f"{self._array(alias, is_led=True)} && {self.name(list(condition.markers), 'bigint[]')}"
            if condition in self.looked_up:
                return f"({marked} AND {self._chain_of(condition, alias, other)})"
            seen = self._seen(condition.conditions, other, condition.type)
            return f"({marked} AND {alias}.filed_under = ANY(ARRAY({self._persons(f'{other}.id', other, seen)})))"
        seen = self._seen(condition.conditions, other, condition.type)
        return f"""{array} && ARRAY(
            SELECT search_hash({self.name(f"{condition.type}/", "text")} || {other}.id) # place
            FROM {self.rows(other)} CROSS JOIN unnest({self.name(list(condition.places), "bigint[]")}) AS place
            WHERE {seen}
        )"""

    def _persons(self, registration: str, other: str, seen: str) -> str:
        """SQL: the registrations of the persons of the rows."""
        return f"""
            SELECT coalesce(others.registration_id, {registration})
            FROM {self.rows(other)}
            LEFT JOIN registrations AS placed ON placed.registration_id = {registration}
            LEFT JOIN registrations AS others ON others.person_id = placed.person_id
            WHERE {seen}
        """

    def _has(self, condition: HasCondition, alias: str) -> str:
        if not may_see(self.caller, condition.type):
            return _NOTHING
        other = self._alias()
        if condition.markers:
            markers = TokenCondition(condition.markers)
            if condition in self.looked_up:
                return self._has_of(condition, alias, other)
            seen = self._seen((*condition.conditions, markers), other, condition.type)
            return f"{alias}.id IN ({self._persons(f'{other}.filed_under', other, seen)})"
        seen = self._seen(condition.conditions, other, condition.type)
        target = self.name(f"^{condition.target}/([^/]+)", "text")
        found = " UNION ALL ".join(
            f"SELECT * FROM jsonb_path_query(search_body({other}.body), {self.name(one, 'jsonpath')})"
            for one in condition.json_paths
        )
        return f"""{alias}.id IN (
            SELECT substring(coalesce(reference ->> 'reference', reference #>> '{{}}') FROM {target})
            FROM {self.rows(other)} CROSS JOIN LATERAL ({found}) AS found (reference)
            WHERE {seen}
        )"""

    def _chain_of(self, condition: ChainCondition, alias: str, other: str) -> str:
        """The same of one row: whether the person whom it is filed under meets the conditions."""
        where = self.where(condition.conditions, other, (condition.type,), is_led=True)
        return self._of_person(f"{alias}.filed_under", f"{other}.id", other, where)

    def _has_of(self, condition: HasCondition, alias: str, other: str) -> str:
        """The same of one Patient."""
        markers = TokenCondition(condition.markers)
        where = self.where((*condition.conditions, markers), other, (condition.type,), is_led=True)
        return self._of_person(f"{alias}.id", f"{other}.filed_under", other, where)

    def _of_person(self, registration: str, column: str, other: str, where: str) -> str:
        """SQL: for one of the registrations of the same person, the column's, there is a row that may be seen."""
        return f"""EXISTS (
            SELECT 1 FROM (
                SELECT {registration} AS registration_id
                UNION
                SELECT others.registration_id FROM registrations AS placed
                JOIN registrations AS others ON others.person_id = placed.person_id
                WHERE placed.registration_id = {registration}
            ) AS under
            CROSS JOIN LATERAL (
                SELECT 1 FROM {self.rows(other)}
                WHERE {column} = under.registration_id AND {where} AND {visible(other, self.view)}
                OFFSET 0
            ) AS one
            OFFSET 0
        )"""


def _is_needed(condition: Condition) -> bool:
    """True for one token that must be there: those of a query are asked for together."""
    return isinstance(condition, TokenCondition) and not condition.is_negated and len(condition.hashes) == 1


def _stands_beside(table: str, entry: str, alias: str, tests: str, *, is_led: bool) -> str:
    """SQL: an entry of the row's version, in a table beside it, passes the tests; looked up where another index leads."""
    if is_led:
        return f"""EXISTS (
            SELECT 1 FROM {table} AS {entry}
            WHERE {entry}.filed_under = {alias}.filed_under AND {entry}.type = {alias}.type AND {entry}.id = {alias}.id
              AND {entry}.version = {alias}.version AND {tests}
            OFFSET 0
        )"""
    return f"""({alias}.filed_under, {alias}.type, {alias}.id, {alias}.version) IN (
        SELECT {entry}.filed_under, {entry}.type, {entry}.id, {entry}.version FROM {table} AS {entry} WHERE {tests}
    )"""
