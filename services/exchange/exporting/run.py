"""Drives an export to its end, page by page: while one is compressed and committed, the next is read."""

import asyncio
import contextlib
from collections.abc import Sequence

import orjson
from nhip.records.v1 import exports_pb2

from services.exchange.exporting.job import ExportJob
from services.exchange.exporting.shelf import Shelf
from services.exchange.model import FileKind, State

# So many registrations are walked together: their pages are sorted anew each time.
REGISTRATIONS = 100
# So many deletions are told of by one Bundle.
_DELETIONS = 1_000

Walk = str | Sequence[str]


async def process(job: ExportJob) -> None:
    """Carries on with what is left of the export. Raises RefusedError, LeaseLostError."""
    await job.load()
    if job.found.types is None:
        opened = await job.neighbours.open_export(job.found)
        await job.note_walk(list(opened.types), list(opened.registration_ids))
    walks = walks_of(job.found.types or (), job.found.registration_ids or ())
    if job.found.ignored and not job.shelf.has(FileKind.ERROR):
        job.shelf.put(FileKind.ERROR, "OperationOutcome", _ignored(job.found.ignored), 1)
    position = (job.found.part, job.found.place)
    coming = _begin(job, walks, position)
    try:
        while coming is not None:
            page = await coming
            part, _ = position
            position = (part, page.next) if page.next else (part + 1, "")
            coming = _begin(job, walks, position)
            await asyncio.to_thread(put, job.shelf, page)
            await job.commit(position, sum(lines.count for lines in page.lines))
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming
    await job.finish(State.SUCCEEDED)


def walks_of(types: Sequence[str], registration_ids: Sequence[str]) -> list[Walk]:
    """The parts of a walk, in order: persons some at a time, then types."""
    groups: list[Walk] = [
        registration_ids[start : start + REGISTRATIONS] for start in range(0, len(registration_ids), REGISTRATIONS)
    ]
    return [*groups, *types]


def _begin(
    job: ExportJob, walks: Sequence[Walk], position: tuple[int, str]
) -> "asyncio.Task[exports_pb2.ReadExportResponse] | None":
    part, place = position
    if part >= len(walks):
        return None
    return asyncio.create_task(job.neighbours.read_export(job.found, walks[part], place))


def put(shelf: Shelf, page: exports_pb2.ReadExportResponse) -> None:
    """Puts a page into the files that it belongs to."""
    for lines in page.lines:
        shelf.put(FileKind.OUTPUT, lines.type, lines.ndjson, lines.count)
    for start in range(0, len(page.deleted), _DELETIONS):
        bundle = _deletions(page.deleted[start : start + _DELETIONS])
        shelf.put(FileKind.DELETED, "Bundle", bundle + b"\n", 1)


def _deletions(keys: Sequence[str]) -> bytes:
    """http://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status, `deleted`."""
    entries = [{"request": {"method": "DELETE", "url": key}} for key in keys]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _ignored(names: Sequence[str]) -> bytes:
    issues = [
        {
            "severity": "warning",
            "code": "not-supported",
            "diagnostics": f"the parameter {name} was not understood and is ignored",
        }
        for name in names
    ]
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": issues}) + b"\n"
