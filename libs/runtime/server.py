"""Builds a gRPC server whose every method passes the chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection
from nhip.calls.v1 import service_pb2

from libs.runtime.call import Call, Host
from libs.runtime.channels import MAX_MESSAGE_BYTES
from libs.runtime.interceptors import Interceptor, chained
from libs.runtime.joined import JoinedCalls
from libs.runtime.policy import Method, methods_of

# Clients reconnect, and so find new replicas, after this time at the latest.
MAX_CONNECTION_AGE_MS = 300_000
# A call that began before goes on: longer than the longest deadline, which uploads have.
MAX_CONNECTION_AGE_GRACE_MS = 620_000

Context = grpc.aio.ServicerContext[Any, Any]


def new_server() -> grpc.aio.Server:
    """A server with the platform's limits."""
    return grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE_MS),
            ("grpc.max_connection_age_grace_ms", MAX_CONNECTION_AGE_GRACE_MS),
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        )
    )


def add_services(
    server: grpc.aio.Server,
    services: Mapping[ServiceDescriptor, object],
    interceptors: Sequence[Interceptor],
    host: Host,
) -> None:
    """Adds services with their APIs: an object with one method per RPC, `async def Name(request, call)`.

    Beside them, nhip.calls.v1 for callers with many calls at the same time. Raises PolicyMissingError for a method that
    declares too little, AttributeError for one that the API lacks.
    """
    joined = JoinedCalls(host)
    all_services = {**services, service_pb2.DESCRIPTOR.services_by_name["CallsService"]: joined}
    for descriptor, api in all_services.items():
        handlers = {}
        for method in methods_of(descriptor):
            handler = chained(interceptors, method, _innermost(method, getattr(api, method.name)))
            handlers[method.name] = _rpc_handler(method, handler, host)
            if not (method.is_client_streaming or method.is_server_streaming):
                joined.offer(method, handler)
        generic = grpc.method_handlers_generic_handler(descriptor.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))
    names = [descriptor.full_name for descriptor in all_services]
    reflection.enable_server_reflection([*names, "grpc.health.v1.Health", reflection.SERVICE_NAME], server)


def _innermost(method: Method, api: Callable[..., Any]) -> Callable[[Call], Any]:
    if method.is_server_streaming:

        async def stream(call: Call) -> None:
            async for message in api(call.request, call):
                await call.context.write(message)

        return stream
    if method.is_client_streaming:

        async def collect(call: Call) -> Message:
            return await api(call.requests, call)  # type: ignore[no-any-return]  # checked by each API's own types

        return collect

    async def unary(call: Call) -> Message:
        return await api(call.request, call)  # type: ignore[no-any-return]  # checked by each API's own types

    return unary


def _rpc_handler(method: Method, handler: Callable[[Call], Any], host: Host) -> grpc.RpcMethodHandler[Any, Any]:
    async def from_unary(request: Message, context: Context) -> Message | None:
        call = Call(method, context, host)
        call.request = request
        return await handler(call)  # type: ignore[no-any-return]  # a Handler

    async def from_stream(requests: AsyncIterator[Message], context: Context) -> Message | None:
        call = Call(method, context, host)
        call.requests = requests
        return await handler(call)  # type: ignore[no-any-return]  # a Handler

    read: Callable[[bytes], Any] = method.request_class.FromString
    write: Callable[[Any], bytes] = method.response_class.SerializeToString
    if method.is_client_streaming:
        return grpc.stream_unary_rpc_method_handler(from_stream, read, write)
    if method.is_server_streaming:
        return grpc.unary_stream_rpc_method_handler(from_unary, read, write)
    return grpc.unary_unary_rpc_method_handler(from_unary, read, write)
