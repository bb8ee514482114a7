"""Exchange with the real identity, index, records and claims: what a facility's files become."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from nhip.exchange.v1 import resources_pb2, service_pb2, service_pb2_grpc
from nhip.identity.v1 import resources_pb2 as identity_nouns
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.identity.v1 import service_pb2_grpc as identity_grpc
from nhip.records.v1 import service_pb2 as records_pb2
from nhip.records.v1 import service_pb2_grpc as records_grpc

from libs.access.caller import OPERATIONS
from services.claims.__main__ import build as build_claims
from services.exchange.__main__ import FORMATS
from services.exchange.__main__ import build as build_exchange
from services.exchange.job import Job
from services.exchange.neighbours import Neighbours
from services.exchange.worker import Worker
from services.identity.__main__ import build as build_identity
from services.patient_index.__main__ import build as build_index
from services.records.__main__ import build as build_records
from tests.services.exchange.files import HCODE, a_row, a_zip, diagnoses, people, visits
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, make_secrets, serving
from tools.population import Population

ImportState = resources_pb2.ImportState
BUILDS = {
    "identity": build_identity,
    "patient_index": build_index,
    "records": build_records,
    "claims": build_claims,
    "exchange": build_exchange,
}
FORMAT = {"f43": 1, "f16": 2, "fhir": 3}


@dataclass
class Whole:
    """The five services that an import touches."""

    services: dict[str, Running]

    @property
    def exchange(self) -> Running:
        return self.services["exchange"]

    @property
    def stub(self) -> Any:
        return self.exchange.stub(service_pb2_grpc.ExchangeServiceStub)

    def token(self, organization: str = HCODE) -> Any:
        return self.exchange.token(scopes="imports.write", organization=organization)

    async def send(self, data: bytes, file_format: int = 1, organization: str = HCODE, name: str = "a.zip") -> Any:
        async def messages() -> AsyncIterator[service_pb2.UploadImportRequest]:
            yield service_pb2.UploadImportRequest(format=file_format, file_name=name)
            for start in range(0, len(data), 100_000):
                yield service_pb2.UploadImportRequest(chunk=data[start : start + 100_000])

        return getattr(await self.stub.UploadImport(messages(), metadata=self.token(organization)), "import")

    async def finished(self, sent: Any) -> Any:
        """The import when it is finished."""
        while sent.state in (ImportState.IMPORT_STATE_QUEUED, ImportState.IMPORT_STATE_RUNNING):
            await asyncio.sleep(0.02)
            request = service_pb2.GetImportRequest(import_id=sent.import_id)
            answer = await self.stub.GetImport(request, metadata=self.token(sent.organization_id), timeout=5)
            sent = getattr(answer, "import")
        return sent

    async def rejected(self, sent: Any) -> list[tuple[str, int, str, str]]:
        request = service_pb2.ListRejectedRowsRequest(import_id=sent.import_id, page_size=1000)
        answer = await self.stub.ListRejectedRows(request, metadata=self.token(sent.organization_id), timeout=5)
        return [(row.file, row.line, row.column, row.reason) for row in answer.rows]

    async def search(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        stub = self.services["records"].stub(records_grpc.RecordsServiceStub)
        request = records_pb2.SearchResourcesRequest(type=kind, page_size=1000)
        for name, value in parameters.items():
            request.parameters.add(name=name, value=value)
        metadata = self.services["records"].token(scopes="system/*.cruds", organization=HCODE, purpose=OPERATIONS)
        answer = await stub.SearchResources(request, metadata=metadata, timeout=5)
        return [orjson.loads(match.body) for match in answer.matches]


@pytest.fixture
async def whole(database_url: DatabaseUrl, tmp_path: Path) -> AsyncIterator[Whole]:
    """Up, with the organisations that send."""
    secrets = make_secrets(tmp_path / "secrets")
    async with AsyncExitStack() as stack:
        services: dict[str, Running] = {}
        for name, build in BUILDS.items():
            peers = {known: running.process.address for known, running in services.items()}
            services[name] = await stack.enter_async_context(
                serving(name, build, database_url(name), secrets=secrets, peers=peers)
            )
        identity = services["identity"]
        stub = identity.stub(identity_grpc.IdentityServiceStub)
        for code in (HCODE, "99002", "99003"):
            organization = identity_nouns.Organization(organization_id=code, name=code, kind=1)  # type: ignore[arg-type]  # a number
            request = identity_pb2.CreateOrganizationRequest(organization=organization)
            metadata = identity.token(scopes="identity.admin", organization="nhip")
            await stub.CreateOrganization(request, metadata=metadata, timeout=5)
        yield Whole(services)


async def test_a_population_of_three_facilities_comes_in_and_only_the_spoiled_rows_stay_out(
    whole: Whole, tmp_path: Path
) -> None:
    population = Population.generate(seed=7, people=100, today=date(2026, 11, 23), dirty=True)
    written = population.write_all(tmp_path)
    # The fewer people, the likelier that a facility has nothing to tell in one of the formats.
    for file in (one for one in written.files if any(one.rows.values())):
        sent = await whole.send(file.path.read_bytes(), FORMAT[file.format], file.hcode, file.path.name)
        done = await whole.finished(sent)
        assert done.state == ImportState.IMPORT_STATE_SUCCEEDED, done.error_message
        assert done.rows_done == done.rows_total == sum(count.rows for count in done.files)
        spoiled = {
            (row.file, row.line, row.column, row.reason)
            for row in written.spoiled
            if (row.hcode, row.format) == (file.hcode, file.format)
        }
        assert set(await whole.rejected(done)) == spoiled
        assert all(
            count.rows == count.created + count.updated + count.unchanged + count.rejected + count.skipped
            for count in done.files
        )


async def test_rows_become_searchable_records_of_the_person(whole: Whole) -> None:
    data = a_zip({"HOME": [a_row("HOME")], "PERSON": people(3), "SERVICE": visits(3), "DIAGNOSIS_OPD": diagnoses(3)})
    await whole.finished(await whole.send(data))
    (patient,) = await whole.search("Patient", identifier=f"https://terms.sil-th.org/hcode/5/{HCODE}/HN|660002")
    assert patient["address"][0]["state"] == "เชียงราย" or patient["address"][0]["postalCode"]
    (found,) = await whole.search("Condition", subject=f"Patient/{patient['id']}")
    assert found["code"]["coding"][0] == {"system": "http://hl7.org/fhir/sid/icd-10", "code": "A97.0"}
    (encounter,) = await whole.search("Encounter", subject=f"Patient/{patient['id']}")
    assert found["encounter"]["reference"] == f"Encounter/{encounter['id']}"


async def test_the_same_bytes_answer_the_same_import_and_run_nothing(whole: Whole) -> None:
    data = a_zip({"PERSON": people(3)})
    first = await whole.finished(await whole.send(data))
    again = await whole.send(data, name="renamed.zip")
    assert again == first


async def test_the_same_rows_in_another_zip_are_unchanged(whole: Whole) -> None:
    files = {"PERSON": people(3), "SERVICE": visits(3), "CARD": [a_row("CARD")], "DIAGNOSIS_OPD": diagnoses(3)}
    await whole.finished(await whole.send(a_zip(files)))
    done = await whole.finished(await whole.send(a_zip({**files, "NOTES.md": "another zip"})))
    counts = {count.file: (count.rows, count.unchanged) for count in done.files if count.rows}
    assert counts == {"PERSON": (3, 3), "SERVICE": (3, 3), "CARD": (1, 1), "DIAGNOSIS_OPD": (3, 3)}


class Killed(BaseException):
    """What kill -9 is to a coroutine."""


async def test_a_kill_between_the_services_answer_and_our_note_of_it_doubles_nothing(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, died = Job.commit, asyncio.Event()

    async def commit(job: Job, chunk: Any) -> None:
        if not died.is_set() and chunk.steps and job.files[chunk.steps[0].position].file == "DIAGNOSIS_OPD":
            died.set()
            raise Killed
        await original(job, chunk)

    monkeypatch.setattr(Job, "commit", commit)
    data = a_zip({"PERSON": people(5), "SERVICE": visits(5), "DIAGNOSIS_OPD": diagnoses(5)})
    sent = await whole.send(data)
    await asyncio.wait_for(died.wait(), 30)
    ground = whole.exchange.process.ground
    neighbours = Neighbours.of(ground)
    restarted = Worker(ground.database, neighbours, ground.clock, ground.settings.instance, asyncio.Event(), FORMATS)
    assert await restarted.run_once()
    done = await whole.finished(sent)
    assert done.state == ImportState.IMPORT_STATE_SUCCEEDED
    assert done.attempts == 2
    assert {count.file: (count.rows, count.created) for count in done.files} == {
        "PERSON": (5, 5),
        "SERVICE": (5, 5),
        "DIAGNOSIS_OPD": (5, 5),
    }
    assert len(await whole.search("Condition")) == 5
