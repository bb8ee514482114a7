"""What a summary of a person is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.model import Category, Consent, Operation, Stored
from services.records.store.resources import by_view, columns, stored_of
from services.records.visibility import effective, parameters, view_of

# What a reader takes in at once; more of a kind is for the searches.
NEWEST = 200

STANDING = Statement(
    "summaries.standing",
    text(
        f"""
        SELECT placed.registration_id, placed.citizen_key,
               {effective(Category.GENERAL, "placed.person_id")} IS NOT DISTINCT FROM {Consent.DENY.value} AS is_refused
        FROM registrations AS placed
        WHERE placed.person_id = :person_id
        ORDER BY placed.registration_id
        """
    ),
)

NEWEST_OF_TYPES = by_view(
    "summaries.newest",
    f"""
    SELECT found.*
    FROM unnest(CAST(:types AS text[])) AS wanted (type)
    CROSS JOIN LATERAL (
        SELECT {columns("r")}, r.occurred_from
        FROM resources AS r
        WHERE r.filed_under = ANY(CAST(:registration_ids AS text[])) AND r.type = wanted.type
          AND r.operation <> {Operation.DELETE.value} AND {{r}}
        ORDER BY r.occurred_from DESC, r.id
        LIMIT {NEWEST}
    ) AS found
    """,
    "r",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A person as this service knows them."""

    registration_ids: list[str]
    # True if the person refuses the caller's organisation.
    is_refused: bool
    # The citizen keys of the person's registrations.
    citizen_keys: frozenset[str]


async def standing(reader: Reader, caller: Caller, seen_at: datetime, person_id: str) -> Standing:
    """The person's registrations, and whether the caller's organisation is refused."""
    rows = await reader.fetch(
        STANDING, person_id=person_id, caller_organization=caller.organization_id, seen_at=seen_at
    )
    return Standing(
        [row["registration_id"] for row in rows],
        any(row["is_refused"] for row in rows),
        frozenset(row["citizen_key"] for row in rows if row["citizen_key"]),
    )


async def newest(
    reader: Reader, caller: Caller, seen_at: datetime, registration_ids: Sequence[str], types: Sequence[str]
) -> list[Stored]:
    """The newest of each type that the caller may see, newest first within a type."""
    rows = await reader.fetch(
        NEWEST_OF_TYPES[view_of(caller)],
        registration_ids=registration_ids,
        types=types,
        **parameters(caller, seen_at),
    )
    return [stored_of(row) for row in rows]
