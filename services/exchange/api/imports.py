"""Import jobs: nhip.exchange.v1.ExchangeService."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

from nhip.exchange.v1 import service_pb2

from libs.clock import Clock
from libs.database.engine import Database
from libs.database.transactions import Writer
from libs.errors import (
    AbortedError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
)
from libs.ids import new_id
from libs.pages import PageTokens
from libs.runtime.call import Call
from services.exchange import rules
from services.exchange.model import Format, Import, State
from services.exchange.store import jobs, uploads
from services.exchange.wire import event_of, import_to_wire, rejected_to_wire

FEED = "exchange"
DEFAULT_PAGE = 100
_FIRST_ROW = (-1, -1)


class ExchangeApi:
    """Import jobs of the caller's organisation."""

    def __init__(self, database: Database, pages: PageTokens, clock: Clock, queued: asyncio.Event) -> None:
        """`queued` is set when there is something new to work on."""
        self._database = database
        self._pages = pages
        self._clock = clock
        self._queued = queued

    async def UploadImport(
        self, requests: AsyncIterator[service_pb2.UploadImportRequest], call: Call
    ) -> service_pb2.UploadImportResponse:
        """Takes a file in."""
        first = await anext(requests, None)
        if first is None:
            raise InvalidArgumentError("FILE_EMPTY", "nothing was sent")
        if not first.format:
            fault = FieldViolation("format", "FORMAT_UNKNOWN", "the first message says what the file is")
            raise InvalidArgumentError("FORMAT_UNKNOWN", fault.description, fields=[fault])
        if Format(first.format) is Format.NDJSON:
            fault = FieldViolation("format", "FORMAT_UNKNOWN", "lines of resources come in by /fhir/R4/$import")
            raise InvalidArgumentError("FORMAT_UNKNOWN", fault.description, fields=[fault])
        organization = _organization(call)
        import_id = new_id()
        file_name = "".join(letter for letter in first.file_name if letter.isprintable())
        async with self._database.writing() as writer:
            await uploads.begin(writer, import_id, organization, Format(first.format), file_name, self._clock())
        try:
            sha256, size = await self._store(import_id, first, requests)
            found = await self._queue(import_id, organization, Format(first.format), file_name, sha256, size, call)
        except BaseException:
            # What this leaves behind when the database is gone too, is swept away later.
            with contextlib.suppress(Exception):
                await asyncio.shield(self._discard(import_id))
            raise
        self._queued.set()
        return await self._uploaded(found)

    async def GetImport(self, request: service_pb2.GetImportRequest, call: Call) -> service_pb2.GetImportResponse:
        """State, progress and counts."""
        async with self._database.reading(snapshot=True) as reader:
            found = _require(await jobs.find(reader, request.import_id, _organization(call)))
            files = await jobs.files_of(reader, [found.import_id])
        response = service_pb2.GetImportResponse()
        getattr(response, "import").CopyFrom(import_to_wire(found, files[found.import_id]))
        return response

    async def ListImports(self, request: service_pb2.ListImportsRequest, call: Call) -> service_pb2.ListImportsResponse:
        """Newest first."""
        organization = _organization(call)
        before = self._pages.read(request.page_token, "imports", organization) or jobs.NEWEST
        size = request.page_size or DEFAULT_PAGE
        async with self._database.reading(snapshot=True) as reader:
            found = await jobs.list_before(reader, organization, before, size + 1)
            files = await jobs.files_of(reader, [one.import_id for one in found[:size]])
        response = service_pb2.ListImportsResponse(
            imports=[import_to_wire(one, files[one.import_id]) for one in found[:size]]
        )
        if len(found) > size:
            response.next_page_token = self._pages.write(found[size - 1].import_id, "imports", organization)
        return response

    async def ListRejectedRows(
        self, request: service_pb2.ListRejectedRowsRequest, call: Call
    ) -> service_pb2.ListRejectedRowsResponse:
        """In the order of files and lines."""
        call.touch(resource=f"Import/{request.import_id}")
        query = ("rejected-rows", request.import_id, request.file)
        position, line = self._pages.read(request.page_token, *query) or _FIRST_ROW
        size = request.page_size or DEFAULT_PAGE
        async with self._database.reading(snapshot=True) as reader:
            _require(await jobs.find(reader, request.import_id, _organization(call)))
            rows = await jobs.rejected(reader, request.import_id, request.file, (position, line), size + 1)
        response = service_pb2.ListRejectedRowsResponse(rows=[rejected_to_wire(row) for row in rows[:size]])
        if len(rows) > size:
            last = rows[size - 1]
            response.next_page_token = self._pages.write([last.position, last.rejection.line], *query)
        return response

    async def CancelImport(
        self, request: service_pb2.CancelImportRequest, call: Call
    ) -> service_pb2.CancelImportResponse:
        """Stops an import; what it stored stays."""
        async with self._database.writing(call) as writer:
            await writer.lock(request.import_id)
            found = _require(await jobs.find(writer, request.import_id, _organization(call)))
            if rules.may_cancel(found.state):
                found = await jobs.cancel(writer, found, self._clock()) or found
                writer.announce(FEED, found.import_id, event_of(found))
            elif found.state is not State.CANCELLED:
                raise FailedPreconditionError("IMPORT_FINISHED", "the import is finished; there is nothing to stop")
            files = await jobs.files_of(writer, [found.import_id])
            response = service_pb2.CancelImportResponse()
            getattr(response, "import").CopyFrom(import_to_wire(found, files[found.import_id]))
            return await writer.answer(response)

    async def _uploaded(self, found: Import) -> service_pb2.UploadImportResponse:
        async with self._database.reading() as reader:
            files = await jobs.files_of(reader, [found.import_id])
        response = service_pb2.UploadImportResponse()
        getattr(response, "import").CopyFrom(import_to_wire(found, files[found.import_id]))
        return response

    async def _store(
        self,
        upload_id: str,
        first: service_pb2.UploadImportRequest,
        requests: AsyncIterator[service_pb2.UploadImportRequest],
    ) -> tuple[str, int]:
        """Stores the bytes in chunks while they come; their SHA-256 and number."""
        digest, size, number = hashlib.sha256(), 0, 0
        waiting = bytearray()
        request: service_pb2.UploadImportRequest | None = first
        while request is not None:
            size += len(request.chunk)
            if size > rules.MAX_UPLOAD_BYTES:
                limit = rules.MAX_UPLOAD_BYTES // rules.CHUNK_BYTES
                raise ResourceExhaustedError("FILE_TOO_LARGE", f"a file may have at most {limit} MiB")
            digest.update(request.chunk)
            waiting += request.chunk
            while len(waiting) >= rules.CHUNK_BYTES:
                await self._append(upload_id, number, bytes(waiting[: rules.CHUNK_BYTES]))
                del waiting[: rules.CHUNK_BYTES]
                number += 1
            request = await anext(requests, None)
        if size == 0:
            raise InvalidArgumentError("FILE_EMPTY", "the file has no bytes")
        if waiting:
            await self._append(upload_id, number, bytes(waiting))
        return digest.hexdigest(), size

    async def _append(self, upload_id: str, number: int, data: bytes) -> None:
        async with self._database.writing() as writer:
            if not await uploads.append(writer, upload_id, number, data, self._clock()):
                raise AbortedError("UPLOAD_EXPIRED", "the upload was idle for too long; send the file again")

    async def _queue(
        self, import_id: str, organization: str, file_format: Format, file_name: str, sha256: str, size: int, call: Call
    ) -> Import:
        """Makes the upload an import; or finds the one that the same bytes are already."""
        content = f"content/{organization}/{file_format}/{sha256}"
        async with self._database.reading() as reader:
            known = await uploads.find_same(reader, organization, file_format, sha256)
        async with self._database.writing(call) as writer:
            await writer.lock(content, import_id, *([known.import_id] if known else []))
            found = await uploads.find_same(writer, organization, file_format, sha256)
            if found is not None and (known is None or known.import_id != found.import_id):
                # Somebody sent the same at the same moment; it was queued just now.
                await uploads.discard(writer, import_id)
                return found
            if found is None:
                queued = await uploads.queue(writer, import_id, sha256, size, self._clock())
                return self._announced(writer, queued)
            return await self._again(writer, found, import_id, file_name)

    async def _again(self, writer: Writer, found: Import, upload_id: str, file_name: str) -> Import:
        what = rules.again(found.state)
        if what is rules.Again.ANSWER:
            await uploads.discard(writer, upload_id)
            return found
        await uploads.discard(writer, upload_id, keep_bytes=True)
        queued = await uploads.queue_again(
            writer, found.import_id, upload_id, file_name, self._clock(), anew=what is rules.Again.BEGIN_ANEW
        )
        return self._announced(writer, queued)

    def _announced(self, writer: Writer, queued: Import | None) -> Import:
        if queued is None:
            raise AbortedError("UPLOAD_EXPIRED", "the upload was idle for too long; send the file again")
        writer.announce(FEED, queued.import_id, event_of(queued))
        return queued

    async def _discard(self, import_id: str) -> None:
        async with self._database.writing() as writer:
            await uploads.discard(writer, import_id)


def _organization(call: Call) -> str:
    organization = call.caller.organization_id
    if not organization:
        raise PermissionDeniedError("ORGANIZATION_MISSING", "the caller acts for no organisation")
    return organization


def _require(found: Import | None) -> Import:
    if found is None:
        raise NotFoundError("IMPORT_UNKNOWN", "there is no such import")
    return found
