"""The files of an export: http://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request."""

import base64
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from nhip.exchange.v1 import exports_pb2

from libs.errors import NotFoundError
from services.edge.asgi import Reply, Request
from services.edge.upstream import Upstream

FILE = "$export-file"
NDJSON = b"application/fhir+ndjson"


def file_url(base: str, export_id: str, file: exports_pb2.ExportFile) -> str:
    """Where a file is; its name is for who stores it."""
    return f"{base}/{FILE}/{export_id}/{file.number}.{file.type}.ndjson"


async def export_file(upstream: Upstream, request: Request, export_id: str, name: str) -> Reply:
    """`GET $export-file/[id]/[name]`: the lines as they are, or as gzip where that is accepted."""
    number = name.partition(".")[0]
    if not (number.isascii() and number.isdigit() and len(number) <= 9):  # noqa: PLR2004 more digits than an int32 holds
        raise NotFoundError("EXPORT_FILE_UNKNOWN", "the export has no such file")
    is_compressed = _accepts_gzip(request.header(b"accept-encoding"))
    message = exports_pb2.ReadExportFileRequest(export_id=export_id, number=int(number), is_compressed=is_compressed)
    answers = upstream["exchange.ReadExportFile"].receive(message, request)
    # A refusal comes before the first message, and is an answer of its own.
    first = await anext(answers)
    headers = [(b"vary", b"accept-encoding"), (b"cache-control", b"no-store")]
    if is_compressed:
        headers.append((b"content-encoding", b"gzip"))
    else:
        digest = base64.b64encode(bytes.fromhex(first.file.sha256))
        headers += [
            (b"content-length", str(first.file.size_bytes).encode()),
            (b"repr-digest", b"sha-256=:%b:" % digest),
        ]
    return Reply(200, b"", NDJSON, headers, _pieces(first, answers))


async def _pieces(first: exports_pb2.ReadExportFileResponse, answers: AsyncGenerator[Any]) -> AsyncGenerator[bytes]:
    async with contextlib.aclosing(answers):
        if first.chunk:
            yield first.chunk
        async for one in answers:
            yield one.chunk


def _accepts_gzip(accept: str) -> bool:
    """RFC 9110 section 12.5.3, as far as gzip is concerned."""
    for part in accept.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in {"gzip", "x-gzip", "*"}:
            weight = parameters.partition("q=")[2].strip()
            return weight.rstrip("0.") != "" if weight else True
    return False
