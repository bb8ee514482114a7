"""Services know each other by certificates, take changed ones into use while they run, and send nothing in plain."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY

from libs.access.caller import TREATMENT, Caller, CallerKind, Scopes
from libs.access.tokens import TokenVerifier, service_token, sign
from libs.ids import new_id
from libs.runtime.call import Host
from libs.runtime.certificates import CertificateError, Certificates, read
from libs.runtime.channels import Secured, open_channel
from libs.runtime.interceptors.access import Access
from libs.runtime.interceptors.errors import Errors
from libs.runtime.interceptors.peers import Peers
from libs.runtime.server import add_services, new_server
from services.identity.__main__ import build
from tests.support.keys import signing_key, verification_keys
from tests.support.serving import serving
from tests.support.testing import the_testing_file, thing
from tools.nhip.authority import Authority

PLATFORM_KEY = b"k" * 32
TESTING = the_testing_file().services_by_name["TestingService"]
SERVICES = ("records", "claims", "patient_index", "edge")
CHECK = health_pb2.HealthCheckRequest()


class Api:
    """Answers by name; holds an answer back until `may_end`."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def Open(self, request, call):
        self.has_begun.set()
        if request.wish == "wait":
            await self.may_end.wait()
        return thing(name="opened")

    async def Read(self, request, call):
        return thing(name="read")

    async def Serve(self, request, call):
        return thing(name="served")

    Write = ReadFhir = Read


@dataclass
class Server:
    """Records, with its certificates."""

    address: str
    certificates: Certificates
    api: Api


@pytest.fixture
def authority(tmp_path) -> Authority:
    made = Authority(tmp_path, SERVICES)
    assert made.make() == [*SERVICES]
    return made


@asynccontextmanager
async def serving_records(folder: Path):
    api, server = Api(), new_server()
    certificates = Certificates(folder / "records", "records")
    chain = (Errors(), Access(TokenVerifier(verification_keys, PLATFORM_KEY)), Peers())
    add_services(server, {TESTING: api}, chain, Host(PLATFORM_KEY))
    port = server.add_secure_port("127.0.0.1:0", certificates.server_credentials())
    await server.start()
    try:
        yield Server(f"127.0.0.1:{port}", certificates, api)
    finally:
        await server.stop(0)


def channel_of(folder: Path, caller: str, address: str, to: str = "records") -> grpc.aio.Channel:
    return open_channel(address, TESTING, secured=Secured(Certificates(folder / caller, caller), to))


async def call(channel: grpc.aio.Channel, method: str, metadata=(), wish: str = "", seconds: float = 5.0):
    invoke = channel.unary_unary(
        f"/nhip.testing.v1.TestingService/{method}",
        request_serializer=type(thing()).SerializeToString,
        response_deserializer=type(thing()).FromString,
    )
    return (await invoke(thing(wish=wish), metadata=metadata, timeout=seconds)).name


async def code_of(awaitable) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value.code()


def of_a_practitioner():
    caller = Caller(CallerKind.PRACTITIONER, "practitioner/one", "10661", Scopes.parse("things.read"), TREATMENT)
    token = sign(signing_key(), "test", caller, new_id(), now=time.time(), seconds=60)
    return (("authorization", f"Bearer {token}"),)


def of_the_service(name: str):
    return (("authorization", f"Bearer {service_token(PLATFORM_KEY, name)}"),)


async def test_a_service_answers_whom_it_knows(authority, tmp_path):
    async with serving_records(tmp_path) as records, channel_of(tmp_path, "edge", records.address) as channel:
        assert await call(channel, "Read", of_a_practitioner()) == "read"
        assert await call(channel, "Open") == "opened"


async def test_plain_text_and_a_peer_without_a_certificate_are_refused(authority, tmp_path):
    authorities = (tmp_path / "edge" / "ca.crt").read_bytes()
    options = (("grpc.ssl_target_name_override", "records.nhip.internal"),)
    async with serving_records(tmp_path) as records:
        async with open_channel(records.address, TESTING) as plain:
            assert await code_of(call(plain, "Open")) is grpc.StatusCode.UNAVAILABLE
        nameless = grpc.ssl_channel_credentials(authorities)
        async with grpc.aio.secure_channel(records.address, nameless, options=options) as channel:
            assert await code_of(call(channel, "Open")) is grpc.StatusCode.UNAVAILABLE


async def test_a_service_sends_nothing_to_one_that_speaks_plain(authority, tmp_path):
    server = new_server()
    asked = Api()
    add_services(server, {TESTING: asked}, (), Host(PLATFORM_KEY))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with channel_of(tmp_path, "edge", f"127.0.0.1:{port}") as channel:
            assert await code_of(call(channel, "Open")) is grpc.StatusCode.UNAVAILABLE
        assert not asked.has_begun.is_set()
    finally:
        await server.stop(0)


async def test_a_service_that_stands_where_another_should_is_not_spoken_to(authority, tmp_path):
    async with (
        serving_records(tmp_path) as records,
        channel_of(tmp_path, "edge", records.address, to="claims") as channel,
    ):
        assert await code_of(call(channel, "Open")) is grpc.StatusCode.UNAVAILABLE
        assert not records.api.has_begun.is_set()


async def test_a_certificate_of_another_authority_is_refused(authority, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    Authority(elsewhere, SERVICES).make()
    (elsewhere / "edge" / "ca.crt").write_bytes((tmp_path / "edge" / "ca.crt").read_bytes())
    async with serving_records(tmp_path) as records, channel_of(elsewhere, "edge", records.address) as channel:
        assert await code_of(call(channel, "Open")) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("peer", "method", "metadata", "is_refused"),
    [
        ("edge", "Read", of_a_practitioner, False),
        # Whoever takes a token to the services by the certificate of one that never passes tokens on.
        ("claims", "Read", of_a_practitioner, True),
        ("claims", "Open", tuple, True),
        # The platform's key is in every service; the certificate says which of them calls.
        ("claims", "Serve", lambda: of_the_service("records"), True),
        ("edge", "Serve", lambda: of_the_service("records"), True),
        ("records", "Serve", lambda: of_the_service("records"), False),
    ],
)
async def test_a_token_is_taken_from_the_connection_that_it_belongs_to(
    authority, tmp_path, peer, method, metadata, is_refused
):
    async with serving_records(tmp_path) as records, channel_of(tmp_path, peer, records.address) as channel:
        if is_refused:
            assert await code_of(call(channel, method, metadata())) is grpc.StatusCode.PERMISSION_DENIED
        else:
            assert await call(channel, method, metadata())


async def test_another_authority_takes_over_in_three_steps_while_calls_go_on(authority, tmp_path):
    async with serving_records(tmp_path) as records:
        mine = Certificates(tmp_path / "edge", "edge")
        async with open_channel(records.address, TESTING, secured=Secured(mine, "records")) as channel:
            held = asyncio.create_task(call(channel, "Open", wish="wait", seconds=30))
            await records.api.has_begun.wait()
            for step in (authority.introduce, authority.issue, authority.retire):
                step()
                # In either order: first those who are called, then those who call.
                assert records.certificates.refresh()
                assert await call(channel, "Open") == "opened"
                assert mine.refresh()
                assert await call(channel, "Open") == "opened"
            records.api.may_end.set()
            assert await held == "opened"


async def test_what_the_authority_before_issued_is_refused_once_it_has_retired(authority, tmp_path):
    before = tmp_path / "before"
    before.mkdir()
    (tmp_path / "edge").rename(before / "edge")
    authority.make()
    async with serving_records(tmp_path) as records:
        for step in (authority.introduce, authority.issue, authority.retire):
            step()
        records.certificates.refresh()
        (before / "edge" / "ca.crt").write_bytes((tmp_path / "edge" / "ca.crt").read_bytes())
        async with channel_of(before, "edge", records.address) as channel:
            assert await code_of(call(channel, "Open")) is grpc.StatusCode.UNAVAILABLE
        async with channel_of(tmp_path, "edge", records.address) as channel:
            assert await call(channel, "Open") == "opened"


def spoil(folder: Path, case: str) -> None:
    if case == "tls.crt cannot be read":
        (folder / "tls.crt").unlink()
    elif case == "ca.crt holds no certificate":
        (folder / "ca.crt").write_text("-----BEGIN NOTHING-----")
    elif case == "tls.key holds no private key":
        (folder / "tls.key").write_text("secret")
    elif case == "tls.key is not the key of":
        (folder / "tls.key").write_bytes((folder.parent / "claims" / "tls.key").read_bytes())
    else:
        for name in ("tls.crt", "tls.key"):
            (folder / name).write_bytes((folder.parent / "claims" / name).read_bytes())


CASES = [
    "tls.crt cannot be read",
    "ca.crt holds no certificate",
    "tls.key holds no private key",
    "tls.key is not the key of",
    "is not for patient-index.nhip.internal",
]


@pytest.mark.parametrize("case", CASES)
async def test_what_is_not_sound_stops_the_start_and_says_where_it_is(authority, tmp_path, case):
    spoil(tmp_path / "patient_index", case)
    with pytest.raises(CertificateError, match=case):
        read(tmp_path / "patient_index", "patient_index")


@pytest.mark.parametrize("case", CASES)
async def test_what_is_not_sound_changes_nothing_while_a_service_runs(authority, tmp_path, case, caplog):
    certificates = Certificates(tmp_path / "patient_index", "patient_index")
    before, refused = certificates.current, reloads("refused")
    spoil(tmp_path / "patient_index", case)
    assert not certificates.refresh()
    assert not certificates.refresh()
    assert certificates.current is before
    assert case in caplog.text
    assert reloads("refused") == refused + 1
    authority.introduce()
    authority.issue()
    assert certificates.refresh()
    assert certificates.current != before


def reloads(outcome: str) -> float:
    return REGISTRY.get_sample_value("nhip_tls_reloads_total", {"outcome": outcome}) or 0.0


def test_it_is_told_when_certificates_end(authority, tmp_path):
    found = Certificates(tmp_path / "edge", "edge").current
    assert found.not_after < found.authorities_not_after
    told = {
        whose: REGISTRY.get_sample_value("nhip_tls_not_after_seconds", {"certificate": whose})
        for whose in ("own", "authorities")
    }
    assert told == {
        "own": found.not_after.timestamp(),
        "authorities": found.authorities_not_after.timestamp(),
    }


async def test_a_service_tells_its_health_in_plain_at_a_door_where_nothing_else_is(authority, database_url, tmp_path):
    Authority(tmp_path / "certificates", ["identity", "edge"]).make()
    folder = tmp_path / "certificates"
    async with serving("identity", build, database_url("identity"), certificates=folder / "identity") as running:
        async with grpc.aio.insecure_channel(running.process.health_address) as probe:
            answer = await health_pb2_grpc.HealthStub(probe).Check(CHECK, timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            for method in ("/nhip.identity.v1.IdentityService/ListKeys", "/nhip.feed.v1.FeedService/Follow"):
                assert await code_of(probe.unary_unary(method)(b"", timeout=5)) is grpc.StatusCode.UNIMPLEMENTED
        async with channel_of(folder, "edge", running.process.address, to="identity") as edge:
            answer = await health_pb2_grpc.HealthStub(edge).Check(CHECK, timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_service_without_sound_certificates_does_not_start(database_url, tmp_path):
    with pytest.raises(CertificateError, match=r"tls\.crt cannot be read"):
        async with serving("identity", build, database_url("identity"), certificates=tmp_path):
            raise AssertionError("it started")
