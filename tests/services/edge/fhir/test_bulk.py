"""Bulk Data at the edge: kick-off, status, files."""

import base64
import gzip
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from nhip.exchange.v1 import exports_pb2

from libs.errors import InvalidArgumentError, NotFoundError, ResourceExhaustedError
from services.edge.fhir.bulk.files import _accepts_gzip
from tests.services.edge.fakes import Surface

KICK_OFF = {"accept": "application/fhir+json", "prefer": "respond-async", "authorization": "Bearer t"}
LINES = b'{"resourceType":"Patient","id":"1"}\n'
AT = datetime(2026, 11, 27, 3, 4, 5, 678000, tzinfo=UTC)


def an_export(state: int = 4, **more: Any) -> exports_pb2.Export:
    made = exports_pb2.Export(export_id="e1", state=state, request_url="http://edge.test/fhir/R4/$export", **more)  # type: ignore[arg-type]  # a number
    made.transaction_time.FromDatetime(AT)
    made.expires_at.FromDatetime(AT)
    return made


def begun(edge: Surface) -> None:
    edge.platform.answers["exchange.StartExport"] = exports_pb2.StartExportResponse(export=an_export(2))


@pytest.mark.parametrize(
    ("path", "level", "group"),
    [("$export", 1, ""), ("Patient/$export", 2, ""), ("Group/g1/$export", 3, "g1")],
)
async def test_a_kick_off_is_answered_with_the_address_of_its_status(
    edge: Surface, path: str, level: int, group: str
) -> None:
    begun(edge)
    query = "_type=Patient,Observation&_since=2026-01-01T00:00:00Z&_elements=id&_outputFormat=application/fhir%2Bndjson"
    filters = "_typeFilter=Observation%3Fcode%3Da,b%26status%3Dfinal,Patient%3Fgender%3Dmale"
    reply = await edge.client.get(f"/fhir/R4/{path}?{query}&{filters}", headers=KICK_OFF)
    assert reply.status_code == 202
    assert reply.headers["content-location"] == "http://edge.test/fhir/R4/$export-status/e1"
    (asked,) = edge.platform.called("exchange.StartExport")
    assert (asked.plan.level, asked.plan.group_id) == (level, group)
    assert list(asked.plan.types) == ["Patient", "Observation"]
    assert list(asked.plan.type_filters) == ["Observation?code=a,b&status=final", "Patient?gender=male"]
    assert asked.plan.since.ToDatetime(UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    assert asked.request_url.startswith(f"http://edge.test/fhir/R4/{path}?_type=Patient,Observation&")


async def test_preferences_may_come_in_lines_of_their_own(edge: Surface) -> None:
    begun(edge)
    told = [("accept", "application/fhir+json"), ("prefer", "respond-async"), ("prefer", "handling=lenient")]
    reply = await edge.client.get("/fhir/R4/$export?nonsense=1", headers=told)
    assert reply.status_code == 202
    (asked,) = edge.platform.called("exchange.StartExport")
    assert asked.plan.lenient


async def test_a_posted_kick_off_names_patients_by_references(edge: Surface) -> None:
    begun(edge)
    named = [{"name": "patient", "valueReference": {"reference": f"Patient/{n}"}} for n in (1, 2)]
    body = {"resourceType": "Parameters", "parameter": [*named, {"name": "_type", "valueString": "Observation"}]}
    reply = await edge.client.post("/fhir/R4/Patient/$export", json=body, headers=KICK_OFF)
    assert reply.status_code == 202
    (asked,) = edge.platform.called("exchange.StartExport")
    assert list(asked.plan.patient_ids) == ["1", "2"]


@pytest.mark.parametrize(
    ("query", "headers", "named"),
    [
        ("", {"prefer": ""}, "Prefer"),
        ("?_outputFormat=text/csv", {}, "_outputFormat"),
        ("?nonsense=1", {}, "nonsense"),
        ("?_since=yesterday", {}, "_since"),
        ("?patient=Group/1", {}, "patient"),
    ],
)
async def test_what_a_kick_off_cannot_mean_is_refused_by_name(
    edge: Surface, query: str, headers: dict[str, str], named: str
) -> None:
    reply = await edge.client.get(f"/fhir/R4/Patient/$export{query}", headers=KICK_OFF | headers)
    assert reply.status_code == 400
    assert reply.json()["issue"][0]["expression"] == [named]
    assert edge.platform.calls == []


async def test_handled_leniently_an_unknown_parameter_is_passed_over_and_told_of(edge: Surface) -> None:
    begun(edge)
    headers = KICK_OFF | {"prefer": "respond-async, handling=lenient"}
    reply = await edge.client.get("/fhir/R4/$export?includeAssociatedData=all", headers=headers)
    assert reply.status_code == 202
    (asked,) = edge.platform.called("exchange.StartExport")
    assert (asked.plan.lenient, list(asked.ignored_parameters)) == (True, ["includeAssociatedData"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidArgumentError("SEARCH_INVALID", "no such parameter"), 400),
        (NotFoundError("RESOURCE_UNKNOWN", "no such Group"), 404),
        (ResourceExhaustedError("EXPORTS_EXHAUSTED", "too many", retry_after_seconds=60), 429),
    ],
)
async def test_a_refusal_is_told_at_once(edge: Surface, error: Any, status: int) -> None:
    edge.platform.answers["exchange.StartExport"] = error
    reply = await edge.client.get("/fhir/R4/Group/g1/$export", headers=KICK_OFF)
    assert (reply.status_code, reply.json()["resourceType"]) == (status, "OperationOutcome")


async def test_a_status_tells_progress_then_the_manifest(edge: Surface) -> None:
    running = an_export(3, parts_total=4, parts_done=1, resources=5000)
    edge.platform.answers["exchange.GetExport"] = exports_pb2.GetExportResponse(export=running)
    reply = await edge.client.get("/fhir/R4/$export-status/e1", headers=KICK_OFF)
    assert (reply.status_code, reply.content) == (202, b"")
    assert reply.headers["x-progress"] == "5000 resources so far"
    assert 1 <= int(reply.headers["retry-after"]) <= 30
    done = an_export()
    digest = hashlib.sha256(LINES).hexdigest()
    done.files.add(number=0, kind=1, type="Patient", count=1, size_bytes=len(LINES), sha256=digest)
    done.files.add(number=1, kind=2, type="Bundle", count=1, size_bytes=9, sha256="00")
    edge.platform.answers["exchange.GetExport"] = exports_pb2.GetExportResponse(export=done)
    reply = await edge.client.get("/fhir/R4/$export-status/e1", headers={"accept": "application/json"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["expires"] == "Fri, 27 Nov 2026 03:04:05 GMT"
    manifest = reply.json()
    assert manifest["transactionTime"] == "2026-11-27T03:04:05.678+00:00"
    assert manifest["requiresAccessToken"] is True
    assert manifest["error"] == []
    (output,), (deleted,) = manifest["output"], manifest["deleted"]
    assert output["url"] == "http://edge.test/fhir/R4/$export-file/e1/0.Patient.ndjson"
    assert (output["type"], output["count"], deleted["type"]) == ("Patient", 1, "Bundle")
    (checksum,) = output["extension"].values()
    assert checksum == {"sha256": digest, "size": len(LINES)}


async def test_a_failed_export_says_why(edge: Surface) -> None:
    failed = an_export(5, error_reason="PLAN_INVALID", error_message="the plan is not one that was made here")
    edge.platform.answers["exchange.GetExport"] = exports_pb2.GetExportResponse(export=failed)
    reply = await edge.client.get("/fhir/R4/$export-status/e1", headers=KICK_OFF)
    assert reply.status_code == 500
    assert reply.json()["issue"][0]["details"]["coding"][0]["code"] == "PLAN_INVALID"


async def test_an_export_is_cancelled_by_deleting_its_status(edge: Surface) -> None:
    reply = await edge.client.delete("/fhir/R4/$export-status/e1", headers=KICK_OFF)
    assert reply.status_code == 202
    assert [one.export_id for one in edge.platform.called("exchange.CancelExport")] == ["e1"]
    edge.platform.answers["exchange.GetExport"] = NotFoundError("EXPORT_UNKNOWN", "there is no such export")
    reply = await edge.client.get("/fhir/R4/$export-status/e1", headers=KICK_OFF)
    assert (reply.status_code, reply.json()["resourceType"]) == (404, "OperationOutcome")


def a_file(*chunks: bytes) -> list[Any]:
    digest = hashlib.sha256(LINES).hexdigest()
    file = exports_pb2.ExportFile(number=3, kind=1, type="Patient", count=1, size_bytes=len(LINES), sha256=digest)  # type: ignore[arg-type]  # a number
    first, *rest = chunks
    answers = [exports_pb2.ReadExportFileResponse(file=file, chunk=first)]
    return answers + [exports_pb2.ReadExportFileResponse(chunk=one) for one in rest]


async def test_a_file_comes_as_it_is_or_compressed(edge: Surface) -> None:
    edge.platform.answers["exchange.ReadExportFile"] = a_file(b"", LINES[:9], LINES[9:])  # type: ignore[assignment]  # all messages
    path = "/fhir/R4/$export-file/e1/3.Patient.ndjson"
    plain = {"accept": "application/fhir+ndjson", "accept-encoding": "identity"}
    reply = await edge.client.get(path, headers=plain)
    assert (reply.status_code, reply.content) == (200, LINES)
    assert reply.headers["content-type"] == "application/fhir+ndjson"
    assert reply.headers["content-length"] == str(len(LINES))
    digest = base64.b64encode(hashlib.sha256(LINES).digest()).decode()
    assert reply.headers["repr-digest"] == f"sha-256=:{digest}:"
    (asked,) = edge.platform.called("exchange.ReadExportFile")[:1]
    assert (asked.export_id, asked.number, asked.is_compressed) == ("e1", 3, False)
    packed = gzip.compress(LINES)
    edge.platform.answers["exchange.ReadExportFile"] = a_file(packed[:5], packed[5:])  # type: ignore[assignment]  # all messages
    reply = await edge.client.get(path, headers=plain | {"accept-encoding": "gzip"})
    assert (reply.headers["content-encoding"], reply.content) == ("gzip", LINES)
    assert edge.platform.called("exchange.ReadExportFile")[-1].is_compressed


async def test_a_file_that_is_not_there_is_an_answer(edge: Surface) -> None:
    edge.platform.answers["exchange.ReadExportFile"] = NotFoundError("EXPORT_UNKNOWN", "there is no such export")
    for name in ("0.Patient.ndjson", "x", "99999999999"):
        reply = await edge.client.get(f"/fhir/R4/$export-file/e1/{name}", headers=KICK_OFF)
        assert (reply.status_code, reply.json()["resourceType"]) == (404, "OperationOutcome")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [("", False), ("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("*", True), ("br", False)],
)
def test_gzip_is_sent_to_who_takes_it(accept: str, wanted: bool) -> None:  # noqa: FBT001 a row of the table
    assert _accepts_gzip(accept) is wanted


async def test_capabilities_tell_of_bulk_data(edge: Surface) -> None:
    statement = (await edge.client.get("/fhir/R4/metadata")).json()
    assert statement["instantiates"] == ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]
    rest = statement["rest"][0]
    by_type = {one["type"]: {operation["name"] for operation in one["operation"]} for one in rest["resource"]}
    assert "export" in {one["name"] for one in rest["operation"]}
    assert [kind for kind, names in by_type.items() if "export" in names] == ["Group", "Patient"]
