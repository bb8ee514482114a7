"""Organisations, practitioners and accounts."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.identity.model import (
    Account,
    Organization,
    OrganizationKind,
    PersonName,
    Practitioner,
    PractitionerRole,
)
from services.identity.tables import accounts, organizations, practitioners

# So many rows of a snapshot are held at a time.
SNAPSHOT_PAGE = 1000

ADD_ORGANIZATION = Statement(
    "organizations.add",
    insert(organizations)
    .values({column.name: bindparam(column.name) for column in organizations.c if column.name != "recorded_at"})
    .on_conflict_do_nothing()
    .returning(organizations),
)
FIND_ORGANIZATION = Statement(
    "organizations.find", select(organizations).where(organizations.c.organization_id == bindparam("organization_id"))
)
LIST_ORGANIZATIONS = Statement(
    "organizations.list",
    select(organizations)
    .where(organizations.c.organization_id > bindparam("after"))
    .order_by(organizations.c.organization_id)
    .limit(bindparam("page_size")),
)

_put_practitioner = insert(practitioners).values(
    {column.name: bindparam(column.name) for column in practitioners.c if column.name != "recorded_at"}
)
_CONTENT = ("name_language", "name_prefix", "name_given", "name_family", "role")
PUT_PRACTITIONER = Statement(
    "practitioners.put",
    # The row is left alone where nothing changes, and then nothing comes back.
    _put_practitioner.on_conflict_do_update(
        index_elements=["practitioner_id"],
        set_={
            **{name: _put_practitioner.excluded[name] for name in _CONTENT},
            "recorded_at": func.now(),
        },
        where=func.row(*(practitioners.c[name] for name in _CONTENT)).is_distinct_from(
            func.row(*(_put_practitioner.excluded[name] for name in _CONTENT))
        ),
    ).returning(practitioners.c.recorded_at),
)
FIND_PRACTITIONER = Statement(
    "practitioners.find", select(practitioners).where(practitioners.c.practitioner_id == bindparam("practitioner_id"))
)
FIND_LICENCE = Statement(
    "practitioners.find_licence",
    select(practitioners).where(
        practitioners.c.organization_id == bindparam("organization_id"),
        practitioners.c.licence == bindparam("licence"),
    ),
)
LIST_PRACTITIONERS = Statement(
    "practitioners.list",
    select(practitioners)
    .where(practitioners.c.practitioner_id > bindparam("after"))
    .order_by(practitioners.c.practitioner_id)
    .limit(bindparam("page_size")),
)

_put_account = insert(accounts).values(
    {column.name: bindparam(column.name) for column in accounts.c if column.name != "recorded_at"}
)
PUT_ACCOUNT = Statement(
    "accounts.put",
    # The account that is there stays as it is; the update only makes the statement answer it.
    _put_account.on_conflict_do_update(
        index_elements=["citizen_key"], set_={"citizen_key": _put_account.excluded.citizen_key}
    ).returning(accounts),
)
FIND_ACCOUNT = Statement(
    "accounts.find", select(accounts.c.account_id).where(accounts.c.citizen_key == bindparam("citizen_key"))
)


async def add_organization(writer: Writer, organization: Organization) -> Organization | None:
    """The organisation as recorded; None if the id is taken."""
    rows = await writer.change(
        ADD_ORGANIZATION,
        organization_id=organization.organization_id,
        name=organization.name,
        name_en=organization.name_en,
        kind=organization.kind,
        hcode9=organization.hcode9,
        place_code=organization.place_code,
        health_region=organization.health_region,
    )
    return _organization(rows[0]) if rows else None


async def find_organization(reader: Reader, organization_id: str) -> Organization | None:
    """The organisation of that id."""
    row = await reader.fetch_one(FIND_ORGANIZATION, organization_id=organization_id)
    return None if row is None else _organization(row)


async def list_organizations(reader: Reader, after: str, page_size: int) -> list[Organization]:
    """Those with greater ids, by id."""
    rows = await reader.fetch(LIST_ORGANIZATIONS, after=after, page_size=page_size)
    return [_organization(row) for row in rows]


async def every_organization(reader: Reader) -> AsyncIterator[Organization]:
    """All, by id."""
    after = ""
    while page := await list_organizations(reader, after, SNAPSHOT_PAGE):
        for organization in page:
            yield organization
        after = page[-1].organization_id


async def put_practitioner(writer: Writer, practitioner: Practitioner) -> Practitioner | None:
    """The practitioner as recorded; None if nothing of it is new."""
    rows = await writer.change(
        PUT_PRACTITIONER,
        practitioner_id=practitioner.practitioner_id,
        organization_id=practitioner.organization_id,
        licence=practitioner.licence,
        name_language=practitioner.name.language,
        name_prefix=practitioner.name.prefix,
        name_given=practitioner.name.given,
        name_family=practitioner.name.family,
        role=practitioner.role,
    )
    return replace(practitioner, recorded_at=rows[0]["recorded_at"]) if rows else None


async def find_practitioner(reader: Reader, practitioner_id: str) -> Practitioner | None:
    """The practitioner of that id."""
    row = await reader.fetch_one(FIND_PRACTITIONER, practitioner_id=practitioner_id)
    return None if row is None else _practitioner(row)


async def find_licence(reader: Reader, organization_id: str, licence: str) -> Practitioner | None:
    """The practitioner of that licence at that organisation."""
    row = await reader.fetch_one(FIND_LICENCE, organization_id=organization_id, licence=licence)
    return None if row is None else _practitioner(row)


async def every_practitioner(reader: Reader) -> AsyncIterator[Practitioner]:
    """All, by id."""
    after = ""
    while rows := await reader.fetch(LIST_PRACTITIONERS, after=after, page_size=SNAPSHOT_PAGE):
        for row in rows:
            yield _practitioner(row)
        after = rows[-1]["practitioner_id"]


async def put_account(writer: Writer, account: Account) -> Account:
    """The account of that citizen: the one that is there, or this."""
    rows = await writer.change(
        PUT_ACCOUNT,
        citizen_key=account.citizen_key,
        account_id=account.account_id,
        identifier_system=account.identifier_system,
        masked_value=account.masked_value,
        display_name=account.display_name,
    )
    return Account(**dict(rows[0]))


async def find_account(reader: Reader, citizen_key: str) -> str | None:
    """The id of the citizen's account."""
    return await reader.fetch_value(FIND_ACCOUNT, citizen_key=citizen_key)  # type: ignore[no-any-return]  # text


def _organization(row: asyncpg.Record) -> Organization:
    return Organization(**{**row, "kind": OrganizationKind(row["kind"])})


def _practitioner(row: asyncpg.Record) -> Practitioner:
    return Practitioner(
        row["practitioner_id"],
        row["organization_id"],
        row["licence"],
        PersonName(row["name_language"], row["name_prefix"], row["name_given"], row["name_family"]),
        PractitionerRole(row["role"]),
        row["recorded_at"],
    )
