"""The services behind the edge, in the test's own process: a real gRPC server that answers what the test says."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_status import rpc_status

from libs.errors import NhipError
from libs.runtime.channels import MAX_MESSAGE_BYTES, open_channel
from libs.runtime.interceptors.errors import to_status
from libs.runtime.policy import Method, methods_of
from services.edge.app import Edge
from services.edge.observing import AccessLog
from services.edge.status.measured import Prometheus
from services.edge.upstream import SERVICES, Upstream, served_by

Answer = Message | NhipError | Callable[[Any], Message]


class Lines:
    """What the access log wrote."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, line: bytes) -> None:
        self.written += line

    def flush(self) -> None:
        """Nothing waits."""


@dataclass
class Received:
    """One call as a service got it."""

    label: str
    request: Any
    metadata: dict[str, str]
    seconds_left: float


@dataclass
class Platform:
    """All seven services; each RPC answers an empty message until the test says otherwise."""

    calls: list[Received] = field(default_factory=list)
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    health: health_aio.HealthServicer = field(default_factory=health_aio.HealthServicer)
    address: str = ""

    def called(self, label: str) -> list[Any]:
        """The requests that an RPC got, in order."""
        return [call.request for call in self.calls if call.label == label]

    @property
    def labels(self) -> list[str]:
        """The RPCs called, in order."""
        return [call.label for call in self.calls]

    def _answer(self, method: Method, request: Any) -> Message:
        answer = self.answers.get(method.label, method.response_class())
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, NhipError):
            raise answer
        return answer if isinstance(answer, Message) else answer(request)

    async def _handle(self, method: Method, request: Any, context: Any) -> Message:
        metadata = dict(context.invocation_metadata() or ())
        self.calls.append(Received(method.label, request, metadata, context.time_remaining()))
        if method.label in self.positions:
            context.set_trailing_metadata((("nhip-position", self.positions[method.label]),))
        try:
            return self._answer(method, request)
        except NhipError as error:
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
        raise AssertionError

    def _handler(self, method: Method) -> Any:
        codec = {
            "request_deserializer": method.request_class.FromString,
            "response_serializer": method.response_class.SerializeToString,
        }
        if method.is_client_streaming:

            async def from_stream(requests: Any, context: Any) -> Message:
                answer = self.answers.get(method.label)
                if callable(answer) and not isinstance(answer, Message):
                    return await self._streamed(answer, requests, context)
                return await self._handle(method, [request async for request in requests], context)

            return grpc.stream_unary_rpc_method_handler(from_stream, **codec)

        async def from_unary(request: Any, context: Any) -> Message:
            return await self._handle(method, request, context)

        async def to_stream(request: Any, context: Any) -> AsyncIterator[Message]:
            # What answers a streaming RPC is a list of all its messages.
            answers, self.answers[method.label] = self.answers.get(method.label, []), []
            for answer in answers if isinstance(answers, list) else [answers]:
                self.answers[method.label] = answer
                yield await self._handle(method, request, context)
            self.answers[method.label] = answers

        if method.is_server_streaming:
            return grpc.unary_stream_rpc_method_handler(to_stream, **codec)
        return grpc.unary_unary_rpc_method_handler(from_unary, **codec)

    async def _streamed(self, answer: Any, requests: Any, context: Any) -> Message:
        try:
            return await answer(requests)
        except NhipError as error:
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
        raise AssertionError

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Platform"]:
        """Serves until the block ends."""
        server = grpc.aio.server(options=(("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),))
        for descriptor in (one for name in SERVICES for one in served_by(name)):
            handlers = {method.name: self._handler(method) for method in methods_of(descriptor)}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(descriptor.full_name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        await self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield self
        finally:
            await server.stop(0)


@dataclass
class Surface:
    """The edge over a platform, and a client of it."""

    edge: Edge
    platform: Platform
    client: httpx.AsyncClient
    lines: Lines
    log: AccessLog


@asynccontextmanager
async def surface(
    platform: Platform, prometheus: Prometheus | None = None, fhir_policy: frozenset[str] = frozenset()
) -> AsyncIterator[Surface]:
    """The whole edge in process, without a socket of its own."""
    channel = open_channel(platform.address, *SERVICES.values())
    lines = Lines()
    log = AccessLog(lines)  # type: ignore[arg-type]  # the two methods that are called
    edge = Edge(Upstream(dict.fromkeys(SERVICES, channel)), log, prometheus, fhir_policy)
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://edge.test", timeout=20) as client:
        yield Surface(edge, platform, client, lines, log)
    log.flush()
    await channel.close()
    if prometheus is not None:
        await prometheus.close()
