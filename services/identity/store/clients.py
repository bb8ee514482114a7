"""Clients, what is kept of their secrets, and the attempts with wrong ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.identity.model import Attempts, Client, SecretDigest
from services.identity.tables import clients, failed_attempts

ADD = Statement(
    "clients.add",
    insert(clients)
    .values({column.name: bindparam(column.name) for column in clients.c if column.name != "recorded_at"})
    .on_conflict_do_nothing()
    .returning(clients.c.recorded_at),
)
FIND = Statement("clients.find", select(clients).where(clients.c.client_id == bindparam("client_id")))
_asked = select(bindparam("client_id").label("asked_id")).subquery()
FIND_FOR_LOGIN = Statement(
    "clients.find_for_login",
    # One row always, so that an unknown client costs what a known one does.
    select(clients, failed_attempts.c.failures, failed_attempts.c.window_ends_at).select_from(
        _asked.outerjoin(clients, clients.c.client_id == _asked.c.asked_id).outerjoin(
            failed_attempts, failed_attempts.c.client_id == _asked.c.asked_id
        )
    ),
)
SET_DISABLED = Statement(
    "clients.set_disabled",
    update(clients)
    .where(clients.c.client_id == bindparam("of_client"))
    .values(is_disabled=bindparam("disabled"))
    .returning(clients),
)
SET_GRANT = Statement(
    "clients.set_grant",
    update(clients)
    .where(clients.c.client_id == bindparam("of_client"))
    .values(scopes=bindparam("new_scopes"), secret_salt=bindparam("new_salt"), secret_digest=bindparam("new_digest")),
)

_failed = insert(failed_attempts).values(
    client_id=bindparam("client_id"), failures=1, window_ends_at=bindparam("window_ends_at")
)
_is_over = failed_attempts.c.window_ends_at <= bindparam("now", type_=failed_attempts.c.window_ends_at.type)
NOTE_FAILURE = Statement(
    "clients.note_failure",
    _failed.on_conflict_do_update(
        index_elements=["client_id"],
        set_={
            "failures": case((_is_over, 1), else_=failed_attempts.c.failures + 1),
            "window_ends_at": case((_is_over, _failed.excluded.window_ends_at), else_=failed_attempts.c.window_ends_at),
        },
    ),
)
FORGET_FAILURES = Statement(
    "clients.forget_failures", delete(failed_attempts).where(failed_attempts.c.window_ends_at <= bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Login:
    """What is known of a client id with which somebody wants to authenticate."""

    client: Client | None
    secret: SecretDigest | None
    attempts: Attempts | None


async def add(writer: Writer, client: Client, secret: SecretDigest) -> datetime | None:
    """When it was recorded; None if the id is taken."""
    rows = await writer.change(
        ADD,
        client_id=client.client_id,
        organization_id=client.organization_id,
        name=client.name,
        scopes=list(client.scopes),
        may_act_for_others=client.may_act_for_others,
        is_disabled=client.is_disabled,
        secret_salt=secret.salt,
        secret_digest=secret.digest,
    )
    return rows[0]["recorded_at"] if rows else None


async def find(reader: Reader, client_id: str) -> tuple[Client, SecretDigest] | None:
    """The client of that id, with what is kept of its secret."""
    row = await reader.fetch_one(FIND, client_id=client_id)
    return None if row is None else (_client(row), SecretDigest(row["secret_salt"], row["secret_digest"]))


async def find_for_login(reader: Reader, client_id: str) -> Login:
    """What is known of that id, in one statement."""
    row = await reader.fetch_one(FIND_FOR_LOGIN, client_id=client_id)
    if row is None:
        raise AssertionError("the statement answers one row always")
    attempts = None if row["failures"] is None else Attempts(row["failures"], row["window_ends_at"])
    if row["client_id"] is None:
        return Login(None, None, attempts)
    return Login(_client(row), SecretDigest(row["secret_salt"], row["secret_digest"]), attempts)


async def set_disabled(writer: Writer, client_id: str, *, is_disabled: bool) -> Client | None:
    """The client as it is now; None if there is none."""
    rows = await writer.change(SET_DISABLED, of_client=client_id, disabled=is_disabled)
    return _client(rows[0]) if rows else None


async def set_grant(writer: Writer, client_id: str, scopes: Sequence[str], secret: SecretDigest) -> None:
    """Replaces scopes and secret."""
    await writer.execute(
        SET_GRANT, of_client=client_id, new_scopes=list(scopes), new_salt=secret.salt, new_digest=secret.digest
    )


async def note_failure(writer: Writer, client_id: str, now: datetime, window: timedelta) -> None:
    """Counts one more failed attempt; the first opens a window, after which they are forgotten."""
    await writer.execute(NOTE_FAILURE, client_id=client_id, now=now, window_ends_at=now + window)


async def forget_failures(writer: Writer, now: datetime) -> None:
    """Removes what no longer counts."""
    await writer.execute(FORGET_FAILURES, now=now)


def _client(row: asyncpg.Record) -> Client:
    return Client(
        row["client_id"],
        row["organization_id"],
        row["name"],
        tuple(row["scopes"]),
        row["may_act_for_others"],
        row["is_disabled"],
        row["recorded_at"],
    )
