"""Bytes on their way in."""

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, text, update

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.exchange.model import Format, Import, State
from services.exchange.store.rows import import_of
from services.exchange.tables import import_chunks, imports

_BEGIN = Statement(
    "uploads.begin",
    insert(imports).values(
        import_id=bindparam("import_id"),
        organization_id=bindparam("organization_id"),
        format=bindparam("format"),
        file_name=bindparam("file_name"),
        state=bindparam("state"),
        upload_id=bindparam("import_id"),
        recorded_at=bindparam("now"),
        touched_at=bindparam("now"),
    ),
)
_APPEND = Statement(
    "uploads.append",
    text(
        "WITH touched AS (UPDATE imports SET touched_at = CAST(:now AS timestamptz)"
        " WHERE import_id = CAST(:upload_id AS text) RETURNING upload_id) "
        "INSERT INTO import_chunks (upload_id, number, bytes)"
        " SELECT upload_id, CAST(:number AS integer), CAST(:bytes AS bytea) FROM touched"
    ),
)
_FIND_SAME = Statement(
    "uploads.find_same",
    select(imports).where(
        imports.c.organization_id == bindparam("organization_id"),
        imports.c.format == bindparam("format"),
        imports.c.sha256 == bindparam("sha256"),
        imports.c.state != bindparam("uploading"),
    ),
)
_QUEUE = Statement(
    "uploads.queue",
    update(imports)
    .where(imports.c.import_id == bindparam("id"))
    .values(
        state=bindparam("state"),
        sha256=bindparam("sha256"),
        size_bytes=bindparam("size_bytes"),
        touched_at=bindparam("now"),
    )
    .returning(imports),
)
_QUEUE_AGAIN = Statement(
    "uploads.queue_again",
    text(
        "UPDATE imports SET state = :state, upload_id = :upload_id, file_name = :file_name, run = run + :anew,"
        " rows_total = CASE WHEN :anew = 1 THEN 0 ELSE rows_total END,"
        " rows_done = CASE WHEN :anew = 1 THEN 0 ELSE rows_done END,"
        " cursor = CASE WHEN :anew = 1 THEN '' ELSE cursor END,"
        " error_reason = '', error_message = '', finished_at = NULL, leased_by = '',"
        " touched_at = CAST(:now AS timestamptz)"
        " WHERE import_id = :id RETURNING *"
    ),
)
_FORGET_FILES = Statement("uploads.forget_files", text("DELETE FROM import_files WHERE import_id = :id"))
_FORGET_REJECTED = Statement("uploads.forget_rejected", text("DELETE FROM rejected_rows WHERE import_id = :id"))
_DISCARD = Statement(
    "uploads.discard",
    delete(imports).where(imports.c.import_id == bindparam("id"), imports.c.state == bindparam("uploading")),
)
_DISCARD_BYTES = Statement(
    "uploads.discard_bytes", delete(import_chunks).where(import_chunks.c.upload_id == bindparam("upload_id"))
)
_SWEEP = Statement(
    "uploads.sweep",
    text(
        "DELETE FROM imports WHERE state = :uploading AND touched_at < CAST(:before AS timestamptz) RETURNING upload_id"
    ),
)
_SWEEP_BYTES = Statement(
    "uploads.sweep_bytes",
    text("DELETE FROM import_chunks WHERE upload_id = ANY(CAST(:upload_ids AS text[]))"),
)
# An upload's bytes are stored under its import's id.
_SWEEP_INPUTS = Statement(
    "uploads.sweep_inputs", text("DELETE FROM input_chunks WHERE import_id = ANY(CAST(:upload_ids AS text[]))")
)
_READ = Statement(
    "uploads.read",
    select(import_chunks.c.bytes).where(
        import_chunks.c.upload_id == bindparam("upload_id"), import_chunks.c.number == bindparam("number")
    ),
)


async def begin(
    writer: Writer, import_id: str, organization_id: str, file_format: Format, file_name: str, now: datetime
) -> None:
    """Opens an upload; its bytes are stored under the import's id."""
    await writer.execute(
        _BEGIN,
        import_id=import_id,
        organization_id=organization_id,
        format=int(file_format),
        file_name=file_name,
        state=int(State.UPLOADING),
        now=now,
    )


async def append(writer: Writer, upload_id: str, number: int, data: bytes, now: datetime) -> bool:
    """Stores a chunk; False when the upload was swept away meanwhile."""
    return await writer.execute(_APPEND, upload_id=upload_id, number=number, bytes=data, now=now) == 1


async def find_same(reader: Reader, organization_id: str, file_format: Format, sha256: str) -> Import | None:
    """The import of the same bytes, or None."""
    row = await reader.fetch_one(
        _FIND_SAME,
        organization_id=organization_id,
        format=int(file_format),
        sha256=sha256,
        uploading=int(State.UPLOADING),
    )
    return import_of(row) if row else None


async def queue(writer: Writer, import_id: str, sha256: str, size_bytes: int, now: datetime) -> Import | None:
    """Makes an upload that is complete an import that waits; None when it was swept away meanwhile."""
    rows = await writer.change(
        _QUEUE, id=import_id, state=int(State.QUEUED), sha256=sha256, size_bytes=size_bytes, now=now
    )
    return import_of(rows[0]) if rows else None


async def queue_again(
    writer: Writer, import_id: str, upload_id: str, file_name: str, now: datetime, *, anew: bool
) -> Import:
    """Gives a finished import its bytes again; with `anew`, its counts and rejected rows are forgotten."""
    if anew:
        await writer.execute(_FORGET_FILES, id=import_id)
        await writer.execute(_FORGET_REJECTED, id=import_id)
    rows = await writer.change(
        _QUEUE_AGAIN,
        id=import_id,
        upload_id=upload_id,
        file_name=file_name,
        state=int(State.QUEUED),
        anew=int(anew),
        now=now,
    )
    return import_of(rows[0])


async def discard(writer: Writer, import_id: str, *, keep_bytes: bool = False) -> None:
    """Removes an upload that comes to nothing, or whose bytes now belong to an earlier import."""
    removed = await writer.execute(_DISCARD, id=import_id, uploading=int(State.UPLOADING))
    if removed and not keep_bytes:
        await writer.execute(_DISCARD_BYTES, upload_id=import_id)


async def sweep(writer: Writer, before: datetime) -> int:
    """Removes uploads to which no byte came since; answers how many."""
    rows = await writer.change(_SWEEP, uploading=int(State.UPLOADING), before=before)
    if rows:
        for statement in (_SWEEP_BYTES, _SWEEP_INPUTS):
            await writer.execute(statement, upload_ids=[row["upload_id"] for row in rows])
    return len(rows)


async def read_chunk(reader: Reader, upload_id: str, number: int) -> bytes | None:
    """A chunk of the bytes; None after the last."""
    value: bytes | None = await reader.fetch_value(_READ, upload_id=upload_id, number=number)
    return value
