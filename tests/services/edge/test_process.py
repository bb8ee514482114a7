"""The edge as a process: a real socket, uploads, draining."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys

import httpx
import pytest
from nhip.exchange.v1 import service_pb2 as exchange_pb2
from nhip.identity.v1 import service_pb2 as identity_pb2

from libs.errors import ResourceExhaustedError
from libs.runtime.settings import Settings, SettingsError
from services.edge.__main__ import main, start
from services.edge.observing import AccessLog
from services.edge.upstream import SERVICES
from tests.services.edge.fakes import Lines

NONSENSE = (
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET /\xff HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
)


@pytest.fixture
async def process(platform, tmp_path):
    peers = ",".join(f"{name}={platform.address}" for name in SERVICES)
    settings = Settings.read("edge", {"NHIP_PEERS": peers, "NHIP_SECRETS": str(tmp_path), "NHIP_SHUTDOWN_SECONDS": "5"})
    running = await start(settings, "127.0.0.1:0", AccessLog(Lines()))
    yield running
    if not running.serving.done():
        await running.stop()


@pytest.fixture
async def client(process):
    async with httpx.AsyncClient(base_url=f"http://{process.address}", timeout=20, trust_env=False) as open_client:
        yield open_client


async def test_an_upload_streams_in_pieces_behind_what_the_query_says(platform, client):
    platform.answers["exchange.UploadImport"] = None
    sizes, first = [], []

    async def take(requests):
        async for request in requests:
            if not first:
                first.append(request)
            else:
                sizes.append(len(request.chunk))
        return exchange_pb2.UploadImportResponse(**{"import": {"import_id": "i1", "size_bytes": sum(sizes)}})

    platform.answers["exchange.UploadImport"] = take
    answer = await client.post(
        "/v1/imports?format=IMPORT_FORMAT_F43&fileName=a.zip",
        content=b"x" * (3 << 20),
        headers={"content-type": "application/octet-stream"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["import"] == {"importId": "i1", "sizeBytes": str(3 << 20)}
    assert (first[0].format, first[0].file_name, first[0].chunk) == (1, "a.zip", b"")
    assert sum(sizes) == 3 << 20
    assert max(sizes) <= 1 << 20


async def test_an_upload_waits_for_a_service_that_does_not_take_more(platform, client):
    go_on = asyncio.Event()
    produced = 0
    taken = []

    async def take(requests):
        await go_on.wait()
        taken.extend([len(request.chunk) async for request in requests])
        return exchange_pb2.UploadImportResponse()

    async def body():
        nonlocal produced
        for _ in range(256):
            produced += 1 << 18
            yield b"x" * (1 << 18)

    platform.answers["exchange.UploadImport"] = take
    upload = asyncio.create_task(client.post("/v1/imports?format=IMPORT_FORMAT_F43&fileName=a.zip", content=body()))
    before = -1
    # The sender stands still once every buffer on the way is full, long before the end of the file.
    while produced != before or produced == 0:
        before = produced
        await asyncio.sleep(0.2)
    assert produced < 48 << 20
    go_on.set()
    answer = await upload
    assert answer.status_code == 200
    assert sum(taken) == 64 << 20


async def test_a_file_that_a_service_refuses_midway_is_refused_with_its_reason(platform, client):
    async def refuse(requests):
        size = 0
        async for request in requests:
            size += len(request.chunk)
            if size > 1 << 20:
                raise ResourceExhaustedError("FILE_TOO_LARGE", "the file is larger than the limit")
        raise AssertionError

    platform.answers["exchange.UploadImport"] = refuse
    # Several times, since what the sender learns must not depend on who of the two is first to notice.
    for _ in range(6):
        answer = await client.post("/v1/imports?format=IMPORT_FORMAT_F43&fileName=a.zip", content=b"x" * (8 << 20))
        assert (answer.status_code, answer.json()["reason"]) == (413, "FILE_TOO_LARGE")
    # The connection is closed or clean: the next request is understood.
    assert (await client.get("/readyz")).status_code == 200


async def test_an_unknown_query_parameter_of_an_upload_is_named_and_nothing_is_sent(platform, client):
    answer = await client.post("/v1/imports?surprise=1", content=b"x" * 1000)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "surprise")
    assert not platform.called("exchange.UploadImport")


async def test_an_upload_that_breaks_off_is_cancelled_at_the_service(platform, process):
    ended = asyncio.Event()

    async def take(requests):
        try:
            async for _ in requests:
                pass
        finally:
            ended.set()
        return exchange_pb2.UploadImportResponse()

    platform.answers["exchange.UploadImport"] = take
    host, _, port = process.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/imports?format=IMPORT_FORMAT_F43&fileName=a.zip HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n"
        + b"x" * 100_000
    )
    await writer.drain()
    writer.close()
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_body_that_is_larger_than_it_may_be_is_refused_although_it_says_no_length(client):
    async def body():
        for _ in range(80):
            yield b" " * (1 << 18)

    answer = await client.post("/v1/persons:search", content=body(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (413, "BODY_TOO_LARGE")


async def test_what_is_in_flight_finishes_while_the_edge_drains(platform, process, client):
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(requests):
        async for _ in requests:
            arrived.set()
        await go_on.wait()
        return exchange_pb2.UploadImportResponse(**{"import": {"import_id": "late"}})

    platform.answers["exchange.UploadImport"] = slow
    asked = asyncio.create_task(client.post("/v1/imports?format=IMPORT_FORMAT_F43&fileName=a", content=b"x"))
    await asyncio.wait_for(arrived.wait(), 10)
    stopping = asyncio.create_task(process.stop())
    while not process.server.should_exit:
        await asyncio.sleep(0.01)
    assert (await process.edge.health.readyz()).status == 503
    go_on.set()
    assert (await asked).json()["import"]["importId"] == "late"
    await asyncio.wait_for(stopping, 10)
    with pytest.raises(httpx.ConnectError):
        await client.get("/readyz")


async def test_raw_nonsense_on_the_socket_is_no_defect(process, client):
    host, _, port = process.address.rpartition(":")
    for nonsense in NONSENSE:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(nonsense)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert (await client.get("/readyz")).status_code == 200


async def test_the_program_serves_says_where_and_stops_on_sigterm(platform, tmp_path):
    platform.answers["identity.ListVerificationKeys"] = identity_pb2.ListVerificationKeysResponse()
    environment = {
        **os.environ,
        "NHIP_PEERS": ",".join(f"{name}={platform.address}" for name in SERVICES),
        "NHIP_SECRETS": str(tmp_path),
        "NHIP_EDGE_LISTEN": "127.0.0.1:0",
    }
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.edge", "serve"), stderr=subprocess.PIPE, env=environment
    )
    said = b""
    while b"serving HTTP" not in said:
        line = await asyncio.wait_for(program.stderr.readline(), 30)
        assert line, said
        said += line
    places = re.search(rb"HTTP at ([0-9.:]+), metrics at ([0-9.:]+)", said)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{places[1].decode()}/v1/keys")
        assert answer.status_code == 200
        for place in places.groups():
            metrics = await client.get(f"http://{place.decode()}/metrics")
            assert 'http_server_requests_total{method="GET",route="/v1/keys",status="200"}' in metrics.text
    program.send_signal(signal.SIGTERM)
    rest = await asyncio.wait_for(program.stderr.read(), 20)
    assert await program.wait() == 0
    assert b'"route":"/v1/keys"' in rest
    assert b"stopped" in rest
    assert b"Traceback" not in rest


@pytest.mark.parametrize(
    ("words", "environment", "code", "said"),
    [
        ([], {}, 2, "usage"),
        (["migrate"], {}, 2, "usage"),
        (["serve"], {}, 1, "NHIP_SECRETS is not set"),
        (["serve"], {"NHIP_SECRETS": "/x", "NHIP_PEERS": "identity=a:1"}, 1, "NHIP_PEERS does not say where"),
        (["serve"], {"NHIP_SECRETS": "/x", "NHIP_EDGE_LISTEN": "8080"}, 1, "NHIP_EDGE_LISTEN is host:port"),
    ],
)
def test_a_wrong_start_is_refused_by_name(words, environment, code, said):
    program = subprocess.run(
        [sys.executable, "-m", "services.edge", *words],
        env={**{name: value for name, value in os.environ.items() if not name.startswith("NHIP_")}, **environment},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert program.returncode == code
    assert said in program.stderr.decode()
    assert "Traceback" not in program.stderr.decode()


def test_the_usage_is_told(capsys):
    assert main(["help"]) == 2
    assert capsys.readouterr().err == "usage: python -m services.edge serve\n"


async def test_a_taken_port_is_an_error(process, tmp_path):
    with pytest.raises(OSError, match="in use"):
        await start(process.settings, process.address)
    with pytest.raises(SettingsError):
        await start(process.settings, "nonsense")
