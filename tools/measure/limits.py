"""The raw limits: an empty RPC through the chain, and SQL by bare asyncpg, on this machine and in this run."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc
from nhip.audit.v1 import service_pb2, service_pb2_grpc

from libs.runtime.call import Call, Host
from libs.runtime.interceptors.deadlines import Deadlines
from libs.runtime.interceptors.errors import Errors
from libs.runtime.interceptors.freshness import Freshness
from libs.runtime.interceptors.metrics import Metrics
from libs.runtime.interceptors.replay import Replay
from libs.runtime.interceptors.tracing import Tracing
from libs.runtime.interceptors.validation import Validation
from libs.runtime.server import add_services, new_server
from tools.measure.http import Load, closed_loop

CONCURRENCY = 64


class EmptyApi:
    """Answers every method with nothing."""

    def __getattr__(self, name: str) -> Any:
        response = getattr(service_pb2, f"{name}Response")

        async def empty(request: object, call: Call) -> object:
            del request, call
            return response()

        return empty


async def _serve() -> None:
    server = new_server()
    chain = (Tracing(), Metrics(), Errors(), Deadlines(), Validation(), Freshness("empty", ()), Replay())
    add_services(server, {service_pb2.DESCRIPTOR.services_by_name["AuditService"]: EmptyApi()}, chain, Host(b""))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


@asynccontextmanager
async def empty_service() -> AsyncIterator[str]:
    """The address of a service, in a process of its own, whose RPCs do nothing but pass the chain."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tools.measure.limits", stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None  # noqa: S101 it was asked for
        yield f"127.0.0.1:{(await process.stdout.readline()).decode().strip()}"
    finally:
        process.terminate()
        await process.wait()


async def empty_rpcs(total: int) -> Load:
    """Empty unary RPCs through the chain, client included."""
    async with empty_service() as address, grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.AuditServiceStub(channel)
        request = service_pb2.GetCheckpointRequest()
        return await closed_loop(lambda _: stub.GetCheckpoint(request, timeout=10), total, CONCURRENCY)


async def bare_sql(url: str, sql: str, arguments: Sequence[Sequence[Any]], total: int, *, connections: int = 8) -> Load:
    """One statement by asyncpg without anything around it; with the arguments in turn."""
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)
    try:

        async def run(number: int) -> None:
            async with pool.acquire() as connection:
                await connection.fetch(sql, *arguments[number % len(arguments)])

        await closed_loop(run, min(total, 500), CONCURRENCY)
        return await closed_loop(run, total, CONCURRENCY)
    finally:
        await pool.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve())
