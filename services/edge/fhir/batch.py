"""batch (https://hl7.org/fhir/R4/http.html#transaction): each entry by itself, as if it had come alone."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote

import orjson

from libs.errors import FieldViolation
from services.edge.asgi import Message, Reply, Request, Scope
from services.edge.faults import Refusal
from services.edge.fhir import bundle
from services.edge.fhir.incoming import Entry
from services.edge.fhir.interaction import BASE_PATH
from services.edge.fhir.media import JSON_PATCH
from services.edge.fhir.outcome import CONTENT_TYPE, refusal

# How many entries are under way at the same time: a batch takes no more of the platform than a few callers.
ENTRIES_AT_ONCE = 8
# Headers of the batch that hold for each entry.
_INHERITED = frozenset(
    {b"authorization", b"host", b"x-forwarded-proto", b"x-forwarded-host", b"nhip-position", b"prefer", b"tracestate"}
)
_PROVISIONAL = re.compile(rb'"reference"\s*:\s*"(urn:[^"\\]{1,2048})"')
# Characters of an entry's URL that mean something.
_URL_SAFE = "%/?:@!$&'()*+,;=~#[]"

Answer = Callable[[Request], Awaitable[Reply]]


async def batch(answer: Answer, request: Request, entries: Sequence[Entry]) -> Reply:
    """Carries out the entries of a batch Bundle; `answer` answers one request under the base, also with its errors."""
    turn = asyncio.Semaphore(ENTRIES_AT_ONCE)
    # What an entry calls itself until it has an id. Nothing else of the batch can refer to it by that.
    provisional = {one.full_url.encode() for one in entries if one.full_url}

    async def carried_out(entry: Entry) -> bytes:
        if not provisional.isdisjoint(_PROVISIONAL.findall(entry.body)):
            return response_of(refusal(_leaning(entry).fault))
        alone = alone_of(request, entry)
        async with turn:
            reply = await answer(alone)
        for position in alone.positions:
            request.stand_at(position)
        return response_of(reply, is_head=entry.method == "HEAD")

    answers = await asyncio.gather(*(carried_out(entry) for entry in entries))
    return Reply(200, bundle.assemble("batch-response", [], answers), CONTENT_TYPE)


def _leaning(entry: Entry) -> Refusal:
    text = "entries of a batch do not refer to each other: that takes a transaction"
    place = f"{entry.place}.resource"
    return Refusal("INVALID_ARGUMENT", "BUNDLE_INVALID", text, fields=[FieldViolation(place, "BUNDLE_INVALID", text)])


def alone_of(request: Request, entry: Entry) -> Request:
    """The request that an entry is by itself."""
    path, _, query = entry.url.partition("#")[0].partition("?")
    headers = [(name, value) for name, value in request.headers.items() if name in _INHERITED]
    if entry.body:
        is_json_patch = entry.method == "PATCH" and not entry.body.lstrip().startswith(b"{")
        headers.append((b"content-type", JSON_PATCH.encode() if is_json_patch else b"application/fhir+json"))
    if entry.if_match:
        headers.append((b"if-match", b'W/"%d"' % entry.if_match))
    for name, text in (
        (b"if-none-exist", entry.if_none_exist),
        (b"if-none-match", entry.if_none_match),
        (b"if-modified-since", entry.if_modified_since),
    ):
        if text:
            headers.append((name, text.encode()))
    scope: Scope = {
        **request.scope,
        "method": entry.method,
        "path": f"{BASE_PATH}/{path}",
        "raw_path": quote(f"{BASE_PATH}/{path}", safe=_URL_SAFE).encode(),
        "query_string": quote(query, safe=_URL_SAFE).encode(),
        "headers": headers,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": entry.body, "more_body": False}

    return Request(scope, receive, request.trace_id, request.traceparent)


def response_of(reply: Reply, *, is_head: bool = False) -> bytes:
    """The entry of the answer."""
    headers = dict(reply.headers)
    response = {"status": f"{reply.status} {HTTPStatus(reply.status).phrase}"}
    if place := headers.get(b"location"):
        response["location"] = place.decode()
    if etag := headers.get(b"etag"):
        response["etag"] = etag.decode()
    if modified := headers.get(b"last-modified"):
        response["lastModified"] = parsedate_to_datetime(modified.decode()).isoformat()
    # Every status above 399 comes with an OperationOutcome.
    is_refused = reply.status >= HTTPStatus.BAD_REQUEST
    rest = orjson.dumps(response)
    if is_refused:
        return b'{"response":%b,"outcome":%b}}' % (rest[:-1], reply.body)
    if reply.body and not is_head:
        return b'{"resource":%b,"response":%b}' % (reply.body, rest)
    return b'{"response":%b}' % rest
