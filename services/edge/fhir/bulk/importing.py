"""$import: newline-delimited JSON by reference or as an upload, taken in while the caller asks how it goes.

By reference as the SMART and Argonaut drafts of Bulk Data import have it (https://github.com/smart-on-fhir/bulk-import), as
Parameters or as plain JSON: inputFormat, inputSource, storageDetail, mode, and for each file type and url. As an upload the
lines are the body.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.protobuf.message import Message
from nhip.exchange.v1 import bulk_imports_pb2

from services.edge import soundjson
from services.edge.asgi import Reply, Request, media_type
from services.edge.faults import Refusal
from services.edge.fhir.bulk.export import NDJSON, is_lenient_wanted, require_async
from services.edge.fhir.bulk.import_status import IMPORT_STATUS
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.parameters import Arguments, from_parameters, from_query, refused
from services.edge.fhir.outcome import CONTENT_TYPE, information
from services.edge.transcode import CHUNK_BYTES

_LINES = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson", "application/gzip"})
_JSON = frozenset({"application/fhir+json", "application/json"})
KNOWN = ("inputFormat", "inputSource", "storageDetail", "mode", "input")
_UPLOADED = ("inputFormat", "inputSource", "mode", "type")
# What a source says of how its lines are meant. Both are taken the same way: lines are compared with what is here.
_MODES = frozenset({"", "initialload", "incrementalload"})
_PARTS = frozenset({"type", "url", "etag", "sha256"})
_STORAGE = "https"
_DIGEST = re.compile(r"(?:^|[\s,])sha-256=:([A-Za-z0-9+/=]{44}):")
_SHA256_BYTES = 32
Start = bulk_imports_pb2.BulkImportStart


async def import_(invoked: Invocation) -> Reply:
    """`POST $import`: 202 with the address of the status."""
    request = invoked.request
    require_async(request)
    kind = media_type(request)
    if kind in _LINES:
        answer = await _upload(invoked)
    elif kind in _JSON:
        answer = await _refer(invoked)
    else:
        text = "the body is Parameters or a manifest as JSON, or the lines themselves as application/fhir+ndjson"
        raise Refusal("INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED", text, status=415)
    place = f"{base_url(request)}/{IMPORT_STATUS}/{getattr(answer, 'import').import_id}"
    headers = [(b"content-location", place.encode()), (b"cache-control", b"no-store")]
    return Reply(202, information("the import has begun; Content-Location tells how it goes"), CONTENT_TYPE, headers)


async def _upload(invoked: Invocation) -> bulk_imports_pb2.StartBulkImportResponse:
    request = invoked.request
    arguments = from_query([pair for pair in invoked.query if pair[0] not in FORM_PARAMETERS])
    arguments.require_known(_UPLOADED)
    start = _begun(request, arguments)
    start.inputs.add(type=_type(arguments.text("type"), "type"), sha256=_digest(request))
    return await _start(invoked, start, request)


async def _refer(invoked: Invocation) -> bulk_imports_pb2.StartBulkImportResponse:
    request = invoked.request
    arguments = _arguments(await soundjson.parse_aside(await request.body()))
    arguments.add(from_query([pair for pair in invoked.query if pair[0] not in FORM_PARAMETERS]))
    known = set(KNOWN)
    if is_lenient_wanted(request):
        known |= set(arguments.names())
    arguments.require_known(known)
    storage = arguments.object("storageDetail") or {}
    if storage.get("type", _STORAGE) != _STORAGE:
        raise refused("storageDetail", "PARAMETER_INVALID", "files are fetched by https")
    if others := sorted(set(storage) - {"type"}):
        raise refused(f"storageDetail.{others[0]}", "PARAMETER_UNKNOWN", "an address must do without it")
    start = _begun(request, arguments)
    told = arguments.all("input")
    if not told:
        raise refused("input", "PARAMETER_MISSING", "what is to be imported: type and url of each file")
    for position, one in enumerate(told):
        start.inputs.append(_input(position, one))
    return await _start(invoked, start, None)


def _arguments(document: Any) -> Arguments:
    """Parameters, or a manifest that names the same as members."""
    if isinstance(document, dict) and document.get("resourceType") == "Parameters":
        return from_parameters(document)
    if not isinstance(document, dict) or "resourceType" in document:
        raise refused("Parameters", "TYPE_MISMATCH", "Parameters or a manifest belong here")
    found = Arguments()
    for name, value in document.items():
        for one in value if isinstance(value, list) else [value]:
            found.put(name, one)
    return found


def _begun(request: Request, arguments: Arguments) -> Start:
    if (arguments.text("inputFormat") or "ndjson").replace(" ", "+") not in NDJSON:
        raise refused("inputFormat", "PARAMETER_INVALID", "imports are application/fhir+ndjson")
    if arguments.text("mode").lower() not in _MODES:
        raise refused("mode", "PARAMETER_INVALID", "InitialLoad or IncrementalLoad")
    path = "/".join(("", *request.raw_segments))
    return Start(request_url=request.root_url + path, input_source=arguments.text("inputSource"))


def _input(position: int, told: Any) -> bulk_imports_pb2.BulkImportInput:
    place = f"input[{position}]"
    if not isinstance(told, dict):
        raise refused(place, "PARAMETER_INVALID", "type and url belong here")
    if others := sorted(set(told) - _PARTS):
        raise refused(f"{place}.{others[0]}", "PARAMETER_UNKNOWN", "an input has type, url, etag, sha256")
    url = _text(told, "url", place)
    if not url:
        raise refused(f"{place}.url", "PARAMETER_MISSING", "where the file is belongs here")
    sha256 = _text(told, "sha256", place).lower()
    if sha256 and re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
        raise refused(f"{place}.sha256", "PARAMETER_INVALID", "64 hexadecimal digits belong here")
    kind = _type(_text(told, "type", place), f"{place}.type")
    return bulk_imports_pb2.BulkImportInput(type=kind, url=url, etag=_text(told, "etag", place), sha256=sha256)


def _text(told: Mapping[str, Any], name: str, place: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str):
        raise refused(f"{place}.{name}", "PARAMETER_INVALID", "a text belongs here")
    return value


def _type(name: str, place: str) -> str:
    if name and re.fullmatch(r"[A-Z][A-Za-z]{1,63}", name) is None:
        raise refused(place, "PARAMETER_INVALID", "a resource type belongs here")
    return name


def _digest(request: Request) -> str:
    """The SHA-256 that Content-Digest or Repr-Digest names (RFC 9530), in hexadecimal; empty for none."""
    for name in (b"content-digest", b"repr-digest"):
        match = _DIGEST.search(request.header(name))
        if match is None:
            continue
        try:
            digest = base64.b64decode(match[1], validate=True)
        except binascii.Error:
            digest = b""
        if len(digest) != _SHA256_BYTES:
            raise refused(name.decode(), "PARAMETER_INVALID", "sha-256=: and :, with base64 between")
        return digest.hex()
    return ""


async def _start(invoked: Invocation, start: Start, body: Request | None) -> bulk_imports_pb2.StartBulkImportResponse:
    async def messages() -> AsyncIterator[Message]:
        yield bulk_imports_pb2.StartBulkImportRequest(start=start)
        if body is not None:
            async for piece in body.chunks():
                for at in range(0, len(piece), CHUNK_BYTES):
                    yield bulk_imports_pb2.StartBulkImportRequest(chunk=piece[at : at + CHUNK_BYTES])

    answer: bulk_imports_pb2.StartBulkImportResponse = await invoked.upstream["exchange.StartBulkImport"].stream(
        messages(), invoked.request
    )
    return answer
