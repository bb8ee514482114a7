"""Fails or slows calls on purpose; only in a process that was told to, see libs/runtime/faults.py."""

from google.protobuf.message import Message

from libs.runtime.call import Call
from libs.runtime.faults import FaultPlan
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method


class Faults:
    """Strikes before the call is looked at: nothing was read or written when it fails."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""

        async def struck(call: Call) -> Message | None:
            fault = self._plan.of(method.label)
            if fault is not None:
                await fault.strike()
            return await handler(call)

        return struck
