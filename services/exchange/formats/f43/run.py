"""Drives an import of the 43 files from its zip to its end."""

import asyncio
import contextlib
from typing import IO

from libs.f43.archive import Archive
from libs.f43.reader import open_table
from services.exchange.formats.f43.persons import CardStep, HomeStep, LateStep, PersonStep, parts_of
from services.exchange.formats.f43.reading import RawChunk, RowReader
from services.exchange.formats.f43.resources import CorrectionStep, ResourceStep
from services.exchange.formats.f43.step import Prepared, Step, Told
from services.exchange.job import Job
from services.exchange.mapping.files import CORRECTIONS, RESOURCE_FILES, in_order, note_of
from services.exchange.model import (
    Chunk,
    Effects,
    FileProgress,
    FileStep,
    Outcome,
    PlannedFile,
    RejectedRow,
    Rejection,
)
from services.exchange.rules import count

_NAME_SHOWN = 60


async def process(job: Job, source: IO[bytes]) -> None:
    """Processes what is left of the import. Raises ArchiveError before anything is stored, LeaseLostError."""
    with await asyncio.to_thread(Archive, source) as archive:
        if not job.files:
            await job.plan(await asyncio.to_thread(_plan, archive))
        await _stage(job, archive)
        for name in in_order(frozenset(archive.files)):
            progress = job.file(name)
            if progress is not None and not progress.is_done:
                await _FileRun(job, archive, progress, _step(job, name)).run()


def _plan(archive: Archive) -> list[PlannedFile]:
    """Reads every member through once, so that a damaged one is found before the first row is taken."""
    planned = []
    for name in archive.files:
        table = open_table(archive, name)
        note = note_of(name)
        planned.append(PlannedFile(name, table.row_count, note or _columns_note(table.unknown), bool(note)))
    for stranger in archive.strangers:
        note = "none of the 43 files" + (f"; was it meant to be {stranger.hint}.txt?" if stranger.hint else "")
        shown = "".join(letter for letter in stranger.member if letter.isprintable())
        planned.append(PlannedFile(shown[-_NAME_SHOWN:], 0, note, is_passed_over=True))
    return planned


def _columns_note(unknown: tuple[str, ...]) -> str:
    if not unknown:
        return ""
    shown = ", ".join(name[:_NAME_SHOWN] for name in unknown[:5])
    return f"columns that the standard does not have were passed over: {shown}"


def _step(job: Job, file: str) -> Step:
    if file in RESOURCE_FILES:
        return ResourceStep(job, RESOURCE_FILES[file])
    if file == CORRECTIONS:
        return CorrectionStep(job)
    if file in ("ADDRESS", "DEATH"):
        return LateStep(job, file)
    if file == "HOME":
        return HomeStep(job)
    return PersonStep(job) if file == "PERSON" else CardStep(job)


async def _stage(job: Job, archive: Archive) -> None:
    """Holds ADDRESS and DEATH ready for PERSON. Begun anew after a crash: staging twice stages the same."""
    persons = job.file("PERSON")
    if persons is None or persons.is_done:
        return
    for name in ("ADDRESS", "DEATH"):
        if name not in archive.files:
            continue
        reader = await asyncio.to_thread(RowReader, archive, name, job.organization_id, 1)
        while not (chunk := await asyncio.to_thread(reader.next)).is_empty:
            await job.commit(Chunk((), effects=Effects(parts=parts_of(name, chunk))))


class _FileRun:
    """One file, chunk by chunk: the next is read and prepared while the one before is on its way."""

    def __init__(self, job: Job, archive: Archive, progress: FileProgress, step: Step) -> None:
        self._job = job
        self._archive = archive
        self._progress = progress
        self._step = step

    async def run(self) -> None:
        """Processes what is left of the file."""
        progress = self._progress
        reader = await asyncio.to_thread(
            RowReader, self._archive, progress.file, self._job.organization_id, progress.after_line
        )
        coming = asyncio.create_task(self._prepare(reader))
        try:
            while (ready := await coming) is not None:
                chunk, prepared = ready
                if self._step.runs_ahead:
                    coming = asyncio.create_task(self._prepare(reader))
                told = await prepared.send()
                await self._job.commit(self._chunk(chunk, told))
                if not self._step.runs_ahead:
                    coming = asyncio.create_task(self._prepare(reader))
        finally:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await coming
        await self._job.commit(Chunk((FileStep(progress.position, is_done=True),)))

    async def _prepare(self, reader: RowReader) -> tuple[RawChunk, Prepared] | None:
        chunk = await asyncio.to_thread(reader.next)
        return None if chunk.is_empty else (chunk, await self._step.prepare(chunk))

    def _chunk(self, chunk: RawChunk, told: Told) -> Chunk:
        outcomes = [Outcome.REJECTED] * len(chunk.rejections)
        rejections = list(chunk.rejections)
        for verdict in told.verdicts:
            if isinstance(verdict, Rejection):
                rejections.append(verdict)
                outcomes.append(Outcome.REJECTED)
            else:
                outcomes.append(verdict)
        progress = self._progress
        return Chunk(
            (FileStep(progress.position, count(outcomes), chunk.last_line),),
            [RejectedRow(progress.position, progress.file, rejection) for rejection in rejections],
            told.effects,
        )
