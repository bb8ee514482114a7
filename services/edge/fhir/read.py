"""read (https://hl7.org/fhir/R4/http.html#read): the stored bytes, untouched."""

from email.utils import parsedate_to_datetime

from nhip.records.v1 import resources_pb2, service_pb2

from services.edge.asgi import Reply, Request
from services.edge.fhir import binary
from services.edge.fhir.forms import Form, form_of
from services.edge.fhir.interaction import http_date, require_id
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.upstream import Upstream


async def read(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`GET [type]/[id]`."""
    message = service_pb2.ReadResourceRequest(type=resource_type, id=require_id(resource_type, resource_id))
    response = await upstream["records.ReadResource"](message, request)
    reply = answer(request, response.resource)
    if resource_type == binary.TYPE and reply.body and form_of(request, request.query, of_content=True) is Form.OTHER:
        return binary.content_of(response.resource, reply)
    return reply


def answer(request: Request, stored: resources_pb2.StoredResource) -> Reply:
    """One version; 304 when the caller says that they hold it (http://hl7.org/fhir/R4/http.html#cread)."""
    headers = [(b"etag", b'W/"%d"' % stored.version), (b"last-modified", http_date(stored.recorded_at))]
    if _is_held(request, stored):
        return Reply(304, b"", b"", headers)
    return Reply(200, stored.body, CONTENT_TYPE, headers)


def _is_held(request: Request, stored: resources_pb2.StoredResource) -> bool:
    held = request.headers.get(b"if-none-match")
    if held is not None:
        # Of both headers this one counts (RFC 9110, section 13.2.2).
        tags = {part.strip().removeprefix(b"W/") for part in held.split(b",")}
        return b"*" in tags or b'"%d"' % stored.version in tags
    since = request.headers.get(b"if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since.decode("ascii"))
    except ValueError:
        # A date that is none asks for nothing.
        return False
    return moment.tzinfo is not None and stored.recorded_at.seconds <= moment.timestamp()
