"""Notifications over a websocket: bound by tokens, told one after the other, settled when they have been sent.

A client sends `bind-with-token <token>`, once for each subscription. What was being sent when a connection broke is sent
again to whoever binds next; a client that missed what was sent asks for it by $events.
"""

import asyncio
import logging
import secrets

import grpc
from nhip.records.v1 import subscriptions_pb2
from prometheus_client import Gauge

from services.edge.asgi import Receive, Request, Scope, Send
from services.edge.upstream import Upstream

log = logging.getLogger(__name__)

OPEN = Gauge("nhip_websockets_open", "Websockets that are open for notifications.")
BIND = "bind-with-token "
MAX_BOUND = 50
# A connection that is bound to nothing for so long is of no use.
BIND_SECONDS = 30.0
LOOK_SECONDS = 0.5
RETRY_SECONDS = 2.0
POLICY = 1008
_REFUSED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT})


class _RefusedError(Exception):
    """The connection is closed for the reason that is told."""


async def converse(upstream: Upstream, scope: Scope, receive: Receive, send: Send) -> None:
    """One websocket, from its beginning to its end."""
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept"})
    OPEN.inc()
    socket = _Socket(upstream, scope, send)
    try:
        await socket.listen(receive)
    except _RefusedError as error:
        await send({"type": "websocket.close", "code": POLICY, "reason": str(error)})
    finally:
        await socket.end()
        OPEN.dec()


class _Socket:
    def __init__(self, upstream: Upstream, scope: Scope, send: Send) -> None:
        self._upstream = upstream
        self._send = send
        # What a websocket was opened with says nothing: the tokens do.
        self._scope = {**scope, "method": "GET", "headers": []}
        self._telling: dict[str, asyncio.Task[None]] = {}

    async def listen(self, receive: Receive) -> None:
        """Takes tokens, until the other side goes. Raises _RefusedError."""
        hearing = asyncio.ensure_future(receive())
        try:
            while True:
                patience = None if self._telling else BIND_SECONDS
                done, _ = await asyncio.wait(
                    {hearing, *self._telling.values()}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    raise _RefusedError("nothing was bound")
                for task in done - {hearing}:
                    # It goes on until it is refused.
                    task.result()
                if hearing in done:
                    message = hearing.result()
                    if message["type"] != "websocket.receive":
                        return
                    self._bind(message.get("text") or "")
                    hearing = asyncio.ensure_future(receive())
        finally:
            hearing.cancel()

    async def end(self) -> None:
        """Stops telling; what was being sent is not settled."""
        for task in self._telling.values():
            task.cancel()
        await asyncio.gather(*self._telling.values(), return_exceptions=True)

    def _bind(self, text: str) -> None:
        token = text.removeprefix(BIND).strip()
        if not text.startswith(BIND) or not token:
            raise _RefusedError("bind-with-token and a token belong here")
        if token not in self._telling:
            if len(self._telling) >= MAX_BOUND:
                raise _RefusedError(f"a websocket is bound to {MAX_BOUND} subscriptions at most")
            self._telling[token] = asyncio.create_task(self._tell(token))

    async def _tell(self, token: str) -> None:
        """Sends what is due, one after the other. Raises _RefusedError when the token is refused."""
        while True:
            try:
                is_due = await self._step(token)
            except grpc.aio.AioRpcError as error:
                if error.code() in _REFUSED:
                    raise _RefusedError("the token is unknown, or its time is over") from None
                log.warning("a websocket waits for records: %s", error.code().name)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not is_due:
                await asyncio.sleep(LOOK_SECONDS)

    async def _step(self, token: str) -> bool:
        trace_id = f"{secrets.randbits(127) + 1:032x}"
        traceparent = f"00-{trace_id}-{secrets.randbits(63) + 1:016x}-00"
        request = Request(dict(self._scope), _nothing, trace_id, traceparent)
        wait = subscriptions_pb2.AwaitBoundNotificationRequest(token=token)
        if not (await self._upstream["records.AwaitBoundNotification"](wait, request)).is_due:
            return False
        take = subscriptions_pb2.TakeBoundNotificationRequest(token=token)
        answer = await self._upstream["records.TakeBoundNotification"](take, request)
        if not answer.HasField("notification"):
            return False
        taken = answer.notification
        await self._send({"type": "websocket.send", "text": taken.bundle.decode()})
        settle = subscriptions_pb2.SettleBoundNotificationRequest(token=token, lease=taken.lease)
        await self._upstream["records.SettleBoundNotification"](settle, request)
        return True


async def _nothing() -> dict[str, object]:
    return {"type": "http.disconnect"}
