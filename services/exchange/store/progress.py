"""How far an import is: planned once, then moved on chunk by chunk, each in one transaction with what it left."""

from collections.abc import Sequence
from datetime import timedelta

import orjson
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.exchange.model import Chunk, Effects, Lease, PlannedFile
from services.exchange.store import inputs, people

_ADVANCE = Statement(
    "progress.advance",
    text(
        "UPDATE imports SET rows_done = rows_done + :rows, leased_until = now() + CAST(:kept AS interval),"
        " cursor = COALESCE(CAST(:cursor AS text), cursor)"
        " WHERE import_id = :id AND state = 3 AND leased_by = :instance AND attempts = :attempt"
    ),
)
_STEP = Statement(
    "progress.step",
    text(
        "UPDATE import_files file SET created = file.created + step.created, updated = file.updated + step.updated,"
        " unchanged = file.unchanged + step.unchanged, rejected = file.rejected + step.rejected,"
        " skipped = file.skipped + step.skipped, after_line = GREATEST(file.after_line, step.after_line),"
        " after_offset = GREATEST(file.after_offset, step.after_offset),"
        " is_done = file.is_done OR step.is_done,"
        # Blank lines were counted as rows when the file was planned.
        " rows = CASE WHEN step.is_done THEN file.created + step.created + file.updated + step.updated"
        " + file.unchanged + step.unchanged + file.rejected + step.rejected + file.skipped + step.skipped"
        " ELSE file.rows END "
        "FROM unnest(CAST(:positions AS integer[]), CAST(:created AS bigint[]), CAST(:updated AS bigint[]),"
        " CAST(:unchanged AS bigint[]), CAST(:rejected AS bigint[]), CAST(:skipped AS bigint[]),"
        " CAST(:after_lines AS bigint[]), CAST(:done AS boolean[]), CAST(:after_offsets AS bigint[]))"
        " AS step(position, created, updated, unchanged, rejected, skipped, after_line, is_done, after_offset) "
        "WHERE file.import_id = :id AND file.position = step.position"
    ),
)
_PLAN = Statement(
    "progress.plan",
    text(
        "INSERT INTO import_files (import_id, position, file, rows, skipped, note, is_done) "
        "SELECT CAST(:id AS text), position, file, rows, CASE WHEN passed THEN rows ELSE 0 END, note, passed "
        "FROM unnest(CAST(:positions AS integer[]), CAST(:files AS text[]), CAST(:rows AS bigint[]),"
        " CAST(:notes AS text[]), CAST(:passed AS boolean[])) AS planned(position, file, rows, note, passed)"
    ),
)
_TOTAL = Statement(
    "progress.total",
    text(
        "UPDATE imports SET rows_total = :total, rows_done = :done"
        " WHERE import_id = :id AND state = 3 AND leased_by = :instance AND attempts = :attempt"
    ),
)
_STAGED_VISITS = Statement(
    "progress.staged_visits",
    text(
        "SELECT visit, position, line, fields FROM staged_rows WHERE import_id = :id AND visit IN ("
        "SELECT DISTINCT visit FROM staged_rows WHERE import_id = :id AND visit > :after ORDER BY visit LIMIT :count)"
        " ORDER BY visit, position, line"
    ),
)
_REJECTED_COLUMNS = ("import_id", "position", "line", "file", "column_name", "reason", "message", "raw", "issues")
_STAGED_COLUMNS = ("import_id", "visit", "position", "line", "fields")


class LeaseLostError(Exception):
    """The import was cancelled, or somebody else works on it."""


async def plan(writer: Writer, lease: Lease, files: Sequence[PlannedFile]) -> None:
    """Writes down what there is to do. Raises LeaseLostError."""
    total = sum(file.rows for file in files)
    done = sum(file.rows for file in files if file.is_passed_over)
    if await writer.execute(_TOTAL, total=total, done=done, **_of(lease)) != 1:
        raise LeaseLostError
    await writer.execute(
        _PLAN,
        id=lease.import_id,
        positions=list(range(len(files))),
        files=[file.file for file in files],
        rows=[file.rows for file in files],
        notes=[file.note for file in files],
        passed=[file.is_passed_over for file in files],
    )


async def commit(writer: Writer, lease: Lease, organization_id: str, chunk: Chunk, kept: timedelta) -> None:
    """Moves an import on by a chunk. Raises LeaseLostError, and then nothing of it is stored."""
    rows = sum(step.counts.total for step in chunk.steps)
    if await writer.execute(_ADVANCE, rows=rows, kept=kept, cursor=chunk.cursor, **_of(lease)) != 1:
        raise LeaseLostError
    steps = chunk.steps
    await writer.execute(
        _STEP,
        id=lease.import_id,
        positions=[step.position for step in steps],
        created=[step.counts.created for step in steps],
        updated=[step.counts.updated for step in steps],
        unchanged=[step.counts.unchanged for step in steps],
        rejected=[step.counts.rejected for step in steps],
        skipped=[step.counts.skipped for step in steps],
        after_lines=[step.after_line or 0 for step in steps],
        done=[step.is_done for step in steps],
        after_offsets=[step.after_offset or 0 for step in steps],
    )
    if chunk.rejected:
        await writer.copy(
            "rejected_rows",
            _REJECTED_COLUMNS,
            [
                (
                    lease.import_id,
                    one.position,
                    one.rejection.line,
                    one.file,
                    one.rejection.column,
                    one.rejection.reason,
                    one.rejection.message,
                    one.rejection.row.replace("\0", ""),
                    orjson.dumps(one.rejection.issues).decode() if one.rejection.issues else "",
                )
                for one in chunk.rejected
            ],
        )
    await _leave(writer, lease.import_id, organization_id, chunk.effects)


async def staged_visits(
    reader: Reader, import_id: str, after: str, count: int
) -> dict[str, list[tuple[int, int, list[str]]]]:
    """The next visits that wait, each with its rows: (position of the file, line, values)."""
    visits: dict[str, list[tuple[int, int, list[str]]]] = {}
    for row in await reader.fetch(_STAGED_VISITS, id=import_id, after=after, count=count):
        visits.setdefault(row["visit"], []).append((row["position"], row["line"], row["fields"]))
    return visits


async def _leave(writer: Writer, import_id: str, organization_id: str, effects: Effects) -> None:
    if effects.persons:
        await people.keep_persons(writer, organization_id, effects.persons)
    if effects.visits:
        await people.keep_visits(writer, organization_id, effects.visits)
    if effects.homes:
        await people.keep_homes(writer, organization_id, effects.homes)
    if effects.parts:
        await people.stage_parts(writer, import_id, effects.parts)
    if effects.staged:
        rows = [(import_id, row.visit, row.position, row.line, list(row.values)) for row in effects.staged]
        await writer.copy("staged_rows", _STAGED_COLUMNS, rows)
    await inputs.leave(writer, import_id, organization_id, effects)


def _of(lease: Lease) -> dict[str, str | int]:
    return {"id": lease.import_id, "instance": lease.instance, "attempt": lease.attempt}
