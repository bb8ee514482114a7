"""vread (https://hl7.org/fhir/R4/http.html#vread): one version, also a superseded one."""

from nhip.records.v1 import service_pb2

from services.edge.asgi import Reply, Request
from services.edge.fhir.interaction import require_id, require_version
from services.edge.fhir.read import answer, part_asked
from services.edge.upstream import Upstream


async def vread(upstream: Upstream, request: Request, resource_type: str, resource_id: str, version: str) -> Reply:
    """`GET [type]/[id]/_history/[vid]`."""
    part = part_asked(request)
    message = service_pb2.ReadVersionRequest(
        type=resource_type,
        id=require_id(resource_type, resource_id),
        version=require_version(resource_type, version),
    )
    response = await upstream["records.ReadVersion"](message, request)
    return answer(request, response.resource, part)
