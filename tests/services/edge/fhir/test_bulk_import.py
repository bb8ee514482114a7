"""$import at the edge: kick-off by reference and as an upload, status, and the lines that were not taken."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from nhip.exchange.v1 import bulk_imports_pb2

from libs.errors import NotFoundError, PermissionDeniedError
from tests.services.edge.fakes import Surface

KICK_OFF = {"accept": "application/fhir+json", "prefer": "respond-async", "authorization": "Bearer t"}
NDJSON = {"content-type": "application/fhir+ndjson"}
LINES = b'{"resourceType":"Patient","id":"1"}\n'
QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = 2, 3, 4, 5, 6


def an_import(state: int = QUEUED, **more: Any) -> bulk_imports_pb2.BulkImport:
    made = bulk_imports_pb2.BulkImport(
        import_id="i1", state=state, request_url="http://edge.test/fhir/R4/$import", **more
    )  # type: ignore[arg-type]  # a number
    made.recorded_at.FromDatetime(datetime(2026, 11, 27, 3, 4, 5, 678000, tzinfo=UTC))
    return made


def begun(edge: Surface) -> list[Any]:
    """What the service is sent, once it was."""
    received: list[Any] = []

    async def answer(requests: Any) -> Any:
        received.extend([request async for request in requests])
        return bulk_imports_pb2.StartBulkImportResponse(**{"import": an_import()})

    edge.platform.answers["exchange.StartBulkImport"] = answer  # type: ignore[assignment]  # a stream's answer
    return received


def stands(edge: Surface, found: bulk_imports_pb2.BulkImport) -> None:
    answer = bulk_imports_pb2.GetBulkImportResponse(**{"import": found})
    edge.platform.answers["exchange.GetBulkImport"] = answer


def by_reference(**more: Any) -> dict[str, Any]:
    """A kick-off as HAPI and Microsoft have it."""
    parts = {"type": {"valueCode": "Patient"}, "url": {"valueUri": "https://a.example/p.ndjson"}, **more}
    listed = [{"name": name, **value} for name, value in parts.items()]
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "inputFormat", "valueCode": "application/fhir+ndjson"},
            {"name": "inputSource", "valueUri": "https://old.example.org/fhir"},
            {"name": "storageDetail", "part": [{"name": "type", "valueCode": "https"}]},
            {"name": "mode", "valueCode": "InitialLoad"},
            {"name": "input", "part": [*listed, {"name": "etag", "valueUri": '"7"'}]},
            {"name": "input", "part": [{"name": "url", "valueUri": "https://a.example/o.ndjson.gz"}]},
        ],
    }


MANIFEST = {
    "inputFormat": "application/fhir+ndjson",
    "inputSource": "https://old.example.org/fhir",
    "storageDetail": {"type": "https"},
    "mode": "InitialLoad",
    "input": [
        {"type": "Patient", "url": "https://a.example/p.ndjson", "etag": '"7"'},
        {"url": "https://a.example/o.ndjson.gz"},
    ],
}


@pytest.mark.parametrize("document", [by_reference(), MANIFEST], ids=["Parameters", "manifest"])
async def test_a_kick_off_by_reference_names_each_file(edge: Surface, document: dict[str, Any]) -> None:
    received = begun(edge)
    reply = await edge.client.post("/fhir/R4/$import", json=document, headers=KICK_OFF)
    assert reply.status_code == 202
    assert reply.headers["content-location"] == "http://edge.test/fhir/R4/$import-status/i1"
    (message,) = received
    first, second = message.start.inputs
    assert (first.type, first.url, first.etag) == ("Patient", "https://a.example/p.ndjson", '"7"')
    assert (second.type, second.url) == ("", "https://a.example/o.ndjson.gz")
    assert message.start.input_source == "https://old.example.org/fhir"


async def test_an_upload_is_passed_on_as_it_comes_with_its_checksum(edge: Surface) -> None:
    received = begun(edge)
    digest = hashlib.sha256(LINES)
    headers = {"content-digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"}
    query = "inputSource=https://old.example.org/fhir&type=Patient"
    reply = await edge.client.post(f"/fhir/R4/$import?{query}", content=LINES, headers=KICK_OFF | NDJSON | headers)
    assert reply.status_code == 202
    first, *rest = received
    (told,) = first.start.inputs
    assert (told.type, told.url, told.sha256) == ("Patient", "", digest.hexdigest())
    assert b"".join(one.chunk for one in rest) == LINES


@pytest.mark.parametrize(
    ("document", "headers", "status", "named"),
    [
        (MANIFEST, {"prefer": ""}, 400, "Prefer"),
        (MANIFEST | {"inputFormat": "text/csv"}, {}, 400, "inputFormat"),
        (MANIFEST | {"mode": "Sometimes"}, {}, 400, "mode"),
        (MANIFEST | {"storageDetail": {"type": "azure-blob"}}, {}, 400, "storageDetail"),
        (MANIFEST | {"storageDetail": {"type": "https", "credential": "x"}}, {}, 400, "storageDetail.credential"),
        (MANIFEST | {"nonsense": 1}, {}, 400, "nonsense"),
        (MANIFEST | {"input": []}, {}, 400, "input"),
        (MANIFEST | {"input": [{"type": "Patient"}]}, {}, 400, "input[0].url"),
        (MANIFEST | {"input": [{"url": "https://a.example/", "type": "patient"}]}, {}, 400, "input[0].type"),
        (MANIFEST | {"input": [{"url": "https://a.example/", "sha256": "7"}]}, {}, 400, "input[0].sha256"),
        (MANIFEST | {"input": [{"url": "https://a.example/", "more": "7"}]}, {}, 400, "input[0].more"),
        (MANIFEST | {"input": ["https://a.example/"]}, {}, 400, "input[0]"),
        ({"resourceType": "Patient"}, {}, 400, "Parameters"),
    ],
)
async def test_what_a_kick_off_cannot_mean_is_refused_by_name(
    edge: Surface, document: dict[str, Any], headers: dict[str, str], status: int, named: str
) -> None:
    reply = await edge.client.post("/fhir/R4/$import", json=document, headers=KICK_OFF | headers)
    assert reply.status_code == status
    assert reply.json()["issue"][0]["expression"] == [named]
    assert edge.platform.calls == []


async def test_another_body_is_an_unsupported_media_type_and_a_get_is_none(edge: Surface) -> None:
    headers = KICK_OFF | {"content-type": "text/csv"}
    assert (await edge.client.post("/fhir/R4/$import", content=b"a,b", headers=headers)).status_code == 415
    assert (await edge.client.get("/fhir/R4/$import", headers=KICK_OFF)).status_code == 405


async def test_a_refusal_in_the_middle_of_an_upload_is_told(edge: Surface) -> None:
    async def answer(requests: Any) -> Any:
        raise PermissionDeniedError("SCOPE_MISSING", "an import needs a system scope such as system/*.cu")

    edge.platform.answers["exchange.StartBulkImport"] = answer  # type: ignore[assignment]  # a stream's answer
    reply = await edge.client.post("/fhir/R4/$import", content=LINES * 100_000, headers=KICK_OFF | NDJSON)
    assert reply.status_code == 403
    assert reply.json()["issue"][0]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("found", "progress"),
    [
        (an_import(QUEUED, results=[{"position": 0}, {"position": 1}], inputs_fetched=1), "1 of 2 files are here"),
        (an_import(RUNNING, lines_total=20, lines_done=5), "5 of 20 lines"),
    ],
)
async def test_while_it_goes_on_progress_is_told(
    edge: Surface, found: bulk_imports_pb2.BulkImport, progress: str
) -> None:
    stands(edge, found)
    reply = await edge.client.get("/fhir/R4/$import-status/i1", headers=KICK_OFF)
    assert (reply.status_code, reply.headers["x-progress"]) == (202, progress)
    assert int(reply.headers["retry-after"]) >= 1


def finished() -> bulk_imports_pb2.BulkImport:
    good = {"position": 0, "input": {"type": "Patient", "url": "https://a.example/p.ndjson?sig=secret"}, "created": 3}
    gone = {"position": 1, "input": {"url": "https://a.example/o.ndjson"}, "error_reason": "UNREACHABLE"}
    return an_import(SUCCEEDED, results=[{**good, "unchanged": 4, "rejected": 2, "sha256": "ab"}, gone])


async def test_the_manifest_tells_of_each_input(edge: Surface) -> None:
    stands(edge, finished())
    reply = await edge.client.get("/fhir/R4/$import-status/i1", headers=KICK_OFF)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    told = reply.json()
    assert told["transactionTime"] == "2026-11-27T03:04:05.678+00:00"
    first, second = told["output"]
    assert (first["type"], first["count"], second["count"]) == ("Patient", 7, 0)
    assert first["extension"]["https://nhip.th/fhir/bulk-data/counts"]["rejected"] == 2
    assert [(one["inputUrl"], one["count"]) for one in told["error"]] == [
        ("https://a.example/p.ndjson?sig=secret", 2),
        ("https://a.example/o.ndjson", 1),
    ]
    assert told["error"][0]["url"] == "http://edge.test/fhir/R4/$import-errors/i1/0.OperationOutcome.ndjson"


async def test_a_line_that_was_not_taken_is_told_with_file_line_and_expression(edge: Surface) -> None:
    stands(edge, finished())
    issue = {"expression": "Patient.gender", "code": "code-invalid", "description": "no such code"}
    pages = [
        {"errors": [{"line": 3, "reason": "RESOURCE_INVALID", "issues": [issue], "resource": "Patient/7"}], "has_more": True},
        {"errors": [{"line": 9, "reason": "JSON_INVALID", "issues": [{"code": "structure", "description": "cut off"}]}]},
    ]  # fmt: skip
    edge.platform.answers["exchange.ListBulkImportErrors"] = lambda request: (
        bulk_imports_pb2.ListBulkImportErrorsResponse(**pages[request.after_line >= 3])  # type: ignore[arg-type]  # messages as JSON
    )
    headers = KICK_OFF | {"accept": "application/fhir+ndjson"}
    reply = await edge.client.get("/fhir/R4/$import-errors/i1/0.OperationOutcome.ndjson", headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/fhir+ndjson")
    first, second = (json.loads(line)["issue"][0] for line in reply.text.splitlines())
    assert first["expression"] == ["Patient.gender"]
    assert first["diagnostics"] == "p.ndjson, line 3, Patient/7: no such code"
    assert [one.get("valueInteger") for one in second["extension"]] == [None, 9]
    assert "secret" not in reply.text


@pytest.mark.parametrize("name", ["9.OperationOutcome.ndjson", "x", "-1"])
async def test_a_file_that_is_none_is_not_found(edge: Surface, name: str) -> None:
    stands(edge, finished())
    assert (await edge.client.get(f"/fhir/R4/$import-errors/i1/{name}", headers=KICK_OFF)).status_code == 404


@pytest.mark.parametrize(("state", "status"), [(FAILED, 500), (CANCELLED, 404)])
async def test_one_that_failed_or_was_cancelled_says_so(edge: Surface, state: int, status: int) -> None:
    stands(edge, an_import(state, error_reason="INTERNAL", error_message="it has been noted"))
    reply = await edge.client.get("/fhir/R4/$import-status/i1", headers=KICK_OFF)
    assert (reply.status_code, reply.json()["resourceType"]) == (status, "OperationOutcome")


async def test_a_deletion_stops_it_and_anothers_is_not_there(edge: Surface) -> None:
    reply = await edge.client.delete("/fhir/R4/$import-status/i1", headers=KICK_OFF)
    assert reply.status_code == 202
    (asked,) = edge.platform.called("exchange.CancelBulkImport")
    assert asked.import_id == "i1"
    edge.platform.answers["exchange.CancelBulkImport"] = NotFoundError("IMPORT_UNKNOWN", "there is no such import")
    assert (await edge.client.delete("/fhir/R4/$import-status/i2", headers=KICK_OFF)).status_code == 404
