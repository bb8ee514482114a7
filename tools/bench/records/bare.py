"""The least that could do the same: two bare Python processes, REST → gRPC → one SELECT, without a rule or a record of it.

Beside it a read of the platform is measured.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import grpc
import uvicorn
import uvloop

from libs.database.ports import free_port

_PATH: Final = "/bare.Bare/Read"
_SELECT: Final = "SELECT body FROM resources WHERE type = $1 AND id = $2"
_CONNECTIONS: Final = 8
# The package imports this module already, which `-m` warns of.
_RUN: Final = "import sys; from tools.bench.records.bare import run; run(sys.argv[1:])"


async def _serve_rows(url: str) -> None:
    pool = await asyncpg.create_pool(url, min_size=_CONNECTIONS, max_size=_CONNECTIONS)

    async def read(request: bytes, context: Any) -> bytes:
        del context
        kind, _, resource_id = request.decode().partition("/")
        async with pool.acquire() as connection:
            body: bytes = await connection.fetchval(_SELECT, kind, resource_id)
        return body

    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {"Read": grpc.unary_unary_rpc_method_handler(read)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Bare", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def _serve_http(address: str) -> None:
    channel = grpc.aio.insecure_channel(address)
    read: Callable[..., Awaitable[bytes]] = channel.unary_unary(_PATH)

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        del receive
        body = await read(scope["path"].removeprefix("/fhir/R4/").encode(), timeout=10)
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    port = free_port()
    config = uvicorn.Config(
        answer, port=port, http="httptools", loop="none", ws="none", lifespan="off", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    # uvicorn tells nobody that it listens.
    while not server.started:  # noqa: ASYNC110 there is no event to wait for
        await asyncio.sleep(0.01)
    print(port, flush=True)
    await serving


@asynccontextmanager
async def bare_platform(url: str) -> AsyncIterator[str]:
    """The address of the REST side; `url` is the database with the rows."""
    async with _process("rows", url) as rows, _process("http", f"127.0.0.1:{rows}") as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _RUN, *arguments, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None  # noqa: S101 it was asked for
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def run(arguments: Sequence[str]) -> None:
    """One of the two processes: `rows URL` or `http ADDRESS`."""
    what, where = arguments
    uvloop.run(_serve_rows(where) if what == "rows" else _serve_http(where))
