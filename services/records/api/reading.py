"""Read, vread, history: http://hl7.org/fhir/R4/http.html#read and after."""

from datetime import UTC, datetime

from nhip.records.v1 import service_pb2

from libs.database.transactions import Reader
from libs.fhir.moments import Span
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.ground import Means, UseCases, seen_by
from services.records.model import Operation, Stored
from services.records.rules import errors
from services.records.store import histories, resources
from services.records.store.reads import Reads
from services.records.store.resources import Found

DEFAULT_PAGE = 50


class Reading(UseCases):
    """What is stored, and what was."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._reads = Reads(means.database, means.clock)

    async def ReadResource(
        self, request: service_pb2.ReadResourceRequest, call: Call
    ) -> service_pb2.ReadResourceResponse:
        """The current version."""
        found = await self._reads.read(call.caller, request.type, request.id)
        stored = require_seen(found, call, request.type)
        return service_pb2.ReadResourceResponse(resource=wire.stored_message(stored))

    async def ReadVersion(self, request: service_pb2.ReadVersionRequest, call: Call) -> service_pb2.ReadVersionResponse:
        """One version, also a superseded one."""
        async with self.database.reading() as reader:
            found = await resources.read_version(
                reader, call.caller, self.clock(), request.type, request.id, request.version
            )
        stored = require_seen(found, call, request.type)
        return service_pb2.ReadVersionResponse(resource=wire.stored_message(stored))

    async def ListHistory(self, request: service_pb2.ListHistoryRequest, call: Call) -> service_pb2.ListHistoryResponse:
        """Versions, newest first. The total is told for one resource; beyond it nobody waits until all are counted."""
        since, at = _since(request), _at(request)
        binding = ("history", request.type, request.id, since, at and (at.low, at.high), *seen_by(call.caller))
        after = self.pages.read(request.page_token, *binding)
        count = request.page_size or DEFAULT_PAGE
        async with self.database.reading() as reader:
            page = await histories.history(
                reader,
                call.caller,
                self.clock(),
                histories.Asked(request.type, request.id, since, at, count, after),
            )
            if request.id and not page.exists:
                await self._refuse(call, reader, request)
        for stored in page.versions:
            filing.touch(call, stored)
        token = self.pages.write(page.last, *binding) if page.last is not None else ""
        return service_pb2.ListHistoryResponse(
            versions=[wire.stored_message(one) for one in page.versions], next_page_token=token, total=page.total
        )

    async def _refuse(self, call: Call, reader: Reader, request: service_pb2.ListHistoryRequest) -> None:
        """Nothing to be seen: whether there is nothing, or nothing for this caller, only the audit log learns."""
        found = await resources.read(reader, call.caller, self.clock(), request.type, request.id)
        if found is not None:
            filing.touch(call, found.stored)
        raise errors.resource_unknown(request.type, is_refusal=found is not None)


def _at(request: service_pb2.ListHistoryRequest) -> Span | None:
    if not request.HasField("at_from"):
        return None
    return Span(request.at_from.ToDatetime(UTC), request.at_until.ToDatetime(UTC))


def _since(request: service_pb2.ListHistoryRequest) -> datetime | None:
    return request.since.ToDatetime(UTC) if request.HasField("since") else None


def require_seen(found: Found | None, call: Call, resource_type: str, place: str = "") -> Stored:
    """What was found, for a caller who may see it.

    Raises NotFoundError, reasons RESOURCE_UNKNOWN, RESOURCE_DELETED.
    """
    if found is None:
        raise errors.resource_unknown(resource_type, place)
    filing.touch(call, found.stored)
    if not found.is_visible:
        raise errors.resource_unknown(resource_type, place, is_refusal=True)
    if found.stored.operation is Operation.DELETE:
        raise errors.resource_deleted(resource_type, found.stored.version, place)
    return found.stored
