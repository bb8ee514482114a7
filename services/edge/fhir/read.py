"""read (https://hl7.org/fhir/R4/http.html#read): the stored bytes, untouched."""

from nhip.records.v1 import resources_pb2, service_pb2

from services.edge.asgi import Reply, Request
from services.edge.fhir.interaction import http_date, require_id
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.upstream import Upstream


async def read(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`GET [type]/[id]`."""
    message = service_pb2.ReadResourceRequest(type=resource_type, id=require_id(resource_type, resource_id))
    response = await upstream["records.ReadResource"](message, request)
    return answer(request, response.resource)


def answer(request: Request, stored: resources_pb2.StoredResource) -> Reply:
    """One version; 304 when the caller says that they hold it."""
    etag = b'W/"%d"' % stored.version
    headers = [(b"etag", etag), (b"last-modified", http_date(stored.recorded_at))]
    held = request.headers.get(b"if-none-match")
    if held is not None and etag.removeprefix(b"W/") in {part.strip().removeprefix(b"W/") for part in held.split(b",")}:
        return Reply(304, b"", b"", headers)
    return Reply(200, stored.body, CONTENT_TYPE, headers)
