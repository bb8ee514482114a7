"""The services behind the edge: one channel to each, and a callable for each RPC."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from nhip.audit.v1 import service_pb2 as audit_pb2
from nhip.claims.v1 import service_pb2 as claims_pb2
from nhip.exchange.v1 import bulk_imports_pb2, exports_pb2
from nhip.exchange.v1 import service_pb2 as exchange_pb2
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.options.v1 import options_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2
from nhip.records.v1 import decisions_pb2, person_pb2, subscriptions_pb2, terminology_pb2
from nhip.records.v1 import exports_pb2 as reading_exports_pb2
from nhip.records.v1 import service_pb2 as records_pb2
from nhip.surveillance.v1 import service_pb2 as surveillance_pb2

from libs.runtime.certificates import Certificates
from libs.runtime.channels import Secured, open_channel
from libs.runtime.joining import Answered, Joiner, Outgoing
from libs.runtime.policy import Method, methods_of
from libs.runtime.settings import Settings
from services.edge.asgi import Request

POSITION = "nhip-position"
# How long a stream waits for a service that is being started anew.
READY_SECONDS = 10.0
# What the service level promises, with room for a retry; the caller's own patience may be shorter.
DEADLINES: Mapping[int, float] = {
    options_pb2.SLO_CLASS_FAST: 2.0,
    options_pb2.SLO_CLASS_INTERACTIVE: 10.0,
    options_pb2.SLO_CLASS_BATCH: 60.0,
    options_pb2.SLO_CLASS_STREAM: 600.0,
}
SERVICES: Mapping[str, ServiceDescriptor] = {
    "identity": identity_pb2.DESCRIPTOR.services_by_name["IdentityService"],
    "patient_index": patient_index_pb2.DESCRIPTOR.services_by_name["PatientIndexService"],
    "records": records_pb2.DESCRIPTOR.services_by_name["RecordsService"],
    "claims": claims_pb2.DESCRIPTOR.services_by_name["ClaimsService"],
    "surveillance": surveillance_pb2.DESCRIPTOR.services_by_name["SurveillanceService"],
    "exchange": exchange_pb2.DESCRIPTOR.services_by_name["ExchangeService"],
    "audit": audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
}
# What the same processes serve beside it.
BESIDE: Mapping[str, tuple[ServiceDescriptor, ...]] = {
    "records": (
        person_pb2.DESCRIPTOR.services_by_name["PersonRecordsService"],
        terminology_pb2.DESCRIPTOR.services_by_name["TerminologyService"],
        decisions_pb2.DESCRIPTOR.services_by_name["DecisionService"],
        subscriptions_pb2.DESCRIPTOR.services_by_name["SubscriptionService"],
        # For exchange; the edge has no route to it.
        reading_exports_pb2.DESCRIPTOR.services_by_name["ExportRecordsService"],
    ),
    "exchange": (
        exports_pb2.DESCRIPTOR.services_by_name["ExportService"],
        bulk_imports_pb2.DESCRIPTOR.services_by_name["BulkImportService"],
    ),
}


def served_by(name: str) -> tuple[ServiceDescriptor, ...]:
    """All that the process of this name serves to the edge."""
    return (SERVICES[name], *BESIDE.get(name, ()))


class Rpc:
    """One RPC of one service."""

    __slots__ = ("_bytes", "_call", "_channel", "_deadline", "_joiner", "_tells_position", "method")

    def __init__(self, method: Method, channel: grpc.aio.Channel, joiner: Joiner) -> None:
        """`channel` leads to the method's service; `joiner` sends what is called at the same time as one."""
        open_call: Any = channel.stream_unary if method.is_client_streaming else channel.unary_unary
        if method.is_server_streaming:
            open_call = channel.unary_stream
        self.method = method
        self._channel = channel
        self._call: Any = open_call(
            method.path,
            request_serializer=method.request_class.SerializeToString,
            response_deserializer=method.response_class.FromString,
        )
        self._joiner = joiner
        # The same without a look at messages.
        self._bytes: Any = channel.unary_unary(method.path)
        self._deadline = DEADLINES[method.slo_class]
        # What writes nothing has no position to tell; asking costs a round of the event loop.
        self._tells_position = not method.is_read_only

    async def __call__(self, message: Message, request: Request) -> Any:
        """Calls as the request's caller. Raises AioRpcError."""
        call = Outgoing(self.method.path, message.SerializeToString(), request.metadata, self._deadline)

        went_alone = False

        async def alone() -> Answered:
            nonlocal went_alone
            went_alone = True
            return await self._alone(call)

        try:
            answered = await self._joiner.call(call, alone)
        except grpc.aio.AioRpcError as error:
            # The channel repeats what may be repeated, of calls that go alone.
            is_over = went_alone or error.code() is not grpc.StatusCode.UNAVAILABLE
            if is_over or not self.method.is_idempotent:
                raise
            answered = await self._alone(call)
        if position := answered.trailing.get(POSITION):
            request.stand_at(position)
        return self.method.response_class.FromString(answered.response)

    async def _alone(self, call: Outgoing) -> Answered:
        # A service that is being started anew is waited for: nothing was sent to it yet, so that nothing happens twice.
        sent = self._bytes(call.request, metadata=call.metadata, timeout=call.timeout, wait_for_ready=True)
        response = await sent
        trailing = await sent.trailing_metadata() if self._tells_position else ()
        return Answered(response, {key: value for key, value in trailing or () if isinstance(value, str)})

    async def receive(self, message: Message, request: Request) -> AsyncGenerator[Any]:
        """The messages of an answer that comes as a stream, no faster than they are taken. Raises AioRpcError."""
        call = self._call(message, metadata=request.metadata, timeout=self._deadline, wait_for_ready=True)
        try:
            async for response in call:
                yield response
        finally:
            call.cancel()

    async def stream(self, messages: AsyncIterator[Message], request: Request) -> Any:
        """Sends messages as the service takes them, and answers its response. Raises AioRpcError."""
        # As above, but not for as long as a stream may last.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                await self._channel.channel_ready()
        call = self._call(metadata=request.metadata, timeout=self._deadline)
        endings: list[grpc.aio.AioRpcError] = []
        call.add_done_callback(lambda ended: endings.append(_ending(ended)))
        try:
            async for message in messages:
                await call.write(message)
            await call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            # The service answered before it had read everything; awaiting the call tells what.
            pass
        except BaseException:
            call.cancel()
            raise
        try:
            response = await call
        except grpc.aio.AioRpcError as error:
            raise next(filter(_is_of_the_service, endings), error) from None
        _note_position(await call.trailing_metadata(), request)
        return response


class Upstream:
    """Every RPC of every service by its label, such as `records.ReadResource`."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        """`channels` by service name."""
        self.channels = channels
        joiners = {name: Joiner(channel) for name, channel in channels.items()}
        self._rpcs = {
            method.label: Rpc(method, channels[name], joiners[name])
            for name in SERVICES
            for descriptor in served_by(name)
            for method in methods_of(descriptor)
        }

    @classmethod
    def open(cls, settings: Settings, certificates: Certificates | None = None) -> "Upstream":
        """Channels to the peers that the settings name; plain without certificates. Raises SettingsError."""
        return cls(
            {
                name: open_channel(
                    settings.peer(name),
                    *served_by(name),
                    secured=Secured(certificates, name) if certificates else None,
                )
                for name in SERVICES
            }
        )

    def __getitem__(self, label: str) -> Rpc:
        return self._rpcs[label]

    async def close(self) -> None:
        """Closes the channels."""
        for channel in self.channels.values():
            await channel.close()


def _note_position(trailing: Any, request: Request) -> None:
    for key, value in trailing or ():
        if key == POSITION and isinstance(value, str):
            request.stand_at(value)


def _ending(call: Any) -> grpc.aio.AioRpcError:
    """How a call that has just ended did.

    A write that fails because the service has answered replaces the service's status with an internal error
    (https://github.com/grpc/grpc/issues/36066), so the status is kept at the moment when it arrives: the coroutines that
    tell of it have nothing to wait for then.
    """
    return grpc.aio.AioRpcError(
        _result(call.code()),
        _result(call.initial_metadata()),
        _result(call.trailing_metadata()),
        _result(call.details()),
    )


def _result(told: Coroutine[Any, Any, Any]) -> Any:
    try:
        told.send(None)
    except StopIteration as done:
        return done.value
    told.close()
    raise RuntimeError("the call has ended and does not tell how")


def _is_of_the_service(ending: grpc.aio.AioRpcError) -> bool:
    is_of_core = ending.code() is grpc.StatusCode.INTERNAL and (ending.details() or "").startswith(
        "Internal error from Core"
    )
    return ending.code() is not grpc.StatusCode.OK and not is_of_core
