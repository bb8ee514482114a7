"""The stages that every call passes, outermost first, and why each stands where it stands.

tracing      first, so that everything after it carries the trace
metrics      sees every call, refused ones too, with its final status
errors       below metrics, so that metrics count statuses; above all that raises
deadlines    a call without one is refused before it costs anything; time to answer is left
faults       only where they are asked for, in development: late enough to be counted and timed, before anything is done
audit        above access, so that refusals are recorded too; below errors, since recording may fail
access       who calls, and whether they may; nothing of the request is looked at before
peers        only where certificates are set: whether the connection is that of somebody who may send such a token
validation   the fields' rules, before any handler sees them
freshness    waits until projections are as fresh as the caller asks; last, since only valid calls may wait
replay       answers a repeated request_id with its first answer
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from google.protobuf.message import Message

from libs.runtime.call import Call
from libs.runtime.policy import Method

Handler = Callable[[Call], Awaitable[Message | None]]


class Interceptor(Protocol):
    """A stage. `wrap` is called once per method at start, so that what depends on the method is decided then."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """The handler with this stage around it; the handler itself where the stage has nothing to do for the method."""


def chained(interceptors: Sequence[Interceptor], method: Method, handler: Handler) -> Handler:
    """The handler within all stages, the first outermost."""
    for interceptor in reversed(interceptors):
        handler = interceptor.wrap(method, handler)
    return handler
