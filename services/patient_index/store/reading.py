"""What answers are read by."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.patient_index.model import Criteria, Held
from services.patient_index.store.rows import HELD_COLUMNS, held_of

# Whom the caller may see, inside the query: everybody, or for a citizen the persons who have a registration with their key.
SEEN = """
    (CAST(:citizen_key AS text) IS NULL OR EXISTS (
        SELECT FROM registrations AS own
        WHERE own.person_id = registrations.person_id AND own.citizen_key = :citizen_key AND own.citizen_key <> ''
    ))
"""

READ_REGISTRATION = Statement(
    "patient_index.read_registration",
    text(
        f"""
        SELECT {HELD_COLUMNS} FROM registrations
        WHERE registration_id = CAST(:registration_id AS uuid) AND {SEEN}
        """
    ),
)

READ_PERSONS = Statement(
    "patient_index.read_persons",
    text(
        f"""
        SELECT {HELD_COLUMNS} FROM registrations
        WHERE person_id = ANY (CAST(:person_ids AS uuid[])) AND {SEEN}
        ORDER BY person_id, organization_id, local_number
        """
    ),
)

SEARCH_PERSONS = Statement(
    "patient_index.search_persons",
    text(
        """
        WITH hits AS (
            SELECT registration_keys.registration_id
            FROM unnest(CAST(:kinds AS smallint[]), CAST(:keys AS bigint[])) AS wanted (kind, key)
            JOIN registration_keys ON registration_keys.key = wanted.key AND registration_keys.kind = wanted.kind
            UNION ALL
            SELECT unnest(CAST(:registration_ids AS uuid[]))
        ), found AS (
            SELECT registration_id FROM hits GROUP BY registration_id HAVING count(*) = CAST(:criteria AS integer)
        )
        SELECT DISTINCT CAST(registrations.person_id AS text) AS person_id
        FROM found JOIN registrations USING (registration_id)
        WHERE registrations.person_id > CAST(:after AS uuid)
          AND (:given = '' OR features ->> 0 = :given OR features ->> 2 = :given)
          AND (:family = '' OR features ->> 1 = :family OR features ->> 3 = :family)
          AND (:birth_date = '' OR features ->> 4 = :birth_date)
        ORDER BY person_id
        LIMIT CAST(:most AS integer)
        """
    ),
)

SEARCH_OWN = Statement(
    "patient_index.search_own",
    text(
        """
        SELECT DISTINCT CAST(person_id AS text) AS person_id FROM registrations
        WHERE citizen_key = :citizen_key AND citizen_key <> '' AND person_id > CAST(:after AS uuid)
        ORDER BY person_id
        LIMIT CAST(:most AS integer)
        """
    ),
)

READ_REGISTRATIONS = Statement(
    "patient_index.read_registrations",
    text(
        f"""
        SELECT {HELD_COLUMNS} FROM registrations
        WHERE registration_id = ANY (CAST(:registration_ids AS uuid[]))
        """
    ),
)

READ_CONTENTS = Statement(
    "patient_index.read_contents",
    text(
        """
        SELECT CAST(registration_id AS text) AS registration_id, CAST(person_id AS text) AS person_id, content, written_at
        FROM registrations
        WHERE registration_id = ANY (CAST(:registration_ids AS uuid[]))
        """
    ),
)

READ_VERSIONS = Statement(
    "patient_index.read_versions",
    text(
        """
        SELECT version, content, written_at, recorded_at, superseded_at FROM registration_versions
        WHERE registration_id = CAST(:registration_id AS uuid)
        ORDER BY version DESC
        """
    ),
)

SCAN = Statement(
    "patient_index.scan",
    text(
        f"""
        SELECT {HELD_COLUMNS} FROM registrations
        WHERE registration_id > CAST(:after AS uuid)
        ORDER BY registrations.registration_id
        LIMIT CAST(:most AS integer)
        """
    ),
)

SCAN_PERSONS = Statement(
    "patient_index.scan_persons",
    text(
        """
        SELECT CAST(registration_id AS text) AS registration_id, CAST(person_id AS text) AS person_id
        FROM registrations
        WHERE registration_id > CAST(:after AS uuid)
        ORDER BY registrations.registration_id
        LIMIT CAST(:most AS integer)
        """
    ),
)

# Sorts before every id that there is.
FIRST_ID = "00000000-0000-0000-0000-000000000000"
_SCAN_ROWS = 1000


def is_id(text_form: str) -> bool:
    """True for what can be the id of a registration, person or decision."""
    try:
        return str(UUID(text_form)) == text_form
    except ValueError:
        return False


async def read_registration(reader: Reader, registration_id: str, citizen_key: str | None) -> Held | None:
    """A registration that the caller may see. `citizen_key` is None for callers who may see everybody."""
    if not is_id(registration_id):
        return None
    row = await reader.fetch_one(READ_REGISTRATION, registration_id=registration_id, citizen_key=citizen_key)
    return None if row is None else held_of(row)


async def read_registrations(reader: Reader, registration_ids: Collection[str]) -> dict[str, Held]:
    """Registrations by id; those that do not exist are left out."""
    rows = await reader.fetch(READ_REGISTRATIONS, registration_ids=list(registration_ids))
    return {one.registration_id: one for one in map(held_of, rows)}


class Content(NamedTuple):
    """What is held of a registration, before anything of it is understood."""

    registration_id: str
    person_id: str
    content: bytes
    written_at: datetime


async def read_contents(reader: Reader, registration_ids: Collection[str]) -> dict[str, Content]:
    """Contents by registration; those that do not exist are left out."""
    rows = await reader.fetch(READ_CONTENTS, registration_ids=list(registration_ids))
    return {row["registration_id"]: Content(*row) for row in rows}


async def read_persons(reader: Reader, person_ids: Collection[str], citizen_key: str | None) -> dict[str, list[Held]]:
    """Person → registrations; persons that the caller may not see, or that have none, are left out."""
    wanted = [one for one in person_ids if is_id(one)]
    persons: dict[str, list[Held]] = {}
    if wanted:
        for row in await reader.fetch(READ_PERSONS, person_ids=wanted, citizen_key=citizen_key):
            persons.setdefault(row["person_id"], []).append(held_of(row))
    return persons


async def search_persons(reader: Reader, criteria: Criteria, after: str, most: int) -> list[str]:
    """Ids of persons of whom one registration meets all criteria, in their order, after a given one."""
    rows = await reader.fetch(
        SEARCH_PERSONS,
        kinds=[kind for kind, _ in criteria.keys],
        keys=[key for _, key in criteria.keys],
        registration_ids=list(criteria.registration_ids),
        criteria=len(criteria.keys) + len(criteria.registration_ids),
        given=criteria.given,
        family=criteria.family,
        birth_date=criteria.birth_date,
        after=after,
        most=most,
    )
    return [row["person_id"] for row in rows]


async def search_own(reader: Reader, citizen_key: str, after: str, most: int) -> list[str]:
    """Ids of the persons that a citizen is."""
    rows = await reader.fetch(SEARCH_OWN, citizen_key=citizen_key, after=after, most=most)
    return [row["person_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a registration said until another content replaced it."""

    version: int
    content: bytes
    written_at: datetime
    recorded_at: datetime
    superseded_at: datetime

    @property
    def content_fields(self) -> dict[str, Any]:
        """What of a registration was otherwise then."""
        names = ("version", "content", "written_at", "recorded_at")
        return {name: getattr(self, name) for name in names}


async def read_versions(reader: Reader, registration_id: str) -> list[Earlier]:
    """What a registration said before, the newest first."""
    rows = await reader.fetch(READ_VERSIONS, registration_id=registration_id)
    return [Earlier(**dict(row)) for row in rows]


async def scan(reader: Reader) -> AsyncIterator[Held]:
    """Every registration, read in pages within the reader's snapshot."""
    after = FIRST_ID
    while rows := await reader.fetch(SCAN, after=after, most=_SCAN_ROWS):
        for row in rows:
            yield held_of(row)
        after = rows[-1]["registration_id"]


async def scan_persons(reader: Reader) -> AsyncIterator[tuple[str, str]]:
    """(registration, person) of every registration, in the order of their ids."""
    after = FIRST_ID
    while rows := await reader.fetch(SCAN_PERSONS, after=after, most=_SCAN_ROWS):
        for row in rows:
            yield row["registration_id"], row["person_id"]
        after = rows[-1]["registration_id"]
