"""Refuses a call without a deadline, and leaves time to answer one that has little left."""

import asyncio

from google.protobuf.message import Message
from nhip.options.v1 import options_pb2

from libs.errors import DeadlineExceededError, InvalidArgumentError
from libs.runtime.call import Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

# What is kept of the deadline for the way back: the caller learns which call was late.
ANSWER_SECONDS = 0.02


class Deadlines:
    """Streams may stay open; everything else ends in time."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        if method.slo_class == options_pb2.SLO_CLASS_STREAM:
            return handler

        async def limited(call: Call) -> Message | None:
            remaining = call.context.time_remaining()
            if remaining is None:
                raise InvalidArgumentError("DEADLINE_MISSING", "a call carries a deadline; this one has none")
            if remaining <= ANSWER_SECONDS:
                raise DeadlineExceededError("DEADLINE_EXCEEDED", f"no time was left for {method.label}")
            try:
                async with asyncio.timeout(remaining - ANSWER_SECONDS):
                    return await handler(call)
            except TimeoutError:
                raise DeadlineExceededError("DEADLINE_EXCEEDED", f"{method.label} did not finish in time") from None

        return limited
