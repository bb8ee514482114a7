"""Imports of lines of the caller: nhip.exchange.v1.BulkImportService."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from nhip.exchange.v1 import bulk_imports_pb2

from libs.access.caller import Scopes
from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import (
    AbortedError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
)
from libs.ids import new_id
from libs.outbound import Outbound, OutboundError
from libs.runtime.call import Call
from services.exchange import rules
from services.exchange.api.imports import FEED
from services.exchange.formats.ndjson.intake import Intake, IntakeError
from services.exchange.formats.ndjson.reading import CREATE_AND_UPDATE
from services.exchange.model import Import, Input
from services.exchange.store import inputs, jobs
from services.exchange.wire import bulk_error_to_wire, bulk_import_to_wire, event_of

# So many of one caller wait or run at a time.
MAX_OPEN = 20
DEFAULT_PAGE = 500
_RETRY_SECONDS = 60.0


class BulkImportApi:
    """Imports are there for who started them: the same caller for the same organisation."""

    def __init__(self, database: Database, outbound: Outbound, clock: Clock, queued: asyncio.Event) -> None:
        """`queued` is set when there is something new to work on."""
        self._database = database
        self._outbound = outbound
        self._clock = clock
        self._queued = queued

    async def StartBulkImport(
        self, requests: AsyncIterator[bulk_imports_pb2.StartBulkImportRequest], call: Call
    ) -> bulk_imports_pb2.StartBulkImportResponse:
        """Takes in what is uploaded; what is referred to is fetched later."""
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgumentError("IMPORT_EMPTY", "the first message says what is imported")
        start, owner = first.start, _owner(call)
        grants = _granted(call, start.inputs)
        wanted = [_input(position, one) for position, one in enumerate(start.inputs)]
        self._require_allowed(wanted)
        import_id = new_id()
        call.touch(resource=f"Import/{import_id}")
        async with self._database.writing() as writer:
            await inputs.begin(
                writer,
                import_id,
                owner,
                self._clock(),
                request_url=start.request_url,
                input_source=start.input_source.rstrip("/"),
                grants=grants,
            )
        try:
            if not wanted[0].url:
                wanted = [await self._upload(import_id, wanted[0], first, requests)]
            found = await self._queue(import_id, owner, wanted, call)
        except BaseException:
            # What this leaves behind when the database is gone too, is swept away later.
            with contextlib.suppress(Exception):
                await asyncio.shield(self._discard(import_id))
            raise
        self._queued.set()
        return bulk_imports_pb2.StartBulkImportResponse(**{"import": bulk_import_to_wire(found, wanted, [])})

    async def GetBulkImport(
        self, request: bulk_imports_pb2.GetBulkImportRequest, call: Call
    ) -> bulk_imports_pb2.GetBulkImportResponse:
        """State and progress; what became of each input."""
        async with self._database.reading(snapshot=True) as reader:
            found = _require(await inputs.find(reader, request.import_id, _owner(call)))
            known = await inputs.inputs_of(reader, found.import_id)
            files = (await jobs.files_of(reader, [found.import_id]))[found.import_id]
        return bulk_imports_pb2.GetBulkImportResponse(**{"import": bulk_import_to_wire(found, known, files)})

    async def CancelBulkImport(
        self, request: bulk_imports_pb2.CancelBulkImportRequest, call: Call
    ) -> bulk_imports_pb2.CancelBulkImportResponse:
        """Stops it; a worker that is at it notices at its next commit."""
        async with self._database.writing(call) as writer:
            await writer.lock(request.import_id)
            found = _require(await inputs.find(writer, request.import_id, _owner(call)))
            if rules.may_cancel(found.state):
                cancelled = await jobs.cancel(writer, found, self._clock()) or found
                writer.announce(FEED, found.import_id, event_of(cancelled))
            return await writer.answer(bulk_imports_pb2.CancelBulkImportResponse())

    async def ListBulkImportErrors(
        self, request: bulk_imports_pb2.ListBulkImportErrorsRequest, call: Call
    ) -> bulk_imports_pb2.ListBulkImportErrorsResponse:
        """In the order of the lines."""
        call.touch(resource=f"Import/{request.import_id}")
        size = request.page_size or DEFAULT_PAGE
        async with self._database.reading(snapshot=True) as reader:
            found = _require(await inputs.find(reader, request.import_id, _owner(call)))
            after = (request.position, request.after_line)
            rows = await jobs.rejected(reader, found.import_id, "", after, size + 1)
        own = [row for row in rows if row.position == request.position]
        return bulk_imports_pb2.ListBulkImportErrorsResponse(
            errors=[bulk_error_to_wire(row.rejection) for row in own[:size]], has_more=len(own) > size
        )

    def _require_allowed(self, wanted: Sequence[Input]) -> None:
        """Raises InvalidArgumentError, reasons URL_INVALID, URL_REFUSED, IMPORT_EMPTY."""
        if any(not one.url for one in wanted) and len(wanted) > 1:
            raise InvalidArgumentError("IMPORT_EMPTY", "an upload is one input; others name where they are")
        for one in wanted:
            if not one.url:
                continue
            try:
                self._outbound.require_allowed(one.url)
            except OutboundError as error:
                field = FieldViolation(f"input[{one.position}].url", error.reason, error.message)
                raise InvalidArgumentError(error.reason, f"{field.field}: {error.message}", fields=[field]) from None

    async def _upload(
        self,
        import_id: str,
        wanted: Input,
        first: bulk_imports_pb2.StartBulkImportRequest,
        requests: AsyncIterator[bulk_imports_pb2.StartBulkImportRequest],
    ) -> Input:
        """Stores the bytes while they come. Raises InvalidArgumentError, ResourceExhaustedError."""
        intake, chunk = Intake(), 0
        request: bulk_imports_pb2.StartBulkImportRequest | None = first
        try:
            while request is not None:
                for data in await asyncio.to_thread(intake.fed, request.chunk):
                    await self._append(import_id, chunk, data)
                    chunk += 1
                request = await anext(requests, None)
            for data in intake.end():
                await self._append(import_id, chunk, data)
        except IntakeError as error:
            kind = ResourceExhaustedError if error.reason == "FILE_TOO_LARGE" else InvalidArgumentError
            raise kind(error.reason, error.message) from None
        if not intake.size_bytes:
            raise InvalidArgumentError("IMPORT_EMPTY", "the upload has no bytes")
        if wanted.sha256 not in ("", intake.sha256):
            raise InvalidArgumentError(
                "CHECKSUM_MISMATCH", "the SHA-256 of what was received differs from what was told"
            )
        return Input(
            0,
            wanted.type,
            sha256=wanted.sha256,
            is_complete=True,
            lines=intake.lines,
            size_bytes=intake.size_bytes,
            found_sha256=intake.sha256,
        )

    async def _append(self, import_id: str, chunk: int, data: bytes) -> None:
        async with self._database.writing() as writer:
            if not await inputs.append(writer, import_id, 0, chunk, data, self._clock()):
                raise AbortedError("UPLOAD_EXPIRED", "the upload was idle for too long; send it again")

    async def _queue(self, import_id: str, owner: tuple[str, str], wanted: Sequence[Input], call: Call) -> Import:
        async with self._database.writing(call) as writer:
            await writer.lock(import_id, "/".join(("bulk-imports", *owner)))
            if await inputs.count_open(writer, owner) >= MAX_OPEN:
                message = f"{MAX_OPEN} imports wait or run already; send it again when one is finished"
                raise ResourceExhaustedError("IMPORTS_EXHAUSTED", message, retry_after_seconds=_RETRY_SECONDS)
            found = await inputs.queue(writer, import_id, wanted, self._clock())
            if found is None:
                raise AbortedError("UPLOAD_EXPIRED", "the upload was idle for too long; send it again")
            writer.announce(FEED, import_id, event_of(found))
            return found

    async def _discard(self, import_id: str) -> None:
        async with self._database.writing() as writer:
            await inputs.discard(writer, import_id)


def _owner(call: Call) -> tuple[str, str]:
    return call.caller.organization_id, call.caller.subject


def _require(found: Import | None) -> Import:
    if found is None:
        raise NotFoundError("IMPORT_UNKNOWN", "there is no such import")
    return found


def _granted(call: Call, wanted: Sequence[bulk_imports_pb2.BulkImportInput]) -> str:
    """The system scopes of the token, which the import may use. Raises PermissionDeniedError."""
    if not call.caller.organization_id:
        raise PermissionDeniedError("ORGANIZATION_MISSING", "an import is an organisation's")
    names = sorted(name for name in call.caller.scopes.names if name.startswith("system/"))
    scopes = Scopes.parse(" ".join(names))
    if not any("c" in name.rpartition(".")[2] for name in names) or not scopes.allow_any_fhir():
        raise PermissionDeniedError("SCOPE_MISSING", "an import needs a system scope such as system/*.cu")
    for one in wanted:
        if one.type and not scopes.allow_fhir(one.type, CREATE_AND_UPDATE):
            message = f"the token does not grant system/{one.type}.{CREATE_AND_UPDATE}"
            raise PermissionDeniedError("SCOPE_MISSING", message)
    return " ".join(names)


def _input(position: int, told: bulk_imports_pb2.BulkImportInput) -> Input:
    return Input(position, told.type, told.url, told.etag, told.sha256)
