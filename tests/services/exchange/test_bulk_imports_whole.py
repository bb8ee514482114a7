"""Imports of lines with the real identity, index and records: from a kick-off to stored resources."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from nhip.exchange.v1 import bulk_imports_pb2, bulk_imports_pb2_grpc, resources_pb2
from nhip.identity.v1 import resources_pb2 as identity_nouns
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.identity.v1 import service_pb2_grpc as identity_grpc
from nhip.records.v1 import service_pb2, service_pb2_grpc

from libs.access.caller import OPERATIONS
from services.exchange.__main__ import build as build_exchange
from services.exchange.formats.ndjson import batches
from services.identity.__main__ import build as build_identity
from services.patient_index.__main__ import build as build_index
from services.records.__main__ import build as build_records
from tests.services.exchange.files import HCODE
from tests.services.exchange.test_bulk_imports import a_patient, an_observation, ndjson
from tests.services.records.stage import Refused, refusal
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, make_secrets, serving

SOURCE = "https://old.example.org/fhir"
BUILDS = {
    "identity": build_identity,
    "patient_index": build_index,
    "records": build_records,
    "exchange": build_exchange,
}


@dataclass
class Whole:
    """The services that an import of lines touches."""

    services: dict[str, Running]

    @property
    def stub(self) -> Any:
        return self.services["exchange"].stub(bulk_imports_pb2_grpc.BulkImportServiceStub)

    def token(self, scopes: str = "system/*.cu", subject: str = "client/bulk", organization: str = HCODE) -> Any:
        return self.services["exchange"].token(scopes=scopes, organization=organization, subject=subject)

    async def call(self, method: str, request: Any, token: Any = None) -> Any:
        try:
            return await getattr(self.stub, method)(request, metadata=token or self.token(), timeout=20)
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def start(self, data: bytes, token: Any = None, **told: Any) -> Any:
        async def messages() -> AsyncIterator[bulk_imports_pb2.StartBulkImportRequest]:
            start = bulk_imports_pb2.BulkImportStart(input_source=SOURCE, inputs=[told or {}])
            yield bulk_imports_pb2.StartBulkImportRequest(start=start)
            for at in range(0, len(data), 1000):
                yield bulk_imports_pb2.StartBulkImportRequest(chunk=data[at : at + 1000])

        return getattr(await self.call("StartBulkImport", messages(), token), "import")

    async def taken(self, *bodies: Any) -> Any:
        """The import of these lines when it is finished."""
        found = await self.start(ndjson(*bodies))
        request = bulk_imports_pb2.GetBulkImportRequest(import_id=found.import_id)
        while found.state in {resources_pb2.IMPORT_STATE_QUEUED, resources_pb2.IMPORT_STATE_RUNNING}:
            await asyncio.sleep(0.05)
            found = getattr(await self.call("GetBulkImport", request), "import")
        assert found.state == resources_pb2.IMPORT_STATE_SUCCEEDED
        return found

    async def errors(self, found: Any) -> list[Any]:
        request = bulk_imports_pb2.ListBulkImportErrorsRequest(import_id=found.import_id, after_line=-1)
        return list((await self.call("ListBulkImportErrors", request)).errors)

    async def stored(self, kind: str) -> list[dict[str, Any]]:
        records = self.services["records"]
        token = records.token(scopes="system/*.rs", organization=HCODE, purpose=OPERATIONS)
        stub = records.stub(service_pb2_grpc.RecordsServiceStub)
        found = await stub.SearchResources(service_pb2.SearchResourcesRequest(type=kind), metadata=token, timeout=10)
        return [json.loads(one.body) for one in found.matches]


@pytest.fixture
async def whole(database_url: DatabaseUrl, tmp_path: Path) -> AsyncIterator[Whole]:
    secrets = make_secrets(tmp_path / "secrets")
    async with AsyncExitStack() as stack:
        services: dict[str, Running] = {}
        for name, build in BUILDS.items():
            peers = {known: running.process.address for known, running in services.items()}
            services[name] = await stack.enter_async_context(
                serving(name, build, database_url(name), secrets=secrets, peers=peers)
            )
        identity = services["identity"]
        organization = identity_nouns.Organization(organization_id=HCODE, name=HCODE, kind=1)  # type: ignore[arg-type]  # a number
        await identity.stub(identity_grpc.IdentityServiceStub).CreateOrganization(
            identity_pb2.CreateOrganizationRequest(organization=organization),
            metadata=identity.token(scopes="identity.admin", organization="nhip"),
            timeout=5,
        )
        yield Whole(services)


def a_visit(number: int, reason: int) -> dict[str, Any]:
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    told = {"resourceType": "Encounter", "id": str(number), "status": "finished", "class": kind}
    return {
        **told,
        "subject": {"reference": "Patient/1"},
        "diagnosis": [{"condition": {"reference": f"Condition/{reason}"}}],
    }


def a_reason(number: int, visit: int) -> dict[str, Any]:
    told = {"resourceType": "Condition", "id": str(number), "code": {"text": "fever"}}
    return {**told, "subject": {"reference": "Patient/1"}, "encounter": {"reference": f"Encounter/{visit}"}}


async def test_lines_come_in_whatever_their_order_under_ids_of_this_server(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_LINES", 2)
    lines = [an_observation(5), a_visit(1, 2), an_observation(6), a_reason(2, 1), an_observation(7), a_patient(1)]
    for expected in ((6, 0), (0, 6)):
        (result,) = (await whole.taken(*lines)).results
        assert (result.created, result.unchanged, result.rejected) == (*expected, 0)
    (person,), (visit,), (reason,) = [await whole.stored(kind) for kind in ("Patient", "Encounter", "Condition")]
    assert visit["subject"]["reference"] == reason["subject"]["reference"] == f"Patient/{person['id']}"
    assert visit["diagnosis"][0]["condition"]["reference"] == f"Condition/{reason['id']}"
    assert reason["encounter"]["reference"] == f"Encounter/{visit['id']}"
    assert visit["meta"] | {"lastUpdated": ""} == {
        "versionId": "1",
        "lastUpdated": "",
        "source": f"Organization/{HCODE}",
    }


async def test_each_line_is_held_against_what_a_creation_is_held_against(whole: Whole) -> None:
    wrong = [
        an_observation(1, status="done", nonsense=1),
        b'{"resourceType":"Observation","status":"final","status":"final","code":{"text":"a"}}',
        an_observation(2, person=9),
        {"resourceType": "Patient", "id": "3"},
        b'{"resourceType":"Observation","code":',
    ]
    found = await whole.taken(a_patient(1), *wrong, an_observation(4))
    (result,) = found.results
    assert (result.created, result.rejected) == (2, 5)
    told = {one.line: one for one in await whole.errors(found)}
    assert [told[line].reason for line in range(2, 7)] == [
        *("RESOURCE_INVALID", "RESOURCE_INVALID", "REFERENCE_UNKNOWN", "LOCAL_NUMBER_MISSING", "JSON_INVALID")
    ]
    assert {"Observation.status", "Observation.nonsense"} <= {one.expression for one in told[2].issues}
    assert "status stands twice" in told[3].issues[0].description
    assert told[4].issues[0].expression == "Observation.subject"
    assert told[5].issues[0].expression == "Patient.identifier"


@pytest.mark.parametrize(
    ("scopes", "organization", "reason"),
    [
        ("user/*.cruds", HCODE, "SCOPE_MISSING"),
        ("system/*.rs imports.write", HCODE, "SCOPE_MISSING"),
        ("system/Observation.cu", HCODE, "SCOPE_MISSING"),
        ("system/*.cu", "", "ORGANIZATION_MISSING"),
    ],
)
async def test_who_may_not_create_may_not_import(whole: Whole, scopes: str, organization: str, reason: str) -> None:
    token = whole.token(scopes, organization=organization)
    with pytest.raises(Refused) as caught:
        await whole.start(ndjson(a_patient(1)), token, type="Patient")
    assert caught.value.reason == reason


async def test_an_import_is_there_for_who_started_it_and_can_be_stopped(whole: Whole) -> None:
    found = await whole.start(ndjson(a_patient(1)))
    for method, request in (
        ("GetBulkImport", bulk_imports_pb2.GetBulkImportRequest(import_id=found.import_id)),
        ("CancelBulkImport", bulk_imports_pb2.CancelBulkImportRequest(import_id=found.import_id)),
        ("ListBulkImportErrors", bulk_imports_pb2.ListBulkImportErrorsRequest(import_id=found.import_id)),
    ):
        for stranger in (whole.token(subject="client/other"), whole.token(organization="10661")):
            with pytest.raises(Refused) as caught:
                await whole.call(method, request, stranger)
            assert caught.value.reason == "IMPORT_UNKNOWN"
    await whole.call("CancelBulkImport", bulk_imports_pb2.CancelBulkImportRequest(import_id=found.import_id))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"url": "https://127.0.0.1/a"}, "URL_REFUSED"),
        ({"url": "http://files.example.org/a"}, "URL_REFUSED"),
        ({"url": "file:///etc/passwd"}, "URL_INVALID"),
        ({"sha256": "0" * 64}, "CHECKSUM_MISMATCH"),
    ],
)
async def test_a_kick_off_of_what_may_not_be_had_is_refused(whole: Whole, told: dict[str, str], reason: str) -> None:
    with pytest.raises(Refused) as caught:
        await whole.start(b"" if "url" in told else ndjson(a_patient(1)), **told)
    assert caught.value.reason == reason
    assert await whole.services["exchange"].database.pool.fetchval("SELECT count(*) FROM input_chunks") == 0
