"""Imports: found, listed, taken up, leased, finished."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import orjson
from sqlalchemy import bindparam, select, text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.exchange.model import FileProgress, Import, Lease, RejectedRow, Rejection, State
from services.exchange.store.rows import import_of, progress_of
from services.exchange.tables import import_files, imports, rejected_rows

_FIND = Statement(
    "imports.find",
    select(imports).where(
        imports.c.import_id == bindparam("import_id"),
        imports.c.organization_id == bindparam("organization_id"),
        imports.c.state != bindparam("uploading"),
    ),
)
_LIST = Statement(
    "imports.list",
    select(imports)
    .where(
        imports.c.organization_id == bindparam("organization_id"),
        imports.c.import_id < bindparam("before"),
        imports.c.state != bindparam("uploading"),
    )
    .order_by(imports.c.import_id.desc())
    .limit(bindparam("count")),
)
_FILES = Statement(
    "imports.files",
    text(
        "SELECT * FROM import_files WHERE import_id = ANY(CAST(:import_ids AS text[])) ORDER BY import_id, position"
    ).columns(*import_files.c),
)
_REJECTED = Statement(
    "imports.rejected",
    select(rejected_rows)
    .where(
        rejected_rows.c.import_id == bindparam("import_id"),
        text("(position, line) > (CAST(:position AS integer), CAST(:line AS bigint))"),
        text("(CAST(:file AS text) = '' OR file = CAST(:file AS text))"),
    )
    .order_by(rejected_rows.c.position, rejected_rows.c.line)
    .limit(bindparam("count")),
)
_SNAPSHOT = Statement(
    "imports.snapshot",
    text(
        "SELECT * FROM imports WHERE import_id > :after AND state <> :uploading ORDER BY import_id LIMIT :count"
    ).columns(*imports.c),
)
# Of an organisation's files one runs at a time, oldest first. What this instance ran before it died is its own at once.
# Leases are by the database's clock, which is one for all: by a clock that was set back, a job would stand for as long.
_WAITING = (
    "(one.state = 2 OR (one.state = 3 AND (one.leased_by = CAST(:instance AS text)"
    " OR one.leased_until < now())))"
    " AND one.import_id <> ALL(CAST(:running AS text[]))"
    " AND NOT EXISTS (SELECT 1 FROM imports other WHERE other.organization_id = one.organization_id"
    " AND other.state = 3 AND other.import_id <> one.import_id)"
)
_NEXT = Statement(
    "imports.next",
    text(
        "SELECT one.import_id, one.organization_id FROM imports one WHERE one.state IN (2, 3) AND "
        + _WAITING
        + " ORDER BY one.state DESC, one.touched_at, one.import_id LIMIT 1"
    ),
)
_TAKE = Statement(
    "imports.take",
    text(
        "UPDATE imports one SET state = 3, leased_by = CAST(:instance AS text),"
        " leased_until = now() + CAST(:kept AS interval), attempts = attempts + 1,"
        " started_at = COALESCE(started_at, CAST(:now AS timestamptz)) "
        "WHERE one.import_id = (SELECT one.import_id FROM imports one WHERE one.import_id = CAST(:id AS text) AND "
        + _WAITING
        + " FOR UPDATE SKIP LOCKED) RETURNING *"
    ),
)
_HELD = "import_id = :id AND state = 3 AND leased_by = :instance AND attempts = :attempt"
_RENEW = Statement(
    "imports.renew",
    text("UPDATE imports SET leased_until = now() + CAST(:kept AS interval) WHERE " + _HELD),
)
_FINISH = Statement(
    "imports.finish",
    text(
        "UPDATE imports SET state = :state, error_reason = :reason, error_message = :message, leased_by = '',"
        " upload_id = '', rows_total = rows_done, finished_at = CAST(:now AS timestamptz) WHERE "
        + _HELD
        + " RETURNING *"
    ),
)
_CANCEL = Statement(
    "imports.cancel",
    text(
        "UPDATE imports SET state = :state, leased_by = '', upload_id = '', finished_at = CAST(:now AS timestamptz)"
        " WHERE import_id = :id AND state IN (2, 3) RETURNING *"
    ),
)
_CLEAR = (
    Statement("imports.clear_bytes", text("DELETE FROM import_chunks WHERE upload_id = :upload_id")),
    Statement("imports.clear_parts", text("DELETE FROM staged_parts WHERE import_id = :id")),
    Statement("imports.clear_rows", text("DELETE FROM staged_rows WHERE import_id = :id")),
    Statement("imports.clear_lines", text("DELETE FROM deferred_lines WHERE import_id = :id")),
    Statement("imports.clear_inputs", text("DELETE FROM input_chunks WHERE import_id = :id")),
)
# Greater than every id, which are hexadecimal.
NEWEST = "g"


async def find(reader: Reader, import_id: str, organization_id: str) -> Import | None:
    """An import of the organisation, or None."""
    row = await reader.fetch_one(
        _FIND, import_id=import_id, organization_id=organization_id, uploading=int(State.UPLOADING)
    )
    return import_of(row) if row else None


async def list_before(reader: Reader, organization_id: str, before: str, count: int) -> list[Import]:
    """The organisation's imports, newest first, older than `before`."""
    rows = await reader.fetch(
        _LIST, organization_id=organization_id, before=before, uploading=int(State.UPLOADING), count=count
    )
    return [import_of(row) for row in rows]


async def files_of(reader: Reader, import_ids: Sequence[str]) -> dict[str, list[FileProgress]]:
    """The files of imports, in their order."""
    files: dict[str, list[FileProgress]] = {import_id: [] for import_id in import_ids}
    for row in await reader.fetch(_FILES, import_ids=list(import_ids)):
        files[row["import_id"]].append(progress_of(row))
    return files


async def rejected(reader: Reader, import_id: str, file: str, after: tuple[int, int], count: int) -> list[RejectedRow]:
    """Rejected rows after a (position, line), in the order of files and lines."""
    position, line = after
    rows = await reader.fetch(_REJECTED, import_id=import_id, file=file, position=position, line=line, count=count)
    return [
        RejectedRow(
            row["position"],
            row["file"],
            Rejection(
                row["line"],
                row["column_name"],
                row["reason"],
                row["message"],
                row["raw"],
                [(one[0], one[1], one[2]) for one in orjson.loads(row["issues"] or "[]")],
            ),
        )
        for row in rows
    ]


async def snapshot(reader: Reader, page: int = 1000) -> AsyncIterator[Import]:
    """Every import, for a follower that begins."""
    after = ""
    while rows := await reader.fetch(_SNAPSHOT, after=after, uploading=int(State.UPLOADING), count=page):
        for row in rows:
            yield import_of(row)
        after = rows[-1]["import_id"]


async def next_waiting(reader: Reader, instance: str, running: Sequence[str]) -> tuple[str, str] | None:
    """The import to take up next with its organisation, or None."""
    row = await reader.fetch_one(_NEXT, instance=instance, running=list(running))
    return (row["import_id"], row["organization_id"]) if row else None


async def take(
    writer: Writer, import_id: str, instance: str, running: Sequence[str], now: datetime, kept: timedelta
) -> Import | None:
    """Takes an import up, if it still waits."""
    rows = await writer.change(_TAKE, id=import_id, instance=instance, running=list(running), now=now, kept=kept)
    return import_of(rows[0]) if rows else None


async def renew(writer: Writer, lease: Lease, kept: timedelta) -> bool:
    """Keeps a lease; False when it was lost."""
    return await writer.execute(_RENEW, kept=kept, **_of(lease)) == 1


async def finish(
    writer: Writer, lease: Lease, upload_id: str, state: State, now: datetime, reason: str = "", message: str = ""
) -> Import | None:
    """Ends an import and forgets its bytes; None when the lease was lost."""
    rows = await writer.change(_FINISH, state=int(state), reason=reason, message=message, now=now, **_of(lease))
    if not rows:
        return None
    await _clear(writer, lease.import_id, upload_id)
    return import_of(rows[0])


async def cancel(writer: Writer, found: Import, now: datetime) -> Import | None:
    """Cancels an import that is not finished; None when it is."""
    rows = await writer.change(_CANCEL, id=found.import_id, state=int(State.CANCELLED), now=now)
    if not rows:
        return None
    await _clear(writer, found.import_id, found.upload_id)
    return import_of(rows[0])


async def _clear(writer: Writer, import_id: str, upload_id: str) -> None:
    bytes_of, *others = _CLEAR
    await writer.execute(bytes_of, upload_id=upload_id)
    for statement in others:
        await writer.execute(statement, id=import_id)


def _of(lease: Lease) -> dict[str, str | int]:
    return {"id": lease.import_id, "instance": lease.instance, "attempt": lease.attempt}
