"""A service of tests with every stage around it, on a real server and a real database."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.audit.v1.events_pb2 import AccessEvent
from sqlalchemy import text

from libs.access.caller import Caller, CallerKind, Scopes
from libs.access.tokens import TokenVerifier, sign
from libs.database.statements import Statement
from libs.errors import FailedPreconditionError, FieldViolation, PermissionDeniedError
from libs.ids import new_id
from libs.runtime.call import Host
from libs.runtime.interceptors.access import Access
from libs.runtime.interceptors.audit import AccessLog, Audit
from libs.runtime.interceptors.deadlines import Deadlines
from libs.runtime.interceptors.errors import Errors
from libs.runtime.interceptors.freshness import Freshness
from libs.runtime.interceptors.metrics import Metrics
from libs.runtime.interceptors.replay import Replay
from libs.runtime.interceptors.tracing import Tracing
from libs.runtime.interceptors.validation import Validation
from libs.runtime.server import add_services, new_server
from tests.support.ground import ground_database
from tests.support.keys import signing_key, verification_keys
from tests.support.testing import the_testing_file, thing

PLATFORM_KEY = b"k" * 32
NOTE = Statement("test.note", text("INSERT INTO notes (name) VALUES (:name)"))
NOTES = Statement("test.notes", text("SELECT count(*) FROM notes"))
# What has committed, and not what followers may see already: that waits for transactions of other tests in the cluster.
ACCESSES = Statement("test.accesses", text("SELECT event FROM changes WHERE feed = 'access' ORDER BY position"))


class Api:
    """Does what the Thing wishes."""

    def __init__(self, database) -> None:
        self._database = database
        self.calls = 0

    async def Open(self, request, call):
        self.calls += 1
        if request.wish == "crash":
            raise ValueError("the secret of the inside")
        if request.wish == "wait":
            await asyncio.sleep(30)
        return thing(name=call.caller.subject.replace("/", ""))

    async def Read(self, request, call):
        call.touch(registration="registration-1", resource="Observation/1")
        if request.wish == "refuse":
            raise PermissionDeniedError("CONSENT_REFUSED", "the person refuses")
        return thing(name="read")

    async def Write(self, request, call):
        async with self._database.writing(call) as writer:
            self.calls += 1
            await writer.execute(NOTE, name=request.name)
            if request.wish == "fail":
                field = FieldViolation("wish", "WISH_BAD", "it may not be")
                raise FailedPreconditionError("NOT_NOW", "not now", fields=[field], metadata={"place": "here"})
            return await writer.answer(thing(name=request.name, count=self.calls))

    async def ReadFhir(self, request, call):
        return thing(name="fhir")

    async def Serve(self, request, call):
        return thing(name="served")


class Running:
    def __init__(self, database, api, address, channel) -> None:
        self.database, self.api, self.address, self.channel = database, api, address, channel

    async def call(self, method, request, *, metadata=(), timeout=5.0):
        invoke = self.channel.unary_unary(
            f"/nhip.testing.v1.TestingService/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=type(request).FromString,
        )
        return await invoke(request, metadata=metadata, timeout=timeout)

    async def accesses(self) -> list[AccessEvent]:
        async with self.database.reading() as reader:
            rows = await reader.fetch(ACCESSES)
        return [AccessEvent.FromString(row["event"]) for row in rows]


@asynccontextmanager
async def running(postgres) -> AsyncIterator[Running]:
    async with ground_database(postgres, "CREATE TABLE notes (name text)") as database:
        access_log = AccessLog(database)
        access_log.start()
        api = Api(database)
        server = new_server()
        chain = (
            Tracing(), Metrics(), Errors(), Deadlines(), Audit(access_log),
            Access(TokenVerifier(verification_keys, PLATFORM_KEY)), Validation(), Freshness("testing", ()), Replay(),
        )  # fmt: skip
        add_services(server, {the_testing_file().services_by_name["TestingService"]: api}, chain, Host(PLATFORM_KEY))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        try:
            yield Running(database, api, f"127.0.0.1:{port}", channel)
        finally:
            await channel.close()
            await server.stop(0)
            await access_log.stop()


def token(scopes="", purpose=0, kind=CallerKind.CLIENT, seconds=60, now=None):
    caller = Caller(kind, "client/one", "10661", Scopes.parse(scopes), purpose)
    text_form = sign(signing_key(), "test", caller, new_id(), now=now or time.time(), seconds=seconds)
    return (("authorization", f"Bearer {text_form}"),)


async def refused(awaitable) -> tuple[grpc.StatusCode, str, grpc.aio.AioRpcError]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value.code(), reason_of(caught.value), caught.value


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""
