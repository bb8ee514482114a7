"""How an import goes, its end, and the lines that were not taken."""

import math
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from nhip.exchange.v1 import bulk_imports_pb2, resources_pb2

from libs.errors import NotFoundError
from services.edge.asgi import Reply, Request
from services.edge.fhir.bulk.files import NDJSON
from services.edge.fhir.interaction import base_url, instant
from services.edge.fhir.outcome import CONTENT_TYPE, information, issue, outcome
from services.edge.upstream import Upstream

IMPORT_STATUS = "$import-status"
IMPORT_ERRORS = "$import-errors"
_FIRST_RETRY, _LONGEST_RETRY = 1, 30
_COUNTS = "https://nhip.th/fhir/bulk-data/counts"
_LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
_FILE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-file"
_WAITING = frozenset({resources_pb2.IMPORT_STATE_QUEUED, resources_pb2.IMPORT_STATE_RUNNING})


async def import_status(upstream: Upstream, request: Request, import_id: str) -> Reply:
    """`GET $import-status/[id]`: 202 while it goes on, 200 with what became of each input, 500 where it failed."""
    found = await _get(upstream, request, import_id)
    headers = [(b"cache-control", b"no-store")]
    if found.state == resources_pb2.IMPORT_STATE_SUCCEEDED:
        return Reply(200, _manifest(found, base_url(request)), b"application/json", headers)
    if found.state in _WAITING:
        headers += [(b"x-progress", _progress(found).encode()), (b"retry-after", str(_retry(found)).encode())]
        return Reply(202, b"", b"", headers)
    if found.state == resources_pb2.IMPORT_STATE_CANCELLED:
        raise NotFoundError("IMPORT_UNKNOWN", "the import was cancelled")
    text = found.error_message or "the import failed"
    return Reply(500, outcome([issue("error", "exception", text, found.error_reason)]), CONTENT_TYPE, headers)


async def cancel_import(upstream: Upstream, request: Request, import_id: str) -> Reply:
    """`DELETE $import-status/[id]`: stops it; what was stored stays."""
    message = bulk_imports_pb2.CancelBulkImportRequest(import_id=import_id)
    await upstream["exchange.CancelBulkImport"](message, request)
    return Reply(202, information("the import goes no further; what it stored stays"), CONTENT_TYPE)


async def import_errors(upstream: Upstream, request: Request, import_id: str, name: str) -> Reply:
    """`GET $import-errors/[id]/[name]`: an OperationOutcome for each line of an input that was not taken."""
    found = await _get(upstream, request, import_id)
    number = name.partition(".")[0]
    result = next((one for one in found.results if str(one.position) == number), None)
    if result is None:
        raise NotFoundError("IMPORT_FILE_UNKNOWN", "the import has no such file")
    headers = [(b"cache-control", b"no-store")]
    return Reply(200, b"", NDJSON, headers, _lines(upstream, request, import_id, result))


async def _get(upstream: Upstream, request: Request, import_id: str) -> bulk_imports_pb2.BulkImport:
    message = bulk_imports_pb2.GetBulkImportRequest(import_id=import_id)
    answer = await upstream["exchange.GetBulkImport"](message, request)
    found: bulk_imports_pb2.BulkImport = getattr(answer, "import")
    return found


async def _lines(
    upstream: Upstream, request: Request, import_id: str, result: bulk_imports_pb2.BulkImportResult
) -> AsyncGenerator[bytes]:
    file = _file_name(result)
    message = bulk_imports_pb2.ListBulkImportErrorsRequest(import_id=import_id, position=result.position, after_line=-1)
    while True:
        page = await upstream["exchange.ListBulkImportErrors"](message, request)
        if page.errors:
            yield b"".join(_outcome(file, one) for one in page.errors)
        if not page.has_more:
            return
        message.after_line = page.errors[-1].line


def _outcome(file: str, error: bulk_imports_pb2.BulkImportError) -> bytes:
    issues = []
    for one in error.issues:
        where = f"{file}, line {error.line}" if error.line else file
        if error.resource:
            where += f", {error.resource}"
        told = issue("error", one.code or "processing", f"{where}: {one.description}", error.reason, at=one.expression)
        told["extension"] = [{"url": _FILE, "valueString": file}]
        if error.line:
            told["extension"].append({"url": _LINE, "valueInteger": error.line})
        issues.append(told)
    return outcome(issues) + b"\n"


def _file_name(result: bulk_imports_pb2.BulkImportResult) -> str:
    """The file without the address, which may carry a secret."""
    return unquote(urlsplit(result.input.url).path.rpartition("/")[2]) or f"input {result.position}"


def _progress(found: bulk_imports_pb2.BulkImport) -> str:
    if found.lines_total:
        return f"{found.lines_done} of {found.lines_total} lines"
    return f"{found.inputs_fetched} of {len(found.results)} files are here"


def _retry(found: bulk_imports_pb2.BulkImport) -> int:
    """Seconds until it is worth to ask again: longer, the more there is left."""
    left = found.lines_total - found.lines_done
    return min(_LONGEST_RETRY, _FIRST_RETRY + int(math.log2(1 + left / 10_000)))


def _manifest(found: bulk_imports_pb2.BulkImport, base: str) -> bytes:
    output, error = [], []
    for one in found.results:
        taken = one.created + one.updated + one.unchanged
        shown: dict[str, Any] = {"inputUrl": one.input.url} if one.input.url else {}
        if one.input.type:
            shown["type"] = one.input.type
        counts = {name: getattr(one, name) for name in ("created", "updated", "unchanged", "rejected")}
        output.append({**shown, "count": taken, "extension": {_COUNTS: {**counts, "sha256": one.sha256}}})
        refused = one.rejected + bool(one.error_reason)
        if refused:
            place = f"{base}/{IMPORT_ERRORS}/{found.import_id}/{one.position}.OperationOutcome.ndjson"
            error.append({**shown, "type": "OperationOutcome", "count": refused, "url": place})
    return orjson.dumps(
        {
            "transactionTime": instant(found.recorded_at),
            "request": found.request_url,
            "requiresAccessToken": True,
            "output": output,
            "error": error,
        }
    )
