"""delete (https://hl7.org/fhir/R4/http.html#delete), of an id or of what a condition matches: history stays.

An id that is not there is deleted, the specification says: a client that tries again after a lost answer is not told of an error.
"""

import grpc
from nhip.records.v1 import service_pb2

from services.edge.asgi import Header, Reply, Request
from services.edge.faults import fault_of
from services.edge.fhir import single
from services.edge.fhir.interaction import preference, require_id, version_wanted
from services.edge.fhir.outcome import CONTENT_TYPE, information
from services.edge.upstream import Upstream

UNKNOWN = "RESOURCE_UNKNOWN"


async def delete(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`DELETE [type]/[id]`; 204, or 200 with an outcome where Prefer asks for it; 404 for an unknown id with If-Match."""
    message = service_pb2.DeleteResourceRequest(
        type=resource_type,
        id=require_id(resource_type, resource_id),
        if_match=version_wanted(request),
        request_id=request.header(b"idempotency-key"),
    )
    try:
        response = await upstream["records.DeleteResource"](message, request)
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        if fault is None or fault.reason != UNKNOWN or message.if_match:
            raise
        # What is not there, or not for this caller, is as it was wished.
        return _deleted(request, "there was nothing to delete", [])
    headers = [(b"etag", b'W/"%d"' % response.version)]
    return _deleted(request, "deleted", headers)


async def delete_matching(
    upstream: Upstream, request: Request, resource_type: str, query: list[tuple[str, str]]
) -> Reply:
    """`DELETE [type]?…`: as for an id; nothing matched is nothing to do; several are 412 unless policy deletes them all."""
    entry = service_pb2.TransactionEntry(
        method="DELETE", url=f"{resource_type}?{single.condition_of(query)}", if_match=version_wanted(request)
    )
    result = await single.carry_out(upstream, request, entry, resource_type)
    headers = [(b"etag", b'W/"%d"' % result.resource.version)] if result.matched == 1 else []
    return _deleted(request, f"{result.matched} deleted", headers)


def _deleted(request: Request, said: str, headers: list[Header]) -> Reply:
    if preference(request, "return").lower() == "operationoutcome":
        return Reply(200, information(said), CONTENT_TYPE, headers)
    return Reply(204, b"", b"", headers)
