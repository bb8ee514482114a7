"""Exports with the real identity and records: from a kick-off to the bytes of a file."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from nhip.exchange.v1 import exports_pb2, exports_pb2_grpc
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.patient_index.v1 import events_pb2 as index_pb2
from nhip.records.v1 import exports_pb2 as plans_pb2
from nhip.records.v1 import service_pb2, service_pb2_grpc

from services.exchange.__main__ import build as build_exchange
from services.exchange.api import exports as exports_module
from services.identity.__main__ import build as build_identity
from services.records import followers
from services.records.__main__ import build as build_records
from tests.services.records.stage import a_patient, an_observation, refusal
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, make_secrets, serving

HOSPITAL = "10661"
READER = "system/*.rs"


@dataclass
class Trio:
    """Identity, records and exchange."""

    records: Running
    exchange: Running

    @property
    def stub(self) -> Any:
        return self.exchange.stub(exports_pb2_grpc.ExportServiceStub)

    def token(self, subject: str = "client/research", scopes: str = READER, organization: str = HOSPITAL) -> Any:
        return self.exchange.token(scopes=scopes, organization=organization, subject=subject)

    async def call(self, method: str, request: Any, token: Any = None) -> Any:
        try:
            return await getattr(self.stub, method)(request, metadata=token or self.token(), timeout=20)
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def start(self, token: Any = None, **asked: Any) -> str:
        plan = plans_pb2.PlanExportRequest(level=plans_pb2.EXPORT_LEVEL_SYSTEM, **asked)
        answer = await self.call("StartExport", exports_pb2.StartExportRequest(plan=plan), token)
        return str(answer.export.export_id)

    async def finished(self, export_id: str) -> Any:
        unfinished = (exports_pb2.EXPORT_STATE_QUEUED, exports_pb2.EXPORT_STATE_RUNNING)
        request = exports_pb2.GetExportRequest(export_id=export_id)
        while (export := (await self.call("GetExport", request)).export).state in unfinished:
            await asyncio.sleep(0.05)
        return export

    async def read(self, export_id: str, number: int, token: Any = None, **more: Any) -> bytes:
        request = exports_pb2.ReadExportFileRequest(export_id=export_id, number=number, **more)
        try:
            call = self.stub.ReadExportFile(request, metadata=token or self.token(), timeout=20)
            return b"".join([one.chunk async for one in call])
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def file(self, body: dict[str, Any], **more: Any) -> None:
        stub = self.records.stub(service_pb2_grpc.RecordsServiceStub)
        request = service_pb2.CreateResourceRequest(type=body["resourceType"], body=json.dumps(body).encode(), **more)
        token = self.records.token(scopes="system/*.cruds", organization=HOSPITAL)
        await stub.CreateResource(request, metadata=token, timeout=10)


@pytest.fixture
async def trio(database_url: DatabaseUrl, tmp_path: Path) -> AsyncIterator[Trio]:
    secrets = make_secrets(tmp_path / "secrets")
    async with AsyncExitStack() as stack:
        builds = {"identity": build_identity, "records": build_records, "exchange": build_exchange}
        services: dict[str, Running] = {}
        for name, build in builds.items():
            peers = {known: running.process.address for known, running in services.items()}
            services[name] = await stack.enter_async_context(
                serving(name, build, database_url(name), secrets=secrets, peers=peers)
            )
        made = Trio(services["records"], services["exchange"])
        event = index_pb2.PatientIndexEvent()
        placed = event.registration_placed
        placed.registration_id, placed.organization_id, placed.person_id, placed.version = "p1", HOSPITAL, "one", 1
        async with made.records.database.writing() as writer:
            await followers.apply_patient_index(writer, [feed_pb2.Change(event=event.SerializeToString())])
        await made.file(a_patient("p1"), id="p1")
        await made.file(an_observation("p1"))
        yield made


async def test_an_export_is_its_requesters_alone_from_beginning_to_end(trio: Trio) -> None:
    export_id = await trio.start()
    request = exports_pb2.GetExportRequest(export_id=export_id)
    others = (trio.token("client/other"), trio.token(organization="10662"))
    for other in others:
        with pytest.raises(Exception, match="EXPORT_UNKNOWN"):
            await trio.call("GetExport", request, other)
        with pytest.raises(Exception, match="EXPORT_UNKNOWN"):
            await trio.call("CancelExport", exports_pb2.CancelExportRequest(export_id=export_id), other)
    export = await trio.finished(export_id)
    assert export.state == exports_pb2.EXPORT_STATE_SUCCEEDED
    assert (export.resources, export.parts_done, export.parts_total) == (2, 2, 2)
    files = {file.type: file for file in export.files}
    assert sorted(files) == ["Observation", "Patient"]
    plain = await trio.read(export_id, files["Patient"].number)
    assert json.loads(plain)["id"] == "p1"
    assert gzip.decompress(await trio.read(export_id, files["Patient"].number, is_compressed=True)) == plain
    for other in others:
        with pytest.raises(Exception, match="EXPORT_UNKNOWN"):
            await trio.read(export_id, files["Patient"].number, other)
    with pytest.raises(Exception, match="EXPORT_FILE_UNKNOWN"):
        await trio.read(export_id, 77)
    await trio.call("CancelExport", exports_pb2.CancelExportRequest(export_id=export_id))
    with pytest.raises(Exception, match="EXPORT_UNKNOWN"):
        await trio.call("GetExport", request)
    for table in ("exports", "export_files", "export_chunks"):
        assert await trio.exchange.database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_kick_off_is_refused_for_what_records_refuses_and_for_too_many(
    trio: Trio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked, reason in (
        ({"types": ["Nothing"]}, "TYPE_UNKNOWN"),
        ({"type_filters": ["Patient?nonsense=1"]}, "SEARCH_INVALID"),
        ({"patient_ids": ["p1"]}, "EXPORT_INVALID"),
    ):
        with pytest.raises(Exception, match=reason):
            await trio.start(**asked)
    with pytest.raises(Exception, match="SCOPE_MISSING"):
        await trio.start(trio.token(scopes="imports.write"))
    monkeypatch.setattr(exports_module, "MAX_OPEN", 1)
    await trio.start()
    with pytest.raises(Exception, match="EXPORTS_EXHAUSTED"):
        await trio.start()
    await trio.start(trio.token("client/other"))
