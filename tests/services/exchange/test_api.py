"""The RPCs, through real stubs and the real chain. The neighbours are down throughout: jobs wait."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from nhip.exchange.v1 import events_pb2, resources_pb2, service_pb2, service_pb2_grpc
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.feed.v1 import service_pb2_grpc as feed_grpc

from services.exchange import rules
from services.exchange.__main__ import UPLOAD_IDLE, build
from services.exchange.model import Chunk, Counts, FileStep, Format, Lease, PlannedFile, RejectedRow, Rejection, State
from services.exchange.store import jobs, progress, uploads
from tests.services.exchange.files import HCODE, a_zip, people
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, serving

ZIP = a_zip({"PERSON": people(2)})
QUEUED_OR_RUNNING = (resources_pb2.IMPORT_STATE_QUEUED, resources_pb2.IMPORT_STATE_RUNNING)


@pytest.fixture
async def running(database_url: DatabaseUrl) -> AsyncIterator[Running]:
    """Exchange alone."""
    async with serving("exchange", build, database_url("exchange")) as running:
        yield running


def token(running: Running, organization: str = HCODE, scopes: str = "imports.write") -> Any:
    return running.token(scopes=scopes, organization=organization)


def stub(running: Running) -> Any:
    return running.stub(service_pb2_grpc.ExchangeServiceStub)


async def send(running: Running, data: bytes, organization: str = HCODE, file_format: int = 1, step: int = 50) -> Any:
    async def messages() -> AsyncIterator[service_pb2.UploadImportRequest]:
        yield service_pb2.UploadImportRequest(format=file_format, file_name="a.zip", chunk=data[:step])
        for start in range(step, len(data), step):
            yield service_pb2.UploadImportRequest(chunk=data[start : start + step])

    answer = await stub(running).UploadImport(messages(), metadata=token(running, organization))
    return getattr(answer, "import")


async def get(running: Running, import_id: str, organization: str = HCODE) -> Any:
    request = service_pb2.GetImportRequest(import_id=import_id)
    return getattr(await stub(running).GetImport(request, metadata=token(running, organization), timeout=5), "import")


async def cancel(running: Running, import_id: str, organization: str = HCODE, request_id: str = "") -> Any:
    request = service_pb2.CancelImportRequest(import_id=import_id, request_id=request_id)
    answer = await stub(running).CancelImport(request, metadata=token(running, organization), timeout=5)
    return getattr(answer, "import")


async def count(running: Running, table: str) -> int:
    return int(await running.database.pool.fetchval(f"SELECT count(*) FROM {table}"))


def reason(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> tuple[grpc.StatusCode, bool]:
    return error.value.code(), error.value.details() is not None


async def test_an_upload_is_stored_before_it_is_answered(running: Running) -> None:
    sent = await send(running, ZIP)
    assert sent.state in QUEUED_OR_RUNNING
    assert (sent.sha256, sent.size_bytes) == (hashlib.sha256(ZIP).hexdigest(), len(ZIP))
    assert (sent.organization_id, sent.file_name, sent.format) == (HCODE, "a.zip", resources_pb2.IMPORT_FORMAT_F43)
    stored = await running.database.pool.fetch("SELECT bytes FROM import_chunks ORDER BY number")
    assert b"".join(row["bytes"] for row in stored) == ZIP


async def test_lines_of_resources_come_in_by_their_own_door(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(running, b"{}", file_format=resources_pb2.IMPORT_FORMAT_NDJSON)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await count(running, "imports") == 0


async def test_a_large_upload_lies_in_chunks(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "CHUNK_BYTES", 64)
    await send(running, ZIP, step=150)
    sizes = await running.database.pool.fetch("SELECT length(bytes) AS size FROM import_chunks ORDER BY number")
    assert {row["size"] for row in sizes[:-1]} == {64}
    assert sum(row["size"] for row in sizes) == len(ZIP)


async def test_the_same_bytes_while_they_wait_are_the_same_import(running: Running) -> None:
    first, again = await send(running, ZIP), await send(running, ZIP)
    assert first.import_id == again.import_id
    assert await count(running, "imports") == 1
    assert await count(running, "import_chunks") == 1


async def test_the_same_bytes_at_the_same_moment_are_one_import(running: Running) -> None:
    sent = await asyncio.gather(*(send(running, ZIP) for _ in range(4)))
    assert len({one.import_id for one in sent}) == 1
    assert await count(running, "imports") == 1


async def test_the_same_bytes_of_another_organisation_are_another_import(running: Running) -> None:
    first, other = await send(running, ZIP), await send(running, ZIP, "99002")
    assert first.import_id != other.import_id


async def test_a_cancelled_file_sent_again_goes_on(running: Running) -> None:
    sent = await send(running, ZIP)
    cancelled = await cancel(running, sent.import_id)
    assert cancelled.state == resources_pb2.IMPORT_STATE_CANCELLED
    assert await count(running, "import_chunks") == 0
    again = await send(running, ZIP)
    assert again.import_id == sent.import_id
    assert again.state in QUEUED_OR_RUNNING


async def test_cancelling_twice_answers_the_same(running: Running) -> None:
    sent = await send(running, ZIP)
    first = await cancel(running, sent.import_id, request_id="r1")
    assert await cancel(running, sent.import_id, request_id="r1") == first
    assert (await cancel(running, sent.import_id)).state == resources_pb2.IMPORT_STATE_CANCELLED


async def test_a_finished_import_cannot_be_cancelled(running: Running) -> None:
    sent = await send(running, b"this is no zip")
    while (await get(running, sent.import_id)).state != resources_pb2.IMPORT_STATE_FAILED:
        await asyncio.sleep(0.01)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await cancel(running, sent.import_id)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_failed_file_sent_again_begins_anew(running: Running) -> None:
    sent = await send(running, b"this is no zip")
    while (await get(running, sent.import_id)).state != resources_pb2.IMPORT_STATE_FAILED:
        await asyncio.sleep(0.01)
    again = await send(running, b"this is no zip")
    assert again.import_id == sent.import_id
    assert again.state != resources_pb2.IMPORT_STATE_FAILED
    assert again.error_reason == ""


@pytest.mark.parametrize(
    ("data", "file_format", "code"),
    [
        (b"", 1, grpc.StatusCode.INVALID_ARGUMENT),
        (ZIP, 0, grpc.StatusCode.INVALID_ARGUMENT),
        (ZIP, 9, grpc.StatusCode.INVALID_ARGUMENT),
        (ZIP * 2, 1, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_what_cannot_be_taken_leaves_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch, data: bytes, file_format: int, code: grpc.StatusCode
) -> None:
    monkeypatch.setattr(rules, "MAX_UPLOAD_BYTES", len(ZIP))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await send(running, data, file_format=file_format)
    assert reason(error) == (code, True)
    assert await count(running, "imports") == 0
    assert await count(running, "import_chunks") == 0


async def test_an_upload_that_breaks_off_leaves_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "CHUNK_BYTES", 64)
    call = stub(running).UploadImport(metadata=token(running))
    await call.write(service_pb2.UploadImportRequest(format=1, file_name="a.zip", chunk=ZIP[:300]))
    while not await count(running, "import_chunks"):
        await asyncio.sleep(0.01)
    call.cancel()
    while await count(running, "import_chunks") or await count(running, "imports"):
        await asyncio.sleep(0.01)


async def test_an_upload_whose_process_died_is_swept_away(running: Running) -> None:
    clock = running.process.ground.clock
    async with running.database.writing() as writer:
        await uploads.begin(writer, "dead", HCODE, Format.F43, "a.zip", clock() - 2 * UPLOAD_IDLE)
        await uploads.append(writer, "dead", 0, b"half", clock() - 2 * UPLOAD_IDLE)
        await uploads.begin(writer, "alive", HCODE, Format.F43, "b.zip", clock())
    async with running.database.writing() as writer:
        assert await uploads.sweep(writer, clock() - UPLOAD_IDLE) == 1
    assert await count(running, "imports") == 1
    assert await count(running, "import_chunks") == 0


async def test_an_organisation_sees_its_own_imports_only(running: Running) -> None:
    sent = await send(running, ZIP)
    for ask in (
        get(running, sent.import_id, "99002"),
        cancel(running, sent.import_id, "99002"),
        stub(running).ListRejectedRows(
            service_pb2.ListRejectedRowsRequest(import_id=sent.import_id), metadata=token(running, "99002"), timeout=5
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ask
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
    request = service_pb2.ListImportsRequest()
    answer = await stub(running).ListImports(request, metadata=token(running, "99002"), timeout=5)
    assert not answer.imports


async def test_a_token_without_the_scope_is_refused(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub(running).ListImports(
            service_pb2.ListImportsRequest(), metadata=token(running, scopes="claims.read"), timeout=5
        )
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_imports_are_listed_newest_first_page_by_page(running: Running) -> None:
    sent = [(await send(running, a_zip({"PERSON": people(n)}))).import_id for n in (1, 2, 3)]
    seen: list[str] = []
    page_token = ""
    while True:
        request = service_pb2.ListImportsRequest(page_size=2, page_token=page_token)
        answer = await stub(running).ListImports(request, metadata=token(running), timeout=5)
        seen.extend(one.import_id for one in answer.imports)
        page_token = answer.next_page_token
        if not page_token:
            break
    assert seen == sent[::-1]


async def test_rejected_rows_are_listed_in_the_order_of_files_and_lines(running: Running) -> None:
    import_id = await _rejecting(running)
    seen: list[tuple[str, int]] = []
    page_token = ""
    while True:
        request = service_pb2.ListRejectedRowsRequest(import_id=import_id, page_size=2, page_token=page_token)
        answer = await stub(running).ListRejectedRows(request, metadata=token(running), timeout=5)
        seen.extend((row.file, row.line) for row in answer.rows)
        page_token = answer.next_page_token
        if not page_token:
            break
    assert seen == [("PERSON", 2), ("PERSON", 9), ("SERVICE", 2), ("SERVICE", 3), ("SERVICE", 4)]
    only = service_pb2.ListRejectedRowsRequest(import_id=import_id, file="PERSON")
    answer = await stub(running).ListRejectedRows(only, metadata=token(running), timeout=5)
    assert [(row.line, row.column, row.reason, row.message, row.row) for row in answer.rows] == [
        (2, "CID", "REQUIRED", "empty", "a|b"),
        (9, "CID", "REQUIRED", "empty", "a|b"),
    ]


async def _rejecting(running: Running) -> str:
    """An import of ours with rejected rows."""
    now = running.process.ground.clock()
    lease = Lease("01-rejecting", "elsewhere", 1)
    async with running.database.writing() as writer:
        await writer.lock("01-rejecting")
        await uploads.begin(writer, lease.import_id, HCODE, Format.F43, "a.zip", now)
        await uploads.queue(writer, lease.import_id, "0" * 64, 1, now)
        assert await jobs.take(writer, lease.import_id, lease.instance, [], now, UPLOAD_IDLE)
        await progress.plan(writer, lease, [PlannedFile("PERSON", 10), PlannedFile("SERVICE", 5)])
        rows = [(1, "SERVICE", 4), (0, "PERSON", 9), (1, "SERVICE", 2), (0, "PERSON", 2), (1, "SERVICE", 3)]
        told = [RejectedRow(at, file, Rejection(line, "CID", "REQUIRED", "empty", "a|b")) for at, file, line in rows]
        await progress.commit(
            writer,
            lease,
            HCODE,
            Chunk([FileStep(0, Counts(rejected=2)), FileStep(1, Counts(rejected=3))], told),
            UPLOAD_IDLE,
        )
        await jobs.finish(writer, lease, lease.import_id, State.SUCCEEDED, now)
    return lease.import_id


async def test_a_job_waits_for_neighbours_that_are_down_and_tells_followers_its_states(running: Running) -> None:
    sent = await send(running, ZIP)
    while (await get(running, sent.import_id)).state != resources_pb2.IMPORT_STATE_RUNNING:
        await asyncio.sleep(0.01)
    await cancel(running, sent.import_id)
    feed = feed_grpc.FeedServiceStub(running.channel)
    states: list[int] = []
    async for message in feed.Follow(
        feed_pb2.FollowRequest(feed="exchange"), metadata=running.as_service("audit"), timeout=10
    ):
        for change in message.changes:
            event = events_pb2.ExchangeEvent.FromString(change.event)
            assert (event.import_id, event.organization_id) == (sent.import_id, HCODE)
            states.append(event.state)
        if resources_pb2.IMPORT_STATE_CANCELLED in states:
            break
    assert states == [
        resources_pb2.IMPORT_STATE_QUEUED,
        resources_pb2.IMPORT_STATE_RUNNING,
        resources_pb2.IMPORT_STATE_CANCELLED,
    ]
