"""Exports: begun, found, taken up, leased, moved on, finished, forgotten."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.exchange.model import Export, ExportChunk, ExportFile, FileKind, Lease, State
from services.exchange.store.progress import LeaseLostError
from services.exchange.tables import export_chunks, export_files, exports

_BEGIN = Statement(
    "exports.begin",
    text(
        "INSERT INTO exports (export_id, organization_id, subject, request_url, plan, ignored, state, transaction_time,"
        " recorded_at) VALUES (:id, :organization_id, :subject, :request_url, :plan, CAST(:ignored AS text[]), :state,"
        " CAST(:now AS timestamptz), CAST(:now AS timestamptz)) RETURNING *"
    ),
)
_OPEN_OF = Statement(
    "exports.open_of",
    text("SELECT count(*) FROM exports WHERE organization_id = :organization_id AND subject = :subject"
         " AND state IN (2, 3)"),
)  # fmt: skip
_FIND = Statement(
    "exports.find",
    select(exports).where(
        exports.c.export_id == bindparam("id"),
        exports.c.organization_id == bindparam("organization_id"),
        exports.c.subject == bindparam("subject"),
    ),
)
_FILES = Statement(
    "exports.files",
    select(export_files).where(export_files.c.export_id == bindparam("id")).order_by(export_files.c.number),
)
_CHUNK = Statement(
    "exports.chunk",
    select(export_chunks.c.bytes).where(
        export_chunks.c.export_id == bindparam("id"),
        export_chunks.c.number == bindparam("number"),
        export_chunks.c.chunk == bindparam("chunk"),
    ),
)
# What this instance ran before it died is its own at once. Leases are by the database's clock, as in jobs.py.
_WAITING = "(state = 2 OR (state = 3 AND (leased_by = CAST(:instance AS text) OR leased_until < now())))"
_TAKE = Statement(
    "exports.take",
    text(
        "UPDATE exports SET state = 3, leased_by = CAST(:instance AS text),"
        " leased_until = now() + CAST(:kept AS interval), attempts = attempts + 1,"
        " started_at = COALESCE(started_at, CAST(:now AS timestamptz)) "
        f"WHERE export_id = (SELECT export_id FROM exports WHERE {_WAITING}"
        " ORDER BY state DESC, recorded_at, export_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *"
    ),
)
_HELD = "export_id = :id AND state = 3 AND leased_by = :instance AND attempts = :attempt"
_RENEW = Statement(
    "exports.renew", text(f"UPDATE exports SET leased_until = now() + CAST(:kept AS interval) WHERE {_HELD}")
)
_OPEN = Statement(
    "exports.open",
    text(
        "UPDATE exports SET types = CAST(:types AS text[]), registration_ids = CAST(:registration_ids AS text[])"
        f" WHERE {_HELD} RETURNING *"
    ),
)
_ADVANCE = Statement(
    "exports.advance",
    text(
        "UPDATE exports SET part = :part, place = :place, resources = resources + :resources,"
        f" leased_until = now() + CAST(:kept AS interval) WHERE {_HELD}"
    ),
)
_KEEP_FILE = Statement(
    "exports.keep_file",
    text(
        "INSERT INTO export_files (export_id, number, kind, type, lines, size_bytes, crc32, chunks, sha256) "
        "SELECT CAST(:id AS text), * FROM unnest(CAST(:numbers AS integer[]), CAST(:kinds AS smallint[]),"
        " CAST(:types AS text[]), CAST(:lines AS bigint[]), CAST(:sizes AS bigint[]), CAST(:crcs AS bigint[]),"
        " CAST(:chunks AS integer[]), CAST(:sha256s AS text[])) "
        "ON CONFLICT (export_id, number) DO UPDATE SET lines = excluded.lines, size_bytes = excluded.size_bytes,"
        " crc32 = excluded.crc32, chunks = excluded.chunks, sha256 = excluded.sha256"
    ),
)
_FINISH = Statement(
    "exports.finish",
    text(
        "UPDATE exports SET state = :state, error_reason = :reason, error_message = :message, leased_by = '', plan = '',"
        " registration_ids = '{}', finished_at = CAST(:now AS timestamptz), expires_at = CAST(:expires AS timestamptz)"
        f" WHERE {_HELD}"
    ),
)
_FORGET = (
    Statement("exports.forget", text("DELETE FROM exports WHERE export_id = ANY(CAST(:ids AS text[]))")),
    Statement("exports.forget_files", text("DELETE FROM export_files WHERE export_id = ANY(CAST(:ids AS text[]))")),
    Statement("exports.forget_chunks", text("DELETE FROM export_chunks WHERE export_id = ANY(CAST(:ids AS text[]))")),
)
_EXPIRED = Statement(
    "exports.expired",
    text("SELECT export_id FROM exports WHERE expires_at < CAST(:now AS timestamptz) ORDER BY expires_at LIMIT 100"),
)


def _export(row: object) -> Export:
    names = Export.__slots__
    values = {name: row[name] for name in names}  # type: ignore[index]  # a record of asyncpg
    values["state"] = State(values["state"])
    return Export(**values)


async def begin(
    writer: Writer,
    export_id: str,
    owner: tuple[str, str],
    request_url: str,
    plan: str,
    ignored: Sequence[str],
    now: datetime,
) -> Export:
    """Queues an export of the owner: organisation and subject."""
    organization_id, subject = owner
    rows = await writer.change(
        _BEGIN,
        id=export_id,
        organization_id=organization_id,
        subject=subject,
        request_url=request_url,
        plan=plan,
        ignored=list(ignored),
        state=int(State.QUEUED),
        now=now,
    )
    return _export(rows[0])


async def count_open(reader: Reader, owner: tuple[str, str]) -> int:
    """How many of the owner's exports are not finished."""
    organization_id, subject = owner
    return int(await reader.fetch_value(_OPEN_OF, organization_id=organization_id, subject=subject))


async def find(reader: Reader, export_id: str, owner: tuple[str, str]) -> Export | None:
    """An export of the owner, or None."""
    organization_id, subject = owner
    row = await reader.fetch_one(_FIND, id=export_id, organization_id=organization_id, subject=subject)
    return _export(row) if row else None


async def files_of(reader: Reader, export_id: str) -> list[ExportFile]:
    """The files of an export, in their order."""
    return [
        ExportFile(
            row["number"],
            FileKind(row["kind"]),
            row["type"],
            row["lines"],
            row["size_bytes"],
            row["crc32"],
            row["chunks"],
            row["sha256"],
        )
        for row in await reader.fetch(_FILES, id=export_id)
    ]


async def read_chunk(reader: Reader, export_id: str, number: int, chunk: int) -> bytes | None:
    """A chunk of a file; None where there is none."""
    value: bytes | None = await reader.fetch_value(_CHUNK, id=export_id, number=number, chunk=chunk)
    return value


async def take(writer: Writer, instance: str, now: datetime, kept: timedelta) -> Export | None:
    """Takes up the export that has waited longest; None when none waits."""
    rows = await writer.change(_TAKE, instance=instance, now=now, kept=kept)
    return _export(rows[0]) if rows else None


async def renew(writer: Writer, lease: Lease, kept: timedelta) -> bool:
    """Keeps a lease; False when it was lost."""
    return await writer.execute(_RENEW, kept=kept, **_of(lease)) == 1


async def note_walk(writer: Writer, lease: Lease, types: Sequence[str], registration_ids: Sequence[str]) -> Export:
    """Writes down what there is to walk. Raises LeaseLostError."""
    rows = await writer.change(_OPEN, types=list(types), registration_ids=list(registration_ids), **_of(lease))
    if not rows:
        raise LeaseLostError
    return _export(rows[0])


async def advance(
    writer: Writer,
    lease: Lease,
    position: tuple[int, str],
    resources: int,
    files: Sequence[ExportFile],
    chunks: Sequence[ExportChunk],
    kept: timedelta,
) -> None:
    """Moves an export on by a page. Raises LeaseLostError, and then nothing of it is stored."""
    part, place = position
    if await writer.execute(_ADVANCE, part=part, place=place, resources=resources, kept=kept, **_of(lease)) != 1:
        raise LeaseLostError
    await _keep(writer, lease.import_id, files, chunks)


async def finish(
    writer: Writer,
    lease: Lease,
    state: State,
    files: Sequence[ExportFile],
    now: datetime,
    expires: datetime,
    *,
    reason: str = "",
    message: str = "",
) -> None:
    """Ends an export. Raises LeaseLostError."""
    values = {"state": int(state), "reason": reason, "message": message, "now": now, "expires": expires}
    if await writer.execute(_FINISH, **values, **_of(lease)) != 1:
        raise LeaseLostError
    await _keep(writer, lease.import_id, files, ())


async def forget(writer: Writer, export_ids: Sequence[str]) -> None:
    """Removes exports and their files."""
    for statement in _FORGET:
        await writer.execute(statement, ids=list(export_ids))


async def expired(reader: Reader, now: datetime) -> list[str]:
    """Some of the exports whose time is over."""
    return [row["export_id"] for row in await reader.fetch(_EXPIRED, now=now)]


async def _keep(writer: Writer, export_id: str, files: Sequence[ExportFile], chunks: Sequence[ExportChunk]) -> None:
    if files:
        await writer.execute(
            _KEEP_FILE,
            id=export_id,
            numbers=[one.number for one in files],
            kinds=[int(one.kind) for one in files],
            types=[one.type for one in files],
            lines=[one.lines for one in files],
            sizes=[one.size_bytes for one in files],
            crcs=[one.crc32 for one in files],
            chunks=[one.chunks for one in files],
            sha256s=[one.sha256 for one in files],
        )
    if chunks:
        rows = [(export_id, one.number, one.chunk, one.data) for one in chunks]
        await writer.copy("export_chunks", ("export_id", "number", "chunk", "bytes"), rows)


def _of(lease: Lease) -> dict[str, str | int]:
    return {"id": lease.import_id, "instance": lease.instance, "attempt": lease.attempt}
