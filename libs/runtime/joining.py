"""Calls that a process makes to the same service at the same time go out as one: see libs/runtime/joined.py.

A call that is alone in its moment goes its own way, so that nothing waits for company while there is little to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import grpc
from nhip.calls.v1 import service_pb2

from libs.gathering import Gathering, Release
from libs.runtime.joined import STATUS_DETAILS

JOIN = "/nhip.calls.v1.CallsService/Join"
# A larger request is not held up by the weight of its own.
MAX_BYTES = 64 * 1024
# What the joined call is given beyond the longest of its calls, which end by themselves.
ANSWER_SECONDS = 1.0
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Outgoing(NamedTuple):
    """A unary call."""

    # `/nhip.records.v1.RecordsService/ReadResource`.
    method: str
    request: bytes
    metadata: Sequence[tuple[str, str]]
    # In seconds.
    timeout: float


class Answered(NamedTuple):
    """A call's response message as bytes, and its trailing metadata."""

    response: bytes
    trailing: Mapping[str, str]


Alone = Callable[[], Awaitable[Answered]]


class _Waiting(NamedTuple):
    call: Outgoing
    alone: Alone
    answer: asyncio.Future[Answered]


class Joiner:
    """The calls of one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._join: Any = channel.unary_stream(
            JOIN,
            request_serializer=service_pb2.JoinRequest.SerializeToString,
            response_deserializer=service_pb2.JoinResponse.FromString,
        )
        self._gathering: Gathering[_Waiting] = Gathering(self._send)

    async def call(self, call: Outgoing, alone: Alone) -> Answered:
        """The answer to a call; `alone` makes it by an RPC of its own.

        Raises AioRpcError as the call would alone, UNAVAILABLE when the way broke before the answer came.
        """
        if len(call.request) > MAX_BYTES:
            return await alone()
        waiting = _Waiting(call, alone, asyncio.get_running_loop().create_future())
        self._gathering.put(waiting)
        return await waiting.answer

    async def _send(self, members: list[_Waiting], release: Release) -> None:
        # Who has gone away meanwhile needs no answer.
        wanted = [one for one in members if not one.answer.done()]
        if len(wanted) == 1:
            await _go_alone(wanted[0])
        elif wanted:
            await self._go_together(wanted, release)

    async def _go_together(self, members: Sequence[_Waiting], release: Release) -> None:
        request = service_pb2.JoinRequest(calls=[_message(one.call) for one in members])
        timeout = max(one.call.timeout for one in members) + ANSWER_SECONDS
        # A service that is being started anew is waited for: nothing was sent to it yet.
        stream = self._join(request, timeout=timeout, wait_for_ready=True)
        error = _lost(grpc.StatusCode.UNAVAILABLE, "the service ended the call without an answer")
        try:
            async for response in stream:
                for answer in response.answers:
                    _settle(members[answer.number].answer, answer)
                release()
        except grpc.aio.AioRpcError as broken:
            error = broken
        except asyncio.CancelledError:
            # The channel was closed.
            error = _lost(grpc.StatusCode.CANCELLED, "the call was given up")
        except Exception as broken:  # noqa: BLE001 whoever waits learns of it
            error = _lost(grpc.StatusCode.INTERNAL, type(broken).__name__)
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            # A service of the release before this one.
            await asyncio.gather(*(_go_alone(one) for one in _unanswered(members)))
        for one in _unanswered(members):
            one.answer.set_exception(error)


async def _go_alone(one: _Waiting) -> None:
    going = asyncio.ensure_future(one.alone())
    one.answer.add_done_callback(lambda answer: going.cancel() if answer.cancelled() else None)
    await asyncio.wait((going,))
    if one.answer.done() or going.cancelled():
        return
    error = going.exception()
    if error is None:
        one.answer.set_result(going.result())
    else:
        one.answer.set_exception(error)


def _message(call: Outgoing) -> service_pb2.JoinedCall:
    return service_pb2.JoinedCall(
        method=call.method,
        request=call.request,
        metadata=dict(call.metadata),
        timeout_milliseconds=int(call.timeout * 1000),
    )


def _unanswered(members: Sequence[_Waiting]) -> Iterator[_Waiting]:
    return (one for one in members if not one.answer.done())


def _settle(future: asyncio.Future[Answered], answer: service_pb2.JoinedAnswer) -> None:
    if future.done():
        return
    if answer.code == 0:
        future.set_result(Answered(answer.response, answer.trailing_metadata))
        return
    trailing = grpc.aio.Metadata(*answer.trailing_metadata.items())
    if answer.status:
        trailing.add(STATUS_DETAILS, answer.status)
    code = _CODES.get(answer.code, grpc.StatusCode.UNKNOWN)
    future.set_exception(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, answer.message))


def _lost(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
