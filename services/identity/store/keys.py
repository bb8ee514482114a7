"""Signing keys."""

from datetime import datetime

import asyncpg
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.identity.model import SigningKey
from services.identity.tables import signing_keys

_fields = (
    signing_keys.c.key_id,
    signing_keys.c.jwk,
    signing_keys.c.sealed_private_key,
    signing_keys.c.signs_from,
    signing_keys.c.not_after,
    signing_keys.c.version,
)
LIST = Statement(
    "signing_keys.list",
    select(*_fields)
    .where(signing_keys.c.retired_at.is_(None))
    .order_by(signing_keys.c.signs_from, signing_keys.c.key_id),
)
FIND_SIGNER = Statement(
    "signing_keys.find_signer",
    select(*_fields)
    .where(
        signing_keys.c.retired_at.is_(None),
        signing_keys.c.signs_from <= bindparam("now"),
        signing_keys.c.not_after >= bindparam("until"),
    )
    .order_by(signing_keys.c.signs_from.desc(), signing_keys.c.key_id.desc())
    .limit(1),
)
ADD = Statement(
    "signing_keys.add", insert(signing_keys).values({column.name: bindparam(column.name) for column in _fields})
)
SHORTEN = Statement(
    "signing_keys.shorten",
    update(signing_keys)
    .where(signing_keys.c.key_id == bindparam("of_key"))
    .values(not_after=bindparam("ends"), version=bindparam("new_version")),
)
RETIRE = Statement(
    "signing_keys.retire",
    update(signing_keys)
    .where(signing_keys.c.key_id == bindparam("of_key"))
    .values(retired_at=bindparam("now"), sealed_private_key=None, version=signing_keys.c.version + 1),
)


async def in_force(reader: Reader) -> list[SigningKey]:
    """Every key that is not retired, the oldest first."""
    return [_key(row) for row in await reader.fetch(LIST)]


async def find_signer(reader: Reader, now: datetime, until: datetime) -> SigningKey | None:
    """The newest key that signs now and verifies until then."""
    row = await reader.fetch_one(FIND_SIGNER, now=now, until=until)
    return None if row is None else _key(row)


async def add(writer: Writer, key: SigningKey) -> None:
    """Stores a new key."""
    await writer.execute(
        ADD,
        key_id=key.key_id,
        jwk=key.jwk,
        sealed_private_key=key.sealed_private_key,
        signs_from=key.signs_from,
        not_after=key.not_after,
        version=key.version,
    )


async def shorten(writer: Writer, key: SigningKey) -> None:
    """Stores when a key ends."""
    await writer.execute(SHORTEN, of_key=key.key_id, ends=key.not_after, new_version=key.version)


async def retire(writer: Writer, key_id: str, now: datetime) -> None:
    """Takes a key out of force and forgets its private half."""
    await writer.execute(RETIRE, of_key=key_id, now=now)


def _key(row: asyncpg.Record) -> SigningKey:
    return SigningKey(**dict(row))
