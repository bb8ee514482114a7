"""Bundles put together from the stored bytes of their resources (https://hl7.org/fhir/R4/bundle.html)."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote, urlencode

import orjson
from nhip.records.v1 import resources_pb2

from services.edge.fhir.interaction import instant, location

# What stays readable in links.
_SAFE = ":|,$/"
_METHODS = {
    resources_pb2.RESOURCE_OPERATION_CREATE: "POST",
    resources_pb2.RESOURCE_OPERATION_UPDATE: "PUT",
    resources_pb2.RESOURCE_OPERATION_DELETE: "DELETE",
}


def assemble(kind: str, links: Sequence[tuple[str, str]], entries: Sequence[bytes], total: int | None = None) -> bytes:
    """A Bundle of the kind, with links as (relation, url) and entries as JSON."""
    pieces = [b'{"resourceType":"Bundle","type":', orjson.dumps(kind)]
    if total is not None:
        pieces.append(b',"total":%d' % total)
    if links:
        pieces += [b',"link":', orjson.dumps([{"relation": name, "url": address} for name, address in links])]
    if entries:
        pieces += [b',"entry":[', b",".join(entries), b"]"]
    pieces.append(b"}")
    return b"".join(pieces)


def url(path: str, query: Sequence[tuple[str, str]]) -> str:
    """An absolute URL with a query."""
    return f"{path}?{urlencode(query, quote_via=quote, safe=_SAFE)}" if query else path


def search_entry(base: str, stored: resources_pb2.StoredResource, mode: str) -> bytes:
    """An entry of a searchset; mode is match or include."""
    address = f"{base}/{stored.type}/{stored.id}"
    return b'{"fullUrl":%b,"resource":%b,"search":{"mode":"%b"}}' % (
        orjson.dumps(address),
        stored.body,
        mode.encode(),
    )


def history_entry(base: str, stored: resources_pb2.StoredResource) -> bytes:
    """An entry of a history; a deletion has no resource."""
    method = _METHODS.get(stored.operation, "PUT")
    is_create = method == "POST"
    if is_create and stored.version > 1:
        # A deleted resource was brought back under its own id.
        method = "PUT"
    place = stored.type if method == "POST" else f"{stored.type}/{stored.id}"
    status = "204 No Content" if method == "DELETE" else "201 Created" if is_create else "200 OK"
    rest = orjson.dumps(
        {
            "request": {"method": method, "url": place},
            "response": {
                "status": status,
                "etag": f'W/"{stored.version}"',
                "lastModified": instant(stored.recorded_at),
            },
        }
    )
    head = b'{"fullUrl":%b' % orjson.dumps(f"{base}/{stored.type}/{stored.id}")
    if stored.body and method != "DELETE":
        head += b',"resource":' + stored.body
    return head + b"," + rest[1:]


def response_entry(base: str, status: int, stored: resources_pb2.StoredResource | None, body: bytes = b"") -> bytes:
    """An entry of a transaction-response."""
    response = {"status": f"{status} {HTTPStatus(status).phrase}"}
    head = b"{"
    if stored is not None and stored.id:
        response["location"] = location(base, stored)
        response["etag"] = f'W/"{stored.version}"'
        response["lastModified"] = instant(stored.recorded_at)
        if status != HTTPStatus.NO_CONTENT:
            head += b'"fullUrl":%b,' % orjson.dumps(f"{base}/{stored.type}/{stored.id}")
    if body:
        head += b'"resource":%b,' % body
    return head + b'"response":' + orjson.dumps(response) + b"}"
