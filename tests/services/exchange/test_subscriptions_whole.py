"""Subscriptions with the real identity, records and exchange: from a write to a receiver's socket, faults on the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.identity.v1 import service_pb2_grpc as identity_grpc
from nhip.patient_index.v1 import events_pb2 as index_pb2
from nhip.records.v1 import service_pb2, service_pb2_grpc, subscriptions_pb2_grpc

from libs.outbound import Outbound
from services.exchange.delivering import Deliverer
from services.exchange.neighbours import Tokens
from services.exchange.subscriptions import Subscriptions
from services.identity.__main__ import build as build_identity
from services.records import followers
from services.records.__main__ import build as build_records
from tests.services.records.stage import a_patient, an_observation
from tests.services.records.subscribing import Told, a_subscription
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, make_secrets, serving

HOSPITAL = "10661"


@dataclass
class Receiver:
    """A real HTTP server that takes notifications, and answers what the test says."""

    status: int = 200
    # Not set while it keeps its senders waiting.
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Told] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    asked: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                int(one.partition(":")[2]) for one in head.splitlines() if one.lower().startswith("content-length")
            )
            body = await reader.readexactly(length)
            self.asked += 1
            await self.answering.wait()
            if self.status == 200:
                self.headers.append(head)
                self.told.append(Told.of(body))
            writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @property
    def numbers(self) -> list[int]:
        return [number for one in self.told for number, _ in one.events]

    async def has(self, count: int) -> None:
        while len(self.numbers) < count:
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_receiver(*, status: int = 200, is_answering: bool = True) -> AsyncIterator[Receiver]:
    receiver = Receiver(status)
    if is_answering:
        receiver.answering.set()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/told"
    try:
        yield receiver
    finally:
        receiver.answering.set()
        server.close()


@dataclass
class Pair:
    """Identity and records, and deliverers as exchange runs them."""

    identity: Running
    records: Running
    secrets: Path

    def deliverer(self, *receivers: Receiver) -> Deliverer:
        settings = self.records.process.ground.settings
        stub = self.records.stub(subscriptions_pb2_grpc.SubscriptionServiceStub)
        tokens = Tokens(
            self.identity.stub(identity_grpc.IdentityServiceStub), settings, self.records.process.ground.clock
        )
        origins = [one.url.removesuffix("/told") for one in receivers]
        return Deliverer(Subscriptions(tokens, stub), Outbound(origins))

    @property
    def token(self) -> Any:
        return self.records.token(scopes="system/*.cruds", organization=HOSPITAL, subject="client/watcher")

    async def file(self, body: dict[str, Any], **more: Any) -> str:
        stub = self.records.stub(service_pb2_grpc.RecordsServiceStub)
        request = service_pb2.CreateResourceRequest(type=body["resourceType"], body=json.dumps(body).encode(), **more)
        return str((await stub.CreateResource(request, metadata=self.token, timeout=10)).resource.id)

    async def read(self, subscription_id: str) -> dict[str, Any]:
        stub = self.records.stub(service_pb2_grpc.RecordsServiceStub)
        request = service_pb2.ReadResourceRequest(type="Subscription", id=subscription_id)
        return dict(json.loads((await stub.ReadResource(request, metadata=self.token, timeout=10)).resource.body))

    async def subscribe(self, receiver: Receiver, **more: Any) -> str:
        return await self.file(a_subscription(endpoint=receiver.url, **more))


@asynccontextmanager
async def running(deliverer: Deliverer) -> AsyncIterator[None]:
    task = asyncio.create_task(deliverer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def pair(database_url: DatabaseUrl, tmp_path: Path) -> AsyncIterator[Pair]:
    secrets = make_secrets(tmp_path / "secrets")
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(
            serving("identity", build_identity, database_url("identity"), secrets=secrets)
        )
        peers = {"identity": identity.process.address}
        records = await stack.enter_async_context(
            serving("records", build_records, database_url("records"), secrets=secrets, peers=peers)
        )
        made = Pair(identity, records, secrets)
        event = index_pb2.PatientIndexEvent()
        placed = event.registration_placed
        placed.registration_id, placed.organization_id, placed.person_id, placed.version = "p1", HOSPITAL, "one", 1
        async with records.database.writing() as writer:
            await followers.apply_patient_index(writer, [feed_pb2.Change(event=event.SerializeToString())])
        await made.file(a_patient("p1"), id="p1")
        yield made


async def test_a_receiver_is_greeted_then_told_of_each_event_in_order(pair: Pair) -> None:
    async with a_receiver() as receiver, running(pair.deliverer(receiver)):
        subscription_id = await pair.subscribe(receiver, headers=("Authorization: Bearer s3cret",))
        while (await pair.read(subscription_id))["status"] != "active":
            await asyncio.sleep(0.02)
        for value in range(5):
            await pair.file(an_observation("p1", value=value))
        await receiver.has(5)
        assert receiver.told[0].kind == "handshake"
        assert receiver.numbers == [1, 2, 3, 4, 5]
        assert "authorization: bearer s3cret" in receiver.headers[0].lower()
        assert "content-type: application/fhir+json" in receiver.headers[0].lower()


async def test_a_receiver_that_is_dead_or_slow_keeps_nobody_waiting(pair: Pair) -> None:
    async with a_receiver(is_answering=False) as slow, a_receiver(status=503) as dead, a_receiver() as well:
        async with running(pair.deliverer(slow, dead, well)):
            for receiver in (slow, dead, well):
                await pair.subscribe(receiver)
            while not (slow.asked and dead.asked):
                await asyncio.sleep(0.02)
            await pair.file(an_observation("p1"))
            await well.has(1)
            assert not slow.told
            assert not dead.told


async def test_what_a_receiver_refused_for_a_while_is_delivered_when_it_is_back(pair: Pair) -> None:
    async with a_receiver() as receiver, running(pair.deliverer(receiver)):
        subscription_id = await pair.subscribe(receiver)
        while (await pair.read(subscription_id))["status"] != "active":
            await asyncio.sleep(0.02)
        receiver.status = 503
        first = await pair.file(an_observation("p1"))
        while receiver.asked < 2:
            await asyncio.sleep(0.02)
        while (await pair.read(subscription_id))["status"] != "error":
            await asyncio.sleep(0.02)
        receiver.status = 200
        await receiver.has(1)
        assert receiver.told[-1].events == [(1, f"Observation/{first}")]


async def test_a_deliverer_that_dies_between_delivery_and_settlement_loses_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.records.api.delivering.LEASE_MARGIN", timedelta(seconds=-14))
    async with a_receiver() as receiver:
        dying = pair.deliverer(receiver)
        subscription_id = await pair.subscribe(receiver)
        async with running(dying):
            while (await pair.read(subscription_id))["status"] != "active":
                await asyncio.sleep(0.02)

            async def die(_: object) -> None:
                raise asyncio.CancelledError

            monkeypatch.setattr(dying._subscriptions, "settle", die)
            await pair.file(an_observation("p1"))
            await receiver.has(1)
        async with running(pair.deliverer(receiver)):
            await receiver.has(2)
        assert set(receiver.numbers) == {1}


async def test_an_address_that_is_not_public_is_never_asked(pair: Pair) -> None:
    async with a_receiver() as receiver, running(pair.deliverer()):
        plain = await pair.subscribe(receiver)
        private = await pair.file(a_subscription(endpoint="https://169.254.169.254/latest"))
        for subscription_id, reason in ((plain, "must be https"), (private, "not a public one")):
            while (await pair.read(subscription_id))["status"] != "off":
                await asyncio.sleep(0.02)
            assert reason in (await pair.read(subscription_id))["error"]
        assert not receiver.asked
