"""Drives an import of lines to its end: inputs that are referred to first, then lines, then what waited for others."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from libs.access.caller import Scopes
from libs.outbound import Outbound
from services.exchange.formats.ndjson import deferral
from services.exchange.formats.ndjson.batches import Batch, batches_of
from services.exchange.formats.ndjson.fetching import fetch_all
from services.exchange.formats.ndjson.lines import ReadChunk
from services.exchange.formats.ndjson.naming import Naming
from services.exchange.formats.ndjson.sending import REFERENCE_UNKNOWN, Sent, send
from services.exchange.job import Job
from services.exchange.model import (
    Chunk,
    DeferredLine,
    Effects,
    FileProgress,
    FileStep,
    Input,
    Outcome,
    PlannedFile,
    RejectedRow,
    Rejection,
)
from services.exchange.rules import count
from services.exchange.store import inputs

# So many batches are under way at once: while records works on one, the next is read and another committed.
CALLS_AT_ONCE = 3
# What is referred to by others first; the rest between them, and last what refers to anything.
_FIRST = (
    *("Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", "Endpoint", "Substance"),
    *("Medication", "Patient", "Device", "RelatedPerson", "Coverage", "EpisodeOfCare", "Appointment", "Encounter"),
)
_LAST = ("DiagnosticReport", "Composition", "List", "DocumentReference", "Claim", "Provenance", "AuditEvent")


@dataclass(frozen=True, slots=True)
class Lines:
    """The format: where inputs may be fetched from, and whether ids stay as they are."""

    outbound: Outbound
    keeps_ids: bool = False

    async def process(self, job: Job) -> None:
        """Processes what is left of the import. Raises LeaseLostError."""
        async with job.database.reading() as reader:
            known = await inputs.inputs_of(reader, job.found.import_id)
        fetched = await fetch_all(job, self.outbound, known)
        if not job.files:
            await job.plan([PlannedFile(one.url or "upload", one.lines) for one in fetched])
        await _reject_missing(job, fetched)
        naming = Naming(job.organization_id, job.found.input_source, self.keeps_ids)
        for one in sorted(fetched, key=_rank):
            progress = job.files[one.position]
            if not progress.is_done and not one.error_reason:
                await _take(job, naming, one, progress)
        await deferral.settle(job, naming, fetched)
        await job.commit(Chunk([FileStep(one.position, is_done=True) for one in fetched]))


def _rank(one: Input) -> tuple[int, int]:
    if one.type in _FIRST:
        return _FIRST.index(one.type), one.position
    return len(_FIRST) + (_LAST.index(one.type) + 1 if one.type in _LAST else 0), one.position


async def _reject_missing(job: Job, fetched: Sequence[Input]) -> None:
    """An input that cannot be had is told of as its line 0; the others are taken."""
    missing = [one for one in fetched if one.error_reason and not job.files[one.position].is_done]
    if not missing:
        return
    rows = [
        RejectedRow(
            one.position,
            one.url,
            Rejection(0, "", one.error_reason, one.error_message, issues=[("", "not-found", one.error_message)]),
        )
        for one in missing
    ]
    await job.commit(Chunk([FileStep(one.position, is_done=True) for one in missing], rows))


def chunks_of(job: Job, position: int) -> ReadChunk:
    """Reads the chunks of an input."""

    async def read(chunk: int) -> bytes | None:
        async with job.database.reading() as reader:
            return await inputs.read_chunk(reader, job.found.import_id, position, chunk)

    return read


async def _take(job: Job, naming: Naming, one: Input, progress: FileProgress) -> None:
    """Sends an input batch by batch, and commits them in their order."""
    scopes = Scopes.parse(job.found.grants)
    under_way: deque[tuple[Batch, asyncio.Task[Sent]]] = deque()

    async def settle_first() -> None:
        batch, task = under_way[0]
        sent = await task
        under_way.popleft()
        await job.commit(_told(one, batch, sent))

    try:
        async for batch in batches_of(one, progress, naming.source, scopes, chunks_of(job, one.position)):
            touched = batch.touched()
            while under_way and (
                len(under_way) >= CALLS_AT_ONCE or any(touched & ahead.keys() for ahead, _ in under_way)
            ):
                await settle_first()
            place = f"lines/{one.position}/{batch.first}"
            under_way.append((batch, asyncio.create_task(send(job, naming, place, batch.items))))
        while under_way:
            await settle_first()
    finally:
        for _, task in under_way:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def _told(one: Input, batch: Batch, sent: Sent) -> Chunk:
    """What is to be committed of a batch."""
    outcomes: list[Outcome] = [Outcome.REJECTED] * len(batch.rejected)
    rejected = list(batch.rejected)
    waiting: list[DeferredLine] = []
    for item, verdict in zip(batch.items, sent.verdicts, strict=True):
        if isinstance(verdict, Outcome):
            outcomes.append(verdict)
        elif verdict.reason == REFERENCE_UNKNOWN:
            line = item.line
            waiting.append(DeferredLine(item.subject, one.position, line.number, line.start, line.length))
        else:
            outcomes.append(Outcome.REJECTED)
            rejected.append(verdict)
    step = FileStep(one.position, count(outcomes), batch.after_line + 1, after_offset=batch.after_offset)
    rows = [RejectedRow(one.position, one.url or "upload", each) for each in rejected]
    return Chunk([step], rows, Effects(deferred=waiting, patients=sent.patients))
