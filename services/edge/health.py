"""Whether the edge and the services behind it answer."""

import asyncio
import time

import grpc
import orjson
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.edge.asgi import Reply

CHECK_SECONDS = 1.0
# Probes come often and from many; the services are asked at most once in this time.
KEEP_SECONDS = 1.0


class Health:
    """Asks each service's grpc.health.v1 and remembers the answers for a second."""

    def __init__(self, channels: dict[str, grpc.aio.Channel]) -> None:
        """`channels` by service name."""
        self._stubs = {name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()}
        self._asked_at = -KEEP_SECONDS
        self._answers: dict[str, str] = {}
        self._asking = asyncio.Lock()
        # False from the moment that the process was told to stop.
        self.is_serving = True

    async def healthz(self) -> Reply:
        """200 while the edge itself is up, with what each service says: a service that is down does not restart us."""
        return self._reply(200, await self.services())

    async def readyz(self) -> Reply:
        """200 while requests should be sent here: not once draining has begun."""
        return self._reply(200 if self.is_serving else 503, {})

    def _reply(self, status: int, services: dict[str, str]) -> Reply:
        document: dict[str, object] = {"status": "SERVING" if self.is_serving else "NOT_SERVING"}
        if services:
            document["services"] = services
        return Reply(status, orjson.dumps(document), b"application/json", [(b"cache-control", b"no-store")])

    async def services(self) -> dict[str, str]:
        """Each service's state: grpc.health.v1's, or the code of the failure to ask."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= KEEP_SECONDS:
                said = await asyncio.gather(*(self._ask(stub) for stub in self._stubs.values()))
                self._answers = dict(zip(self._stubs, said, strict=True))
                self._asked_at = time.monotonic()
        return self._answers

    async def _ask(self, stub: health_pb2_grpc.HealthStub) -> str:
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=CHECK_SECONDS)
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
