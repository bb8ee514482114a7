"""Exports of the caller: nhip.exchange.v1.ExportService."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from nhip.exchange.v1 import exports_pb2

from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import NotFoundError, ResourceExhaustedError
from libs.ids import new_id
from libs.runtime.call import Call
from services.exchange.api.passing import passed_on
from services.exchange.exporting.run import walks_of
from services.exchange.exporting.shelf import GZIP_HEADER, gzip_end, inflated
from services.exchange.model import Export, ExportFile, State
from services.exchange.neighbours import Neighbours
from services.exchange.store import exports
from services.exchange.wire import export_to_wire, file_to_wire

# So many of one caller wait or run at a time.
MAX_OPEN = 5
_RETRY_SECONDS = 60.0


class ExportApi:
    """Exports are there for who started them: the same caller for the same organisation."""

    def __init__(self, database: Database, neighbours: Neighbours, clock: Clock, queued: asyncio.Event) -> None:
        """`queued` is set when there is something new to work on."""
        self._database = database
        self._neighbours = neighbours
        self._clock = clock
        self._queued = queued

    async def StartExport(self, request: exports_pb2.StartExportRequest, call: Call) -> exports_pb2.StartExportResponse:
        """Records decides by the caller's own token what they may export; the plan that it seals is stored."""
        owner = _owner(call)
        try:
            planned = await self._neighbours.plan_export(call.metadata.get("authorization", ""), request.plan)
        except grpc.aio.AioRpcError as error:
            raise passed_on(error) from None
        export_id = new_id()
        now = self._clock()
        # Bodies tell the time to the millisecond.
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        call.touch(resource=f"Export/{export_id}")
        async with self._database.writing(call) as writer:
            await writer.lock("/".join(("exports", *owner)))
            if await exports.count_open(writer, owner) >= MAX_OPEN:
                message = f"{MAX_OPEN} exports wait or run already; ask again when one is finished"
                raise ResourceExhaustedError("EXPORTS_EXHAUSTED", message, retry_after_seconds=_RETRY_SECONDS)
            ignored = [*request.ignored_parameters, *planned.ignored_parameters]
            begun = await exports.begin(writer, export_id, owner, request.request_url, planned.plan, ignored, now)
            answer = await writer.answer(exports_pb2.StartExportResponse(export=_to_wire(begun)))
        self._queued.set()
        return answer

    async def GetExport(self, request: exports_pb2.GetExportRequest, call: Call) -> exports_pb2.GetExportResponse:
        """State and progress; the files when it is finished."""
        async with self._database.reading(snapshot=True) as reader:
            found = _require(await exports.find(reader, request.export_id, _owner(call)), self._clock)
            files = await exports.files_of(reader, found.export_id) if found.state is State.SUCCEEDED else []
        return exports_pb2.GetExportResponse(export=_to_wire(found, files))

    async def CancelExport(
        self, request: exports_pb2.CancelExportRequest, call: Call
    ) -> exports_pb2.CancelExportResponse:
        """Forgets it; a worker that is at it notices at its next page."""
        async with self._database.writing(call) as writer:
            found = _require(await exports.find(writer, request.export_id, _owner(call)), self._clock)
            await exports.forget(writer, [found.export_id])
            return await writer.answer(exports_pb2.CancelExportResponse())

    async def ReadExportFile(
        self, request: exports_pb2.ReadExportFileRequest, call: Call
    ) -> AsyncIterator[exports_pb2.ReadExportFileResponse]:
        """A chunk at a time, no faster than they are taken."""
        async with self._database.reading(snapshot=True) as reader:
            found = _require(await exports.find(reader, request.export_id, _owner(call)), self._clock)
            files = await exports.files_of(reader, found.export_id) if found.state is State.SUCCEEDED else []
        file = next((one for one in files if one.number == request.number), None)
        if file is None:
            raise NotFoundError("EXPORT_FILE_UNKNOWN", "the export has no such file")
        call.touch(resource=f"Export/{found.export_id}/{file.number}")
        yield exports_pb2.ReadExportFileResponse(
            file=file_to_wire(file), chunk=GZIP_HEADER if request.is_compressed else b""
        )
        for number in range(file.chunks):
            async with self._database.reading() as reader:
                chunk = await exports.read_chunk(reader, found.export_id, file.number, number)
            if chunk is None:
                # It was cancelled, or its time was over, in the middle: what was sent must not look whole.
                raise NotFoundError("EXPORT_FILE_UNKNOWN", "the file is gone")
            data = chunk if request.is_compressed else await asyncio.to_thread(inflated, chunk)
            yield exports_pb2.ReadExportFileResponse(chunk=data)
        if request.is_compressed:
            yield exports_pb2.ReadExportFileResponse(chunk=gzip_end(file))


def _owner(call: Call) -> tuple[str, str]:
    return call.caller.organization_id, call.caller.subject


def _require(found: Export | None, clock: Clock) -> Export:
    if found is None or (found.expires_at is not None and found.expires_at <= clock()):
        raise NotFoundError("EXPORT_UNKNOWN", "there is no such export")
    return found


def _to_wire(found: Export, files: list[ExportFile] | None = None) -> exports_pb2.Export:
    parts = len(walks_of(found.types or (), found.registration_ids or ()))
    return export_to_wire(found, files or (), parts)
