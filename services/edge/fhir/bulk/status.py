"""How an export goes, and its end: http://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request."""

import math
from typing import Any

import orjson
from nhip.exchange.v1 import exports_pb2

from services.edge.asgi import Reply, Request
from services.edge.fhir.bulk.files import file_url
from services.edge.fhir.interaction import base_url, http_date, instant
from services.edge.fhir.outcome import CONTENT_TYPE, information, issue, outcome
from services.edge.upstream import Upstream

STATUS = "$export-status"
# A small export is done after its clock has settled; nobody needs to ask a large one every second.
_FIRST_RETRY, _LONGEST_RETRY = 2, 30
_CHECKSUM = "https://nhip.th/fhir/bulk-data/checksum"
_LISTS = {
    exports_pb2.EXPORT_FILE_KIND_OUTPUT: "output",
    exports_pb2.EXPORT_FILE_KIND_DELETED: "deleted",
    exports_pb2.EXPORT_FILE_KIND_ERROR: "error",
}


async def status(upstream: Upstream, request: Request, export_id: str) -> Reply:
    """`GET $export-status/[id]`: 202 while it goes on, 200 with the manifest, 500 where it failed."""
    message = exports_pb2.GetExportRequest(export_id=export_id)
    export = (await upstream["exchange.GetExport"](message, request)).export
    headers = [(b"cache-control", b"no-store")]
    if export.state == exports_pb2.EXPORT_STATE_SUCCEEDED:
        headers.append((b"expires", http_date(export.expires_at)))
        return Reply(200, _manifest(export, base_url(request)), b"application/json", headers)
    if export.state == exports_pb2.EXPORT_STATE_FAILED:
        text = export.error_message or "the export failed"
        return Reply(500, outcome([issue("error", "exception", text, export.error_reason)]), CONTENT_TYPE, headers)
    headers += [(b"x-progress", _progress(export).encode()), (b"retry-after", str(_retry(export)).encode())]
    return Reply(202, b"", b"", headers)


async def cancel(upstream: Upstream, request: Request, export_id: str) -> Reply:
    """`DELETE $export-status/[id]`: stops it, or forgets its files."""
    await upstream["exchange.CancelExport"](exports_pb2.CancelExportRequest(export_id=export_id), request)
    return Reply(202, information("the export is gone"), CONTENT_TYPE)


def _progress(export: exports_pb2.Export) -> str:
    # Parts are of what is stored, whoever may see it: how many there are is not told.
    return f"{export.resources} resources so far" if export.parts_total else "waiting to begin"


def _retry(export: exports_pb2.Export) -> int:
    """Seconds until it is worth to ask again: longer, the more there is."""
    if export.resources < 1:
        return _FIRST_RETRY
    return min(_LONGEST_RETRY, _FIRST_RETRY + int(math.log2(export.resources)))


def _manifest(export: exports_pb2.Export, base: str) -> bytes:
    lists: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": []}
    for file in export.files:
        lists[_LISTS[file.kind]].append(
            {
                "type": file.type,
                "url": file_url(base, export.export_id, file),
                "count": file.count,
                "extension": {_CHECKSUM: {"sha256": file.sha256, "size": file.size_bytes}},
            }
        )
    return orjson.dumps(
        {
            "transactionTime": instant(export.transaction_time),
            "request": export.request_url,
            "requiresAccessToken": True,
            **lists,
        }
    )
