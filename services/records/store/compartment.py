"""What is filed under the registrations of one person.

One statement finds the person and reads the page. The Patient that is named must be one that the caller may see: otherwise
there is no compartment, whatever else they filed under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from libs.fhir.moments import BEGINNING, END
from libs.fhir.references import LocalReference
from services.records.model import Operation, Stored
from services.records.store.resources import by_view, columns, stored_of
from services.records.visibility import View, parameters, view_of, visible

MAX_REFERRED = 5000
# Far beyond what a reader of a summary takes in; more of a type is for the searches.
NEWEST = 200


def _of_a_person(view: View) -> str:
    """CTE `placed`: the registrations of the person whom the registration, or the caller's citizen key, names."""
    own = (
        """
            UNION
            SELECT other.registration_id
            FROM registrations AS mine JOIN registrations AS other ON other.person_id = mine.person_id
            WHERE CAST(:registration_id AS text) = '' AND mine.citizen_key = CAST(:caller_citizen_key AS text)
              AND mine.citizen_key <> ''
        """
        if view is View.CITIZEN
        else ""
    )
    return f"""
        named AS MATERIALIZED (
            SELECT l.id FROM locators AS l
            WHERE l.type = 'Patient' AND l.id = CAST(:registration_id AS text) AND NOT l.is_deleted
              AND {visible("l", view)}
        ), placed AS MATERIALIZED (
            SELECT named.id AS registration_id FROM named
            UNION
            SELECT other.registration_id
            FROM named
            JOIN registrations AS asked ON asked.registration_id = named.id
            JOIN registrations AS other ON other.person_id = asked.person_id
            {own}
        )
    """


# `(is no Patient, type, id)` is the order: the Patients come first, and nothing that changes in between moves a page.
_EVERYTHING = f"""
    WITH {{placed}}
    SELECT {columns("r")}
    FROM resources AS r
    WHERE r.filed_under = ANY(ARRAY(SELECT registration_id FROM placed))
      AND r.operation <> {Operation.DELETE.value}
      AND r.type = ANY(CAST(:types AS text[]))
      AND r.recorded_at >= CAST(:since AS timestamptz)
      AND (r.type = 'Patient' OR r.occurred_to <= CAST(:no_date AS timestamptz)
           OR (r.occurred_to > CAST(:starts_at AS timestamptz) AND r.occurred_from < CAST(:ends_at AS timestamptz)))
      AND ((r.type <> 'Patient'), r.type, r.id)
          > (CAST(:after_rank AS boolean), CAST(:after_type AS text), CAST(:after_id AS text))
      AND {{visible}}
    ORDER BY (r.type <> 'Patient'), r.type, r.id
    LIMIT CAST(:page_size AS bigint)
"""

_NEWEST = f"""
    WITH {{placed}}
    SELECT found.*
    FROM unnest(CAST(:types AS text[])) AS wanted (type)
    CROSS JOIN LATERAL (
        SELECT {columns("r")}, r.occurred_from
        FROM resources AS r
        WHERE r.filed_under = ANY(ARRAY(SELECT registration_id FROM placed)) AND r.type = wanted.type
          AND r.operation <> {Operation.DELETE.value} AND {{visible}}
        ORDER BY r.occurred_from DESC, r.id
        LIMIT {NEWEST}
    ) AS found
"""


def _statements(name: str, sql: str) -> dict[View, Statement]:
    return {
        view: Statement(f"{name}.{view.value}", text(sql.format(placed=_of_a_person(view), visible=visible("r", view))))
        for view in View
    }


EVERYTHING = _statements("compartment.everything", _EVERYTHING)
NEWEST_OF_TYPES = _statements("compartment.newest", _NEWEST)

REFERRED = by_view(
    "compartment.referred",
    f"""
    SELECT {columns("r")}
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    JOIN resources AS r ON r.type = wanted.type AND r.id = wanted.id
    WHERE r.operation <> {Operation.DELETE.value} AND {{r}}
    ORDER BY r.type, r.id
    LIMIT {MAX_REFERRED}
    """,
    "r",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a person's records is wanted."""

    # Empty for a citizen's own.
    registration_id: str
    types: Sequence[str]
    since: datetime = BEGINNING
    starts_at: datetime = BEGINNING
    ends_at: datetime = END
    count: int = 1
    # Type and id that a page ended with; both empty for the first page.
    after: tuple[str, str] = ("", "")


async def everything(reader: Reader, caller: Caller, seen_at: datetime, asked: Asked) -> list[Stored]:
    """A page of what is filed under the person's registrations, as far as the caller may see it."""
    after_type, after_id = asked.after
    rows = await reader.fetch(
        EVERYTHING[view_of(caller)],
        registration_id=asked.registration_id,
        types=asked.types,
        since=asked.since,
        starts_at=asked.starts_at,
        ends_at=asked.ends_at,
        no_date=BEGINNING,
        after_rank=after_type not in {"", "Patient"},
        after_type=after_type,
        after_id=after_id,
        page_size=asked.count,
        **parameters(caller, seen_at),
    )
    return [stored_of(row) for row in rows]


async def newest(
    reader: Reader, caller: Caller, seen_at: datetime, registration_id: str, types: Sequence[str]
) -> list[Stored]:
    """The newest of each type, newest first within a type, in the order of the types."""
    rows = await reader.fetch(
        NEWEST_OF_TYPES[view_of(caller)],
        registration_id=registration_id,
        types=types,
        **parameters(caller, seen_at),
    )
    return [stored_of(row) for row in rows]


async def referred(reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[LocalReference]) -> list[Stored]:
    """Those of the resources that the caller may see."""
    rows = await reader.fetch(
        REFERRED[view_of(caller)],
        types=[one.type for one in wanted],
        ids=[one.id for one in wanted],
        **parameters(caller, seen_at),
    )
    return [stored_of(row) for row in rows]
