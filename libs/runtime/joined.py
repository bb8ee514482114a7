"""Calls that came in one message: each passes its method's stages as if it had come alone.

An RPC costs Python several times what a read costs the database, so that callers with many calls at the same time, such as the
edge, put them into one: nhip.calls.v1. Nothing of a call's policy knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message
from nhip.calls.v1 import service_pb2

from libs.runtime.call import Call, Context, Host
from libs.runtime.policy import Method

# The trailing metadata in which gRPC carries google.rpc.Status.
STATUS_DETAILS = "grpc-status-details-bin"
Handler = Callable[[Call], Awaitable[Message | None]]


class JoinedContext:
    """What the stages ask of a call's context."""

    __slots__ = ("_deadline", "_loop", "_metadata", "_timeout", "_way", "ended", "trailing")

    def __init__(self, way: Context, metadata: Mapping[str, str], timeout: float | None) -> None:
        """`way` is the context of the message that the call came in; `timeout` in seconds from now."""
        self._way = way
        self._loop = asyncio.get_running_loop()
        self._metadata = tuple(metadata.items())
        self._timeout = timeout
        self._deadline = self._loop.time() + (timeout or 0.0)
        self.ended: grpc.Status | None = None
        self.trailing: Sequence[tuple[str, str]] = ()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that the call carries."""
        return self._metadata

    def peer_identities(self) -> Any:
        """The names in the certificate of the connection; None where it has none."""
        return self._way.peer_identities()

    def time_remaining(self) -> float | None:
        """Seconds; None for a call without a deadline."""
        return None if self._timeout is None else max(0.0, self._deadline - self._loop.time())

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, str]]) -> None:
        """Sent with the answer."""
        self.trailing = trailing_metadata

    async def write(self, message: Message) -> None:
        """Raises RuntimeError: only unary methods are called with others."""
        raise RuntimeError(f"a joined call has one answer, and no stream of {type(message).__name__}")

    def code(self) -> grpc.StatusCode | None:
        """How the call ended; None while it goes on."""
        return self.ended.code if self.ended is not None else None

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """Ends the call. Raises AbortError."""
        self.ended = status
        raise grpc.aio.AbortError


class JoinedCalls:
    """The API of nhip.calls.v1.CallsService over the unary methods that the same process serves."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._methods: dict[str, tuple[Method, Handler]] = {}

    def offer(self, method: Method, handler: Handler) -> None:
        """Makes a unary method callable; `handler` with all its stages."""
        self._methods[method.path] = (method, handler)

    async def Join(self, request: service_pb2.JoinRequest, call: Call) -> AsyncIterator[service_pb2.JoinResponse]:
        """Answers whatever is ready at a time by one message. When the caller goes away, what is not ready is given up."""
        ready: list[service_pb2.JoinedAnswer] = []
        news = asyncio.Event()

        async def run(number: int, joined: service_pb2.JoinedCall) -> None:
            ready.append(await self._answer(call.context, number, joined))
            news.set()

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(run(number, joined)) for number, joined in enumerate(request.calls)]
            try:
                async for answers in _as_they_come(ready, news, len(running)):
                    yield service_pb2.JoinResponse(answers=answers)
            except BaseException:
                for task in running:
                    task.cancel()
                raise

    async def _answer(self, way: Context, number: int, joined: service_pb2.JoinedCall) -> service_pb2.JoinedAnswer:
        known = self._methods.get(joined.method)
        if known is None:
            code = grpc.StatusCode.UNIMPLEMENTED
            return service_pb2.JoinedAnswer(number=number, code=code.value[0], message="there is no such unary method")
        method, handler = known
        milliseconds = joined.timeout_milliseconds
        context = JoinedContext(way, joined.metadata, milliseconds / 1000 if milliseconds else None)
        try:
            call = Call(method, context, self._host)
            call.request = method.request_class.FromString(joined.request)
            response = await handler(call)
        except DecodeError:
            code = grpc.StatusCode.INTERNAL
            return service_pb2.JoinedAnswer(number=number, code=code.value[0], message="the request cannot be decoded")
        except grpc.aio.AbortError:
            return _refused(number, context)
        content = response.SerializeToString() if response is not None else b""
        return service_pb2.JoinedAnswer(number=number, response=content, trailing_metadata=dict(context.trailing))


async def _as_they_come(
    ready: list[Any], news: asyncio.Event, total: int
) -> AsyncIterator[Sequence[service_pb2.JoinedAnswer]]:
    sent = 0
    while sent < total:
        await news.wait()
        # Those that become ready in the same moment go together.
        await asyncio.sleep(0)
        news.clear()
        answers = ready.copy()
        ready.clear()
        sent += len(answers)
        if answers:
            yield answers


def _refused(number: int, context: JoinedContext) -> service_pb2.JoinedAnswer:
    if context.ended is None:
        raise AssertionError("an aborted call has a status")
    details = dict(context.ended.trailing_metadata or ()).get(STATUS_DETAILS)
    return service_pb2.JoinedAnswer(
        number=number,
        code=context.ended.code.value[0],
        message=context.ended.details or "",
        status=details if isinstance(details, bytes) else b"",
        trailing_metadata=dict(context.trailing),
    )
