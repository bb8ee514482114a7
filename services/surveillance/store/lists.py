"""What callers read: line lists, series, alerts; one statement each."""

import functools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, and_, bindparam, func, literal_column, select, text, tuple_

from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.surveillance.model import Alert, Case
from services.surveillance.store.alerts import EARLIEST_SQL, alert_of
from services.surveillance.store.facts import case_of
from services.surveillance.tables import alerts, cases

_SNAPSHOT_ROWS = 1000


@dataclass(frozen=True, slots=True)
class CaseQuery:
    """What a line list is asked for; what is empty or None is not asked. An organisation restricts to its own cases."""

    organization_id: str | None = None
    disease_code: str = ""
    place_code: str = ""
    from_date: date | None = None
    to_date: date | None = None
    registration_id: str = ""
    include_discarded: bool = False


@dataclass(frozen=True, slots=True)
class CasePage:
    """One page and the number of cases on all pages."""

    cases: list[Case]
    total: int


_COUNT_FILED = Statement(
    "surveillance.count_filed",
    text("SELECT count(*) FROM cases WHERE registration_id = ANY(CAST(:registration_ids AS text[])) AND status <> 3"),
)
_LIST_FILED = Statement(
    "surveillance.list_filed",
    text(
        """
        SELECT case_id, registration_id FROM cases
        WHERE registration_id = ANY(CAST(:registration_ids AS text[])) AND status <> 3
          AND (CAST(:organization_id AS text) IS NULL OR organization_id = CAST(:organization_id AS text))
        ORDER BY registration_id, case_id
        LIMIT CAST(:most AS integer)
        """
    ),
)


async def filed(
    reader: Reader, organization_id: str | None, registration_ids: Sequence[str], most: int
) -> tuple[int, list[tuple[str, str]]]:
    """How many findings that were not discarded there are about registrations; (case, registration) of some.

    An organisation restricts those that are named to its own.
    """
    count = await reader.fetch_value(_COUNT_FILED, registration_ids=list(registration_ids))
    rows = await reader.fetch(
        _LIST_FILED, registration_ids=list(registration_ids), organization_id=organization_id, most=most
    )
    return int(count), [(row["case_id"], row["registration_id"]) for row in rows]


def _below(column: Any, name: str) -> ColumnElement[bool]:
    # Digits sort before '~' in the column's C collation, so that a range takes every place below one.
    return and_(column >= bindparam(name), column < bindparam(f"{name}_end"))


@functools.cache
def _listing(asked: frozenset[str]) -> Statement:
    """The statement for the filters asked. Compiled once for each combination, so that each has a plan of its own."""
    conditions: list[ColumnElement[bool]] = []
    if "organization_id" in asked:
        conditions += [cases.c.organization_id == bindparam("organization_id"), cases.c.role <= literal_column("2")]
    else:
        conditions.append(cases.c.role == literal_column("1"))
    if "include_discarded" not in asked:
        conditions.append(cases.c.status != literal_column("3"))
    if "disease_code" in asked:
        conditions.append(cases.c.disease_code == bindparam("disease_code"))
    if "place_code" in asked:
        conditions.append(_below(cases.c.place_code, "place_code"))
    if "from_date" in asked:
        conditions.append(cases.c.onset_on >= bindparam("from_date", type_=Date))
    if "to_date" in asked:
        conditions.append(cases.c.onset_on <= bindparam("to_date", type_=Date))
    if "registration_id" in asked:
        # An episode that another registration's finding stands for is found by each of its registrations.
        own = cases.alias("own")
        heads = select(own.c.head_case_id).where(own.c.registration_id == bindparam("registration_id"))
        conditions.append(cases.c.head_case_id.in_(heads))
    total = select(func.count()).select_from(cases).where(*conditions).scalar_subquery()
    page = select(cases, total.label("total")).where(*conditions)
    if "after" in asked:
        last = tuple_(bindparam("after_onset", type_=Date), bindparam("after_case"))
        page = page.where(tuple_(cases.c.onset_on, cases.c.case_id) < last)
    page = page.order_by(cases.c.onset_on.desc(), cases.c.case_id.desc()).limit(bindparam("page_size"))
    return Statement("surveillance.list_cases", page)


_SERIES = Statement(
    "surveillance.series",
    text(
        f"""
        SELECT CAST(week AS date) AS week_on, coalesce(counted.cases, 0) AS cases, {EARLIEST_SQL} AS earliest
        FROM generate_series(CAST(:first_week AS date), CAST(:last_week AS date), interval '7 days') AS week
        LEFT JOIN (
            SELECT week_on, count(*) AS cases FROM cases
            WHERE role = 1 AND status <> 3 AND disease_code = :disease_code
              AND place_code >= :place_code AND place_code < :place_code_end
              AND week_on BETWEEN CAST(:first_week AS date) AND CAST(:last_week AS date)
            GROUP BY week_on
        ) AS counted ON counted.week_on = CAST(week AS date)
        ORDER BY week
        """
    ),
)


@functools.cache
def _alert_listing(asked: frozenset[str]) -> Statement:
    conditions: list[ColumnElement[bool]] = [alerts.c.is_standing]
    if "disease_code" in asked:
        conditions.append(alerts.c.disease_code == bindparam("disease_code"))
    if "place_code" in asked:
        conditions.append(_below(alerts.c.place_code, "place_code"))
    if "after" in asked:
        last = tuple_(bindparam("after_week", type_=Date), bindparam("after_alert"))
        conditions.append(tuple_(alerts.c.week_on, alerts.c.alert_id) < last)
    page = select(alerts).where(*conditions).order_by(alerts.c.week_on.desc(), alerts.c.alert_id.desc())
    return Statement("surveillance.list_alerts", page.limit(bindparam("page_size")))


_CASES_AFTER = Statement(
    "surveillance.snapshot_cases",
    select(cases).where(cases.c.case_id > bindparam("after")).order_by(cases.c.case_id).limit(_SNAPSHOT_ROWS),
)
_ALERTS_AFTER = Statement(
    "surveillance.snapshot_alerts",
    select(alerts).where(alerts.c.alert_id > bindparam("after")).order_by(alerts.c.alert_id).limit(_SNAPSHOT_ROWS),
)


async def list_cases(reader: Reader, query: CaseQuery, after: tuple[date, str] | None, page_size: int) -> CasePage:
    """Cases by onset, newest first, after the one named; a page that is not the first is empty only past the end."""
    parameters = {
        field.name: value
        for field in fields(query)
        if (value := getattr(query, field.name)) is not None and value != "" and value is not False
    }
    if after is not None:
        parameters["after"] = after
    statement = _listing(frozenset(parameters))
    parameters.pop("include_discarded", None)
    if parameters.pop("after", None) is not None and after is not None:
        parameters |= {"after_onset": after[0], "after_case": after[1]}
    if query.place_code:
        parameters["place_code_end"] = query.place_code + "~"
    rows = await reader.fetch(statement, page_size=page_size, **parameters)
    return CasePage([case_of(row) for row in rows], rows[0]["total"] if rows else 0)


async def series(
    reader: Reader, disease_code: str, place_code: str, first_week: date, last_week: date
) -> tuple[list[tuple[date, int]], date | None]:
    """The count of each week, both ends included and none missing, and the week of the first case of any disease."""
    rows = await reader.fetch(
        _SERIES,
        disease_code=disease_code,
        place_code=place_code,
        place_code_end=place_code + "~",
        first_week=first_week,
        last_week=last_week,
    )
    return [(row["week_on"], row["cases"]) for row in rows], rows[0]["earliest"] if rows else None


async def list_alerts(
    reader: Reader, disease_code: str, place_code: str, after: tuple[date, str] | None, page_size: int
) -> list[Alert]:
    """Standing alerts, newest week first, after the one named."""
    parameters: dict[str, object] = {}
    asked = set()
    if disease_code:
        asked.add("disease_code")
        parameters["disease_code"] = disease_code
    if place_code:
        asked.add("place_code")
        parameters |= {"place_code": place_code, "place_code_end": place_code + "~"}
    if after is not None:
        asked.add("after")
        parameters |= {"after_week": after[0], "after_alert": after[1]}
    rows = await reader.fetch(_alert_listing(frozenset(asked)), page_size=page_size, **parameters)
    return [alert_of(row) for row in rows]


async def all_cases(reader: Reader) -> AsyncIterator[Case]:
    """Every case, in the order of ids."""
    after = ""
    while rows := await reader.fetch(_CASES_AFTER, after=after):
        for row in rows:
            yield case_of(row)
        after = rows[-1]["case_id"]


async def all_alerts(reader: Reader) -> AsyncIterator[Alert]:
    """Every alert that stands, in the order of ids."""
    after = ""
    while rows := await reader.fetch(_ALERTS_AFTER, after=after):
        for row in rows:
            if row["is_standing"]:
                yield alert_of(row)
        after = rows[-1]["alert_id"]
