"""Answers a request that was carried out before with the answer that it was given then."""

from google.protobuf.message import Message

from libs.runtime.call import Call, ReplayedAnswer
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method


class Replay:
    """For methods whose request carries a request_id."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        if not method.has_request_id:
            return handler

        async def replayed(call: Call) -> Message | None:
            try:
                return await handler(call)
            except ReplayedAnswer as earlier:
                return method.response_class.FromString(earlier.response)

        return replayed
