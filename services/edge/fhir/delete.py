"""delete (https://hl7.org/fhir/R4/http.html#delete): history stays."""

from nhip.records.v1 import service_pb2

from services.edge.asgi import Reply, Request
from services.edge.fhir.interaction import preference, require_id, version_wanted
from services.edge.fhir.outcome import CONTENT_TYPE, information
from services.edge.upstream import Upstream


async def delete(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`DELETE [type]/[id]`; 204, or 200 with an outcome where Prefer asks for it."""
    message = service_pb2.DeleteResourceRequest(
        type=resource_type,
        id=require_id(resource_type, resource_id),
        if_match=version_wanted(request),
        request_id=request.header(b"idempotency-key"),
    )
    response = await upstream["records.DeleteResource"](message, request)
    headers = [(b"etag", b'W/"%d"' % response.version)]
    if preference(request, "return").lower() == "operationoutcome":
        return Reply(200, information("deleted"), CONTENT_TYPE, headers)
    return Reply(204, b"", b"", headers)
