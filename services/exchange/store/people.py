"""The people, houses and visits that a facility's files named: by arrays, a chunk at a time."""

from collections.abc import Collection, Sequence

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.exchange.model import Home, KnownPerson, KnownVisit, PersonPart
from services.exchange.store.rows import person_of

_PERSONS = Statement(
    "persons.by_pid",
    text("SELECT * FROM persons WHERE organization_id = :organization_id AND pid = ANY(CAST(:pids AS text[]))"),
)
_BY_HN = Statement(
    "persons.by_hn",
    text(
        "SELECT hn, registration_id FROM persons WHERE organization_id = :organization_id"
        " AND hn <> '' AND hn = ANY(CAST(:hns AS text[]))"
        # Of two PIDs with one HN the one that is registered under it comes last, and counts.
        " ORDER BY local_number = hn, pid"
    ),
)
_REGISTRATIONS = Statement(
    "persons.registrations",
    text(
        "SELECT pid, registration_id FROM persons"
        " WHERE organization_id = :organization_id AND pid = ANY(CAST(:pids AS text[]))"
    ),
)
_OWNERS = Statement(
    "persons.owners",
    text(
        "SELECT local_number, pid FROM persons"
        " WHERE organization_id = :organization_id AND local_number = ANY(CAST(:numbers AS text[]))"
    ),
)
_KEEP_PERSONS = Statement(
    "persons.keep",
    text(
        "INSERT INTO persons (organization_id, pid, registration_id, local_number, hn, registration, import_id, outcome) "
        "SELECT CAST(:organization_id AS text), * FROM unnest(CAST(:pids AS text[]), CAST(:registration_ids AS text[]),"
        " CAST(:local_numbers AS text[]), CAST(:hns AS text[]), CAST(:registrations AS bytea[]),"
        " CAST(:import_ids AS text[]), CAST(:outcomes AS smallint[])) "
        "ON CONFLICT (organization_id, pid) DO UPDATE SET registration_id = excluded.registration_id,"
        " local_number = excluded.local_number, hn = excluded.hn, registration = excluded.registration,"
        " import_id = excluded.import_id, outcome = excluded.outcome"
    ),
)
_VISITS = Statement(
    "visits.by_number",
    text(
        "SELECT number, registration_id FROM visits WHERE organization_id = :organization_id AND kind = :kind"
        " AND number = ANY(CAST(:numbers AS text[]))"
    ),
)
_KEEP_VISITS = Statement(
    "visits.keep",
    text(
        "INSERT INTO visits (organization_id, kind, number, registration_id) "
        "SELECT CAST(:organization_id AS text), * FROM unnest(CAST(:kinds AS text[]), CAST(:numbers AS text[]),"
        " CAST(:registration_ids AS text[])) "
        "ON CONFLICT (organization_id, kind, number) DO UPDATE SET registration_id = excluded.registration_id"
        " WHERE visits.registration_id <> excluded.registration_id"
    ),
)
_HOMES = Statement(
    "homes.by_hid",
    text(
        "SELECT hid, address, updated_at FROM homes"
        " WHERE organization_id = :organization_id AND hid = ANY(CAST(:hids AS text[]))"
    ),
)
_KEEP_HOMES = Statement(
    "homes.keep",
    text(
        "INSERT INTO homes (organization_id, hid, address, updated_at) "
        "SELECT CAST(:organization_id AS text), * FROM unnest(CAST(:hids AS text[]), CAST(:addresses AS bytea[]),"
        " CAST(:updated AS bigint[])) "
        "ON CONFLICT (organization_id, hid) DO UPDATE SET address = excluded.address, updated_at = excluded.updated_at"
        " WHERE homes.updated_at <= excluded.updated_at"
    ),
)
_PARTS = Statement(
    "parts.by_pid",
    text(
        "SELECT pid, part, value, updated_at FROM staged_parts"
        " WHERE import_id = :import_id AND pid = ANY(CAST(:pids AS text[]))"
    ),
)
_STAGE_PARTS = Statement(
    "parts.stage",
    text(
        "INSERT INTO staged_parts (import_id, pid, part, value, updated_at) "
        "SELECT CAST(:import_id AS text), * FROM unnest(CAST(:pids AS text[]), CAST(:parts AS text[]),"
        " CAST(:contents AS bytea[]), CAST(:updated AS bigint[])) "
        "ON CONFLICT (import_id, pid, part) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"
        " WHERE staged_parts.updated_at <= excluded.updated_at"
    ),
)


async def persons_by_pid(reader: Reader, organization_id: str, pids: Collection[str]) -> dict[str, KnownPerson]:
    """The people of these PIDs that the facility's files named before."""
    rows = await reader.fetch(_PERSONS, organization_id=organization_id, pids=list(pids))
    return {row["pid"]: person_of(row) for row in rows}


async def registrations_by_pid(reader: Reader, organization_id: str, pids: Collection[str]) -> dict[str, str]:
    """The registrations of these PIDs."""
    rows = await reader.fetch(_REGISTRATIONS, organization_id=organization_id, pids=list(pids))
    return {row["pid"]: row["registration_id"] for row in rows}


async def registrations_by_hn(reader: Reader, organization_id: str, hns: Collection[str]) -> dict[str, str]:
    """The registrations of these hospital numbers."""
    rows = await reader.fetch(_BY_HN, organization_id=organization_id, hns=list(hns))
    return {row["hn"]: row["registration_id"] for row in rows}


async def owners(reader: Reader, organization_id: str, numbers: Collection[str]) -> dict[str, str]:
    """Which PID is registered under each of these local numbers."""
    rows = await reader.fetch(_OWNERS, organization_id=organization_id, numbers=list(numbers))
    return {row["local_number"]: row["pid"] for row in rows}


async def keep_persons(writer: Writer, organization_id: str, persons: Sequence[KnownPerson]) -> None:
    """Notes who was registered; of several rows of one PID the last counts."""
    last = list({person.pid: person for person in persons}.values())
    await writer.execute(
        _KEEP_PERSONS,
        organization_id=organization_id,
        pids=[person.pid for person in last],
        registration_ids=[person.registration_id for person in last],
        local_numbers=[person.local_number for person in last],
        hns=[person.hn for person in last],
        registrations=[person.registration for person in last],
        import_ids=[person.import_id for person in last],
        outcomes=[int(person.outcome) for person in last],
    )


async def visits_by_number(reader: Reader, organization_id: str, kind: str, numbers: Collection[str]) -> dict[str, str]:
    """Whose visits these are: number → registration."""
    rows = await reader.fetch(_VISITS, organization_id=organization_id, kind=kind, numbers=list(numbers))
    return {row["number"]: row["registration_id"] for row in rows}


async def keep_visits(writer: Writer, organization_id: str, visits: Sequence[KnownVisit]) -> None:
    """Notes visits."""
    last = list({(visit.kind, visit.number): visit for visit in visits}.values())
    await writer.execute(
        _KEEP_VISITS,
        organization_id=organization_id,
        kinds=[visit.kind for visit in last],
        numbers=[visit.number for visit in last],
        registration_ids=[visit.registration_id for visit in last],
    )


async def homes_by_hid(reader: Reader, organization_id: str, hids: Collection[str]) -> dict[str, Home]:
    """The facility's houses of these numbers."""
    rows = await reader.fetch(_HOMES, organization_id=organization_id, hids=list(hids))
    return {row["hid"]: Home(row["hid"], row["address"], row["updated_at"]) for row in rows}


async def keep_homes(writer: Writer, organization_id: str, homes: Sequence[Home]) -> None:
    """Notes houses; an older writing never replaces a newer one."""
    last = list({home.hid: home for home in homes}.values())
    await writer.execute(
        _KEEP_HOMES,
        organization_id=organization_id,
        hids=[home.hid for home in last],
        addresses=[home.address for home in last],
        updated=[home.updated_at for home in last],
    )


async def parts_by_pid(reader: Reader, import_id: str, pids: Collection[str]) -> dict[tuple[str, str], PersonPart]:
    """What was staged of these people: (PID, part) → part."""
    rows = await reader.fetch(_PARTS, import_id=import_id, pids=list(pids))
    return {
        (row["pid"], row["part"]): PersonPart(row["pid"], row["part"], row["value"], row["updated_at"]) for row in rows
    }


async def stage_parts(writer: Writer, import_id: str, parts: Sequence[PersonPart]) -> None:
    """Holds parts until their people are read."""
    last = list({(part.pid, part.part): part for part in parts}.values())
    await writer.execute(
        _STAGE_PARTS,
        import_id=import_id,
        pids=[part.pid for part in last],
        parts=[part.part for part in last],
        contents=[part.value for part in last],
        updated=[part.updated_at for part in last],
    )
