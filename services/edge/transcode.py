"""REST under /v1, from the descriptors alone: a request becomes a message, one RPC is called, its answer becomes JSON."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge import soundjson
from services.edge.asgi import Reply, Request, media_type
from services.edge.consequences import foresee, is_foreseen
from services.edge.decoding import Reading, fields_of
from services.edge.faults import Refusal
from services.edge.routes import Found, Route, Router
from services.edge.upstream import Upstream

CONTENT_TYPE = b"application/json"
# Pieces of an upload, as they go on to the service.
CHUNK_BYTES = 1 << 20
# A document is shown and runs nothing, whatever somebody brings into it.
_DOCUMENT_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
)


class Transcoder:
    """Answers every route that a proto declares."""

    def __init__(self, router: Router, upstream: Upstream) -> None:
        """`router` knows the routes, `upstream` the RPCs."""
        self._router = router
        self._upstream = upstream

    async def handle(self, request: Request) -> Reply:
        """Answers one request. Raises Refusal, NhipError, AioRpcError."""
        found = self._router.find(request.raw_segments)
        if found is None:
            raise Refusal("NOT_FOUND", "ROUTE_UNKNOWN", "there is nothing at this path", status=404)
        route = _choose(found, request.method)
        request.route = route.template
        rpc = self._upstream[route.method.label]
        if route.method.is_client_streaming:
            response = await rpc.stream(self._pieces(route, found, request), request)
        else:
            message = await _read(route, found, request)
            response = await rpc(message, request)
            if is_foreseen(message, response):
                await foresee(self._upstream, response, request)
        if is_document(response.DESCRIPTOR):
            return Reply(200, response.body, response.content_type.encode(), list(_DOCUMENT_HEADERS))
        return Reply(200, to_json(response), CONTENT_TYPE, [(b"cache-control", b"no-store")])

    async def _pieces(self, route: Route, found: Found, request: Request) -> AsyncIterator[Message]:
        """The first message says what the query says; the others carry the body, no faster than it is taken."""
        reading = Reading()
        message = route.method.request_class()
        _read_places(reading, route, found, request, message)
        reading.finish()
        yield message
        async for piece in request.chunks():
            for start in range(0, len(piece), CHUNK_BYTES):
                yield route.method.request_class(**{route.body: piece[start : start + CHUNK_BYTES]})


def is_document(descriptor: Descriptor) -> bool:
    """True for an answer that is a document of its own, such as a picture: it is sent as it is, not as JSON."""
    return {field.name for field in descriptor.fields} == {"content_type", "body"}


def to_json(message: Message) -> bytes:
    """A message as JSON with camelCase names; what is unset is left out."""
    return orjson.dumps(MessageToDict(message))


def _choose(found: Found, verb: str) -> Route:
    route = found.by_verb.get("GET" if verb == "HEAD" else verb)
    if route is None:
        allowed = ", ".join([*sorted(found.by_verb), *(["HEAD"] if "GET" in found.by_verb else [])])
        raise Refusal(
            "INVALID_ARGUMENT",
            "METHOD_NOT_ALLOWED",
            f"this path takes {allowed}",
            status=405,
            headers=((b"allow", allowed.encode()),),
        )
    return route


async def _read(route: Route, found: Found, request: Request) -> Message:
    reading = Reading()
    message = route.method.request_class()
    if route.body:
        _read_body(reading, route, message, await _document(request))
    _read_places(reading, route, found, request, message)
    reading.finish()
    if route.method.has_request_id and (key := request.header(b"idempotency-key")):
        _take_request_id(message, key)
    return message


def _read_body(reading: Reading, route: Route, message: Message, document: Any) -> None:
    if route.body == "*":
        reading.document(message, document, "")
        return
    target = getattr(message, route.body)
    target.SetInParent()
    reading.document(target, document, "")


def _read_places(reading: Reading, route: Route, found: Found, request: Request, message: Message) -> None:
    """Reads path and query. What stands in both body and path must say the same."""
    named = dict(zip(route.variables, found.values, strict=True))
    for name, text in named.items():
        before = getattr(message, name)
        if "\0" in text:
            reading.note(name, "CHARACTER_REFUSED", "the character U+0000 is not text")
            continue
        reading.text(message, name, text)
        if before and before != getattr(message, name):
            reading.note(name, "PATH_CONFLICT", "path and body disagree")
    taken = {*named, route.body} if route.body != "*" else set(fields_of(message.DESCRIPTOR))
    reading.query(message, request.query, frozenset(taken))


async def _document(request: Request) -> Any:
    body = await request.body()
    if not body:
        return {}
    kind = media_type(request)
    if kind != "application/json" and not kind.endswith("+json"):
        raise Refusal("INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED", "the body is application/json", status=415)
    return await soundjson.parse_aside(body)


def _take_request_id(message: Any, key: str) -> None:
    if message.request_id and message.request_id != key:
        violation = FieldViolation("request_id", "REQUEST_ID_CONFLICT", "it differs from the header Idempotency-Key")
        raise InvalidArgumentError("REQUEST_ID_CONFLICT", "request_id and Idempotency-Key differ", fields=[violation])
    message.request_id = key
