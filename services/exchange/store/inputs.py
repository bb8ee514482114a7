"""The inputs of imports of lines: begun, stored, completed, read; what of them waits, and how sources name Patients."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.exchange.model import DeferredLine, Effects, Format, Import, Input, Lease, State
from services.exchange.store.rows import import_of
from services.exchange.tables import import_inputs, imports, input_chunks

_BEGIN = Statement(
    "inputs.begin",
    text(
        "INSERT INTO imports (import_id, organization_id, format, file_name, state, upload_id, recorded_at, touched_at,"
        " subject, request_url, input_source, grants) VALUES (:id, :organization_id, :format, '', :state, :id,"
        " CAST(:now AS timestamptz), CAST(:now AS timestamptz), :subject, :request_url, :input_source, :grants)"
    ),
)
_COUNT_OPEN = Statement(
    "inputs.count_open",
    text(
        "SELECT count(*) FROM imports WHERE organization_id = :organization_id AND subject = :subject AND format = 4"
        " AND state IN (2, 3)"
    ),
)
_QUEUE = Statement(
    "inputs.queue",
    text(
        "UPDATE imports SET state = :state, touched_at = CAST(:now AS timestamptz), size_bytes = :size_bytes"
        " WHERE import_id = :id AND state = 1 RETURNING *"
    ),
)
_ADD = Statement(
    "inputs.add",
    text(
        "INSERT INTO import_inputs (import_id, position, type, url, etag, sha256, is_complete, lines, size_bytes,"
        " found_sha256, error_reason, error_message) "
        "SELECT CAST(:id AS text), given.*, '', '' FROM unnest(CAST(:positions AS integer[]), CAST(:types AS text[]),"
        " CAST(:urls AS text[]), CAST(:etags AS text[]), CAST(:sha256s AS text[]), CAST(:complete AS boolean[]),"
        " CAST(:lines AS bigint[]), CAST(:sizes AS bigint[]), CAST(:found AS text[])) AS given"
    ),
)
_FIND = Statement(
    "inputs.find",
    select(imports).where(
        imports.c.import_id == bindparam("id"),
        imports.c.organization_id == bindparam("organization_id"),
        imports.c.subject == bindparam("subject"),
        imports.c.format == int(Format.NDJSON),
        imports.c.state != int(State.UPLOADING),
    ),
)
_INPUTS = Statement(
    "inputs.of",
    select(import_inputs).where(import_inputs.c.import_id == bindparam("id")).order_by(import_inputs.c.position),
)
# Stored while the upload is open, or the lease is held, and not later.
_APPEND = Statement(
    "inputs.append",
    text(
        "WITH touched AS (UPDATE imports SET touched_at = CAST(:now AS timestamptz) WHERE import_id = CAST(:id AS text)"
        " AND state = 1 RETURNING import_id) INSERT INTO input_chunks (import_id, position, chunk, bytes)"
        " SELECT import_id, CAST(:position AS integer), CAST(:chunk AS integer), CAST(:bytes AS bytea) FROM touched"
    ),
)
_HELD = (
    "SELECT import_id FROM imports WHERE import_id = CAST(:id AS text) AND state = 3"
    " AND leased_by = CAST(:instance AS text) AND attempts = CAST(:attempt AS integer)"
)
_APPEND_HELD = Statement(
    "inputs.append_held",
    text(
        "INSERT INTO input_chunks (import_id, position, chunk, bytes) SELECT import_id, CAST(:position AS integer),"
        f" CAST(:chunk AS integer), CAST(:bytes AS bytea) FROM ({_HELD} FOR SHARE) AS held"
    ),
)
_RESET = Statement("inputs.reset", text("DELETE FROM input_chunks WHERE import_id = :id AND position = :position"))
_COMPLETE = Statement(
    "inputs.complete",
    text(
        "UPDATE import_inputs SET is_complete = true, lines = CAST(:lines AS bigint), size_bytes = CAST(:size AS bigint),"
        " found_sha256 = :found, error_reason = :reason, error_message = :message"
        f" WHERE import_id IN ({_HELD}) AND position = CAST(:position AS integer)"
    ),
)
_READ = Statement(
    "inputs.read",
    select(input_chunks.c.bytes).where(
        input_chunks.c.import_id == bindparam("id"),
        input_chunks.c.position == bindparam("position"),
        input_chunks.c.chunk == bindparam("chunk"),
    ),
)
_DISCARD = (
    Statement("inputs.discard", text("DELETE FROM imports WHERE import_id = :id AND state = 1")),
    Statement("inputs.discard_bytes", text("DELETE FROM input_chunks WHERE import_id = :id")),
)
_DEFERRED = Statement(
    "inputs.deferred",
    text(
        "SELECT subject, position, line, start, length FROM deferred_lines WHERE import_id = :id"
        " AND (subject, position, line) > (CAST(:subject AS text), CAST(:position AS integer), CAST(:line AS bigint))"
        " ORDER BY subject, position, line LIMIT CAST(:count AS integer)"
    ),
)
_COUNT_DEFERRED = Statement("inputs.count_deferred", text("SELECT count(*) FROM deferred_lines WHERE import_id = :id"))
_SETTLE = Statement(
    "inputs.settle",
    text(
        "DELETE FROM deferred_lines USING unnest(CAST(:subjects AS text[]), CAST(:positions AS integer[]),"
        " CAST(:lines AS bigint[])) AS settled (subject, position, line) WHERE deferred_lines.import_id = :id"
        " AND deferred_lines.subject = settled.subject AND deferred_lines.position = settled.position"
        " AND deferred_lines.line = settled.line"
    ),
)
_KEEP_PATIENTS = Statement(
    "inputs.keep_patients",
    text(
        "INSERT INTO source_patients (organization_id, source, source_id, registration_id)"
        " SELECT CAST(:organization_id AS text), * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]),"
        " CAST(:registrations AS text[])) ON CONFLICT (organization_id, source, source_id)"
        " DO UPDATE SET registration_id = excluded.registration_id"
    ),
)
_PATIENTS = Statement(
    "inputs.patients",
    text(
        "SELECT source_id, registration_id FROM source_patients WHERE organization_id = :organization_id"
        " AND source = :source AND source_id = ANY(CAST(:ids AS text[]))"
    ),
)
_DEFERRED_COLUMNS = ("import_id", "subject", "position", "line", "start", "length")
BEFORE_ALL = DeferredLine("", -1, -1, 0, 0)


async def begin(
    writer: Writer,
    import_id: str,
    owner: tuple[str, str],
    now: datetime,
    *,
    request_url: str,
    input_source: str,
    grants: str,
) -> None:
    """Opens an import of the owner: organisation and subject. It waits for nothing until it is queued."""
    organization_id, subject = owner
    await writer.execute(
        _BEGIN,
        id=import_id,
        organization_id=organization_id,
        subject=subject,
        format=int(Format.NDJSON),
        state=int(State.UPLOADING),
        now=now,
        request_url=request_url,
        input_source=input_source,
        grants=grants,
    )


async def queue(writer: Writer, import_id: str, inputs: Sequence[Input], now: datetime) -> Import | None:
    """Makes it an import that waits, with these inputs; None when it was swept away meanwhile."""
    size = sum(one.size_bytes for one in inputs)
    rows = await writer.change(_QUEUE, id=import_id, state=int(State.QUEUED), now=now, size_bytes=size)
    if not rows:
        return None
    await writer.execute(
        _ADD,
        id=import_id,
        positions=[one.position for one in inputs],
        types=[one.type for one in inputs],
        urls=[one.url for one in inputs],
        etags=[one.etag for one in inputs],
        sha256s=[one.sha256 for one in inputs],
        complete=[one.is_complete for one in inputs],
        lines=[one.lines for one in inputs],
        sizes=[one.size_bytes for one in inputs],
        found=[one.found_sha256 for one in inputs],
    )
    return import_of(rows[0])


async def count_open(reader: Reader, owner: tuple[str, str]) -> int:
    """How many of the owner's imports of lines are not finished."""
    organization_id, subject = owner
    return int(await reader.fetch_value(_COUNT_OPEN, organization_id=organization_id, subject=subject))


async def find(reader: Reader, import_id: str, owner: tuple[str, str]) -> Import | None:
    """An import of lines of the owner, or None."""
    organization_id, subject = owner
    row = await reader.fetch_one(_FIND, id=import_id, organization_id=organization_id, subject=subject)
    return import_of(row) if row else None


async def inputs_of(reader: Reader, import_id: str) -> list[Input]:
    """The inputs of an import, in their order."""
    return [_input(row) for row in await reader.fetch(_INPUTS, id=import_id)]


def _input(row: Mapping[str, Any]) -> Input:
    return Input(**{name: row[name] for name in Input.__slots__})


async def append(writer: Writer, import_id: str, position: int, chunk: int, data: bytes, now: datetime) -> bool:
    """Stores a chunk of an upload; False when it was swept away meanwhile."""
    return await writer.execute(_APPEND, id=import_id, position=position, chunk=chunk, bytes=data, now=now) == 1


async def append_held(writer: Writer, lease: Lease, position: int, chunk: int, data: bytes) -> bool:
    """Stores a chunk of a file that is fetched; False when the lease was lost."""
    return await writer.execute(_APPEND_HELD, position=position, chunk=chunk, bytes=data, **_of(lease)) == 1


async def reset(writer: Writer, import_id: str, position: int) -> None:
    """Forgets what was stored of an input."""
    await writer.execute(_RESET, id=import_id, position=position)


async def complete(writer: Writer, lease: Lease, done: Input) -> bool:
    """Notes that an input is all here, or why it never will be; False when the lease was lost."""
    changed = await writer.execute(
        _COMPLETE,
        position=done.position,
        lines=done.lines,
        size=done.size_bytes,
        found=done.found_sha256,
        reason=done.error_reason,
        message=done.error_message,
        **_of(lease),
    )
    return changed == 1


async def read_chunk(reader: Reader, import_id: str, position: int, chunk: int) -> bytes | None:
    """A chunk of an input as it is stored; None after the last."""
    value: bytes | None = await reader.fetch_value(_READ, id=import_id, position=position, chunk=chunk)
    return value


async def discard(writer: Writer, import_id: str) -> None:
    """Removes an upload that comes to nothing."""
    begun, bytes_of = _DISCARD
    if await writer.execute(begun, id=import_id):
        await writer.execute(bytes_of, id=import_id)


async def deferred(reader: Reader, import_id: str, after: DeferredLine, count: int) -> list[DeferredLine]:
    """Lines that wait, after one of them, in the order of whom they are about."""
    rows = await reader.fetch(
        _DEFERRED, id=import_id, subject=after.subject, position=after.position, line=after.line, count=count
    )
    return [DeferredLine(**row) for row in rows]


async def count_deferred(reader: Reader, import_id: str) -> int:
    """How many lines wait."""
    return int(await reader.fetch_value(_COUNT_DEFERRED, id=import_id))


async def patients(reader: Reader, organization_id: str, source: str, ids: Collection[str]) -> dict[str, str]:
    """A source's ids of Patients → their registrations, for those that were imported."""
    if not ids:
        return {}
    rows = await reader.fetch(_PATIENTS, organization_id=organization_id, source=source, ids=sorted(ids))
    return {row["source_id"]: row["registration_id"] for row in rows}


async def leave(writer: Writer, import_id: str, organization_id: str, effects: Effects) -> None:
    """Stores what a chunk leaves of these."""
    if effects.deferred:
        rows = [(import_id, one.subject, one.position, one.line, one.start, one.length) for one in effects.deferred]
        await writer.copy("deferred_lines", _DEFERRED_COLUMNS, rows)
    if effects.settled:
        await writer.execute(
            _SETTLE,
            id=import_id,
            subjects=[one.subject for one in effects.settled],
            positions=[one.position for one in effects.settled],
            lines=[one.line for one in effects.settled],
        )
    if effects.patients:
        last = list({(one.source, one.source_id): one for one in effects.patients}.values())
        await writer.execute(
            _KEEP_PATIENTS,
            organization_id=organization_id,
            sources=[one.source for one in last],
            ids=[one.source_id for one in last],
            registrations=[one.registration_id for one in last],
        )


def _of(lease: Lease) -> dict[str, str | int]:
    return {"id": lease.import_id, "instance": lease.instance, "attempt": lease.attempt}
