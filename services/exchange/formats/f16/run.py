"""Drives an import of claim files from its zip to its end."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO

from services.exchange.archives import Members
from services.exchange.formats.f16.reading import ClaimTable, claim_tables
from services.exchange.job import CHUNK_ROWS, Job
from services.exchange.mapping.claim import (
    COLUMNS,
    NOTES,
    ClaimError,
    ClaimRow,
    claim_of,
    hospital_number,
    visit_of,
)
from services.exchange.model import (
    Chunk,
    Counts,
    Effects,
    FileStep,
    Outcome,
    PlannedFile,
    RejectedRow,
    Rejection,
    StagedRow,
)
from services.exchange.neighbours import RefusedError
from services.exchange.rules import count
from services.exchange.store import people, progress

# So many visits are committed at once; so many claims are on their way at once.
VISITS = 100
CLAIMS_AT_ONCE = 8
_BELONGS = "the row belongs to a visit that could not be claimed"


async def process(job: Job, source: IO[bytes]) -> None:
    """Processes what is left of the import. Raises ArchiveError before anything is stored, LeaseLostError."""
    with await asyncio.to_thread(Members, source) as members:
        tables = await asyncio.to_thread(claim_tables, members)
        if not job.files:
            await job.plan(
                [
                    PlannedFile(table.file, table.row_count, NOTES.get(table.file, ""), table.file in NOTES)
                    for table in tables
                ]
            )
        for table in tables:
            await _stage(job, table)
    await _claim(job)
    await job.commit(Chunk([FileStep(file.position, is_done=True) for file in job.files if not file.is_done]))


async def _stage(job: Job, table: ClaimTable) -> None:
    """Holds the rows of a file until their visits are whole."""
    planned = job.file(table.file)
    if planned is None or planned.is_done:
        return
    rows = table.rows(planned.after_line)
    while batch := await asyncio.to_thread(_next, rows):
        staged, rejected = [], []
        for row in batch:
            if isinstance(row, Rejection):
                rejected.append(row)
                continue
            line, values = row
            visit = visit_of(dict(zip(COLUMNS[table.file], values, strict=True)))
            if visit:
                staged.append(StagedRow(visit, planned.position, line, values))
            else:
                message = "the row names neither a visit (SEQ) nor an admission (AN)"
                rejected.append(Rejection(line, "SEQ", "VISIT_MISSING", message, "|".join(values)))
        last = batch[-1]
        last_line = last.line if isinstance(last, Rejection) else last[0]
        step = FileStep(planned.position, Counts(rejected=len(rejected)), last_line)
        refused = [RejectedRow(planned.position, table.file, one) for one in rejected]
        await job.commit(Chunk([step], refused, Effects(staged=staged)))


def _next(rows: Iterator[tuple[int, list[str]] | Rejection]) -> list[tuple[int, list[str]] | Rejection]:
    return list(itertools.islice(rows, CHUNK_ROWS))


async def _claim(job: Job) -> None:
    """Submits the visits that are left, in the order of their numbers."""
    names = {file.position: file.file for file in job.files}
    cursor = job.found.cursor
    while True:
        async with job.database.reading() as reader:
            staged = await progress.staged_visits(reader, job.found.import_id, cursor, VISITS)
        if not staged:
            return
        visits = {
            visit: [
                ClaimRow(names[position], position, line, dict(zip(COLUMNS[names[position]], values, strict=True)))
                for position, line, values in rows
            ]
            for visit, rows in staged.items()
        }
        cursor = next(reversed(visits))
        await job.commit(await _submit(job, visits, cursor))


async def _submit(job: Job, visits: dict[str, list[ClaimRow]], cursor: str) -> Chunk:
    numbers = {hospital_number(rows) for rows in visits.values()} - {""}
    async with job.database.reading() as reader:
        known = await people.registrations_by_hn(reader, job.organization_id, numbers)
    limit = asyncio.Semaphore(CLAIMS_AT_ONCE)

    async def submit(visit: str, rows: Sequence[ClaimRow]) -> Outcome | ClaimError:
        registration = known.get(hospital_number(rows))
        if registration is None:
            message = "no person who was registered with the 43 files has this HN"
            return ClaimError(rows[0], "HN", "PERSON_UNKNOWN", message)
        try:
            claim = claim_of(job.organization_id, visit, rows, registration)
            async with limit:
                is_new = await job.neighbours.submit_claim(job.sender, f"claim/{visit}", claim)
        except ClaimError as error:
            return error
        except RefusedError as error:
            return ClaimError(rows[0], "", error.reason, " ".join(filter(None, (error.field, error.message))))
        return Outcome.CREATED if is_new else Outcome.UNCHANGED

    async with asyncio.TaskGroup() as group:
        tasks = {visit: group.create_task(submit(visit, rows)) for visit, rows in visits.items()}
    outcomes: Counter[tuple[int, Outcome]] = Counter()
    rejected = []
    for visit, task in tasks.items():
        told = task.result()
        for row in visits[visit]:
            outcomes[row.position, told if isinstance(told, Outcome) else Outcome.REJECTED] += 1
            if not isinstance(told, Outcome):
                rejected.append(_rejected(row, told))
    steps = [
        FileStep(
            position, count(outcome for (at, outcome), many in outcomes.items() if at == position for _ in range(many))
        )
        for position in sorted({position for position, _ in outcomes})
    ]
    return Chunk(steps, rejected, cursor=cursor)


def _rejected(row: ClaimRow, error: ClaimError) -> RejectedRow:
    """The row at fault says why; the others of its visit say which that is."""
    if row == error.row:
        column, message = error.column, str(error)
    else:
        column, message = "", f"{_BELONGS}: {error.row.file} line {error.row.line}: {error}"
    raw = "|".join(row.values.values())
    return RejectedRow(row.position, row.file, Rejection(row.line, column, error.reason, message, raw))
