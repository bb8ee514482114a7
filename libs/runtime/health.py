"""grpc.health.v1 of a process: clients watch it, and send nothing new to one that has said that it goes."""

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health_aio.HealthServicer):  # type: ignore[misc]  # the package has no types
    """NOT_SERVING until told otherwise, whose watches end when the process stops."""

    def __init__(self) -> None:
        super().__init__()
        self._server_status[""] = NOT_SERVING
        self._is_ending = asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802 as in the proto
        """Tells the state at once, and whenever it changes, until the watches are ended."""
        watching = asyncio.ensure_future(super().Watch(request, context))
        ending = asyncio.ensure_future(self._is_ending.wait())
        try:
            await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            ending.cancel()
            await asyncio.gather(watching, ending, return_exceptions=True)

    def end_watches(self) -> None:
        """Ends every watch: a server waits for the calls in flight, and a watch would be one for ever."""
        self._is_ending.set()
