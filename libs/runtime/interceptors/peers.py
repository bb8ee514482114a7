"""Holds what a token says against the certificate of the connection that it came by.

An access token is passed on by the edge or the exchange, which alone call on behalf of others; a service's token comes from that
service. So a key or a certificate that got out of one service does not open what another may do.
"""

from google.protobuf.message import Message

from libs.access.caller import CallerKind
from libs.errors import PermissionDeniedError
from libs.runtime.call import Call
from libs.runtime.certificates import services_of
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

# Who calls on behalf of others, as docs/architecture.md draws it.
CALLERS = frozenset({"edge", "exchange"})


class Peers:
    """Refuses what its peer may not send. For servers that demand certificates."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""

        async def from_a_peer(call: Call) -> Message | None:
            services = services_of(call.context.peer_identities() or ())
            caller = call.caller
            allowed = {caller.subject.removeprefix("service/")} if caller.kind is CallerKind.SERVICE else CALLERS
            if not services & allowed:
                raise PermissionDeniedError(
                    "PEER_REFUSED", f"{method.label} was called over the connection of another service"
                )
            return await handler(call)

        return from_a_peer
