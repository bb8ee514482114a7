"""What running it costs: how long a service takes to be ready, what the idle platform holds, what telling of itself takes.

Traces are compared by turns on one home: services that send none, and services that send the default share to a collector on the
same cores. Metrics and logs are in both, because they cannot be switched off.
"""

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import grpc
import psutil
from rich.console import Console

from tools.load.arrivals import Load
from tools.load.callers import Callers
from tools.load.doors import Doors
from tools.load.visits import CLINIC, Asked, Citizen, visit
from tools.measure.http import load, request_bytes
from tools.measure.results import Result, median, result, show, write
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample

SEED, PEOPLE, TURNS, REQUESTS, CONNECTIONS = 3, 20, 2, 2500, 32
_EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_OK = 200


def main() -> int:
    """Runs the suite; 1 when a promise is missed."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder, _collector() as (endpoint, exported):
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        home = Path(folder, "home")
        with Platform(home) as running:
            request = asyncio.run(_a_read(running))
        with Platform(home) as running:
            results = [*_starts(running), _idle(running)]
        show(results, console)
        rates: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(2 * TURNS):
            # Without, with, with, without: what drifts meanwhile is in both.
            is_told = turn % 4 in {1, 2}
            with _environment(endpoint if is_told else ""), Platform(home) as running:
                rates[is_told].append(asyncio.run(_rate(running, request)))
    cost = _telemetry(rates, exported)
    show([cost], console)
    results.append(cost)
    console.print(f"written to {write('operations', results)}")
    return 0 if all(one.is_met for one in results) else 1


@contextlib.contextmanager
def _collector() -> Iterator[tuple[str, list[int]]]:
    """A collector that takes spans and looks at none: where it listens, and the bytes of each export."""
    exported: list[int] = []

    def take(request: bytes, _: grpc.ServicerContext) -> bytes:
        exported.append(len(request))
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Export": grpc.unary_unary_rpc_method_handler(take)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_EXPORT, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", exported
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def _environment(endpoint: str) -> Iterator[None]:
    before = os.environ.pop(_ENDPOINT, None)
    if endpoint:
        os.environ[_ENDPOINT] = endpoint
    try:
        yield
    finally:
        os.environ.pop(_ENDPOINT, None)
        if before is not None:
            os.environ[_ENDPOINT] = before


async def _a_read(running: Platform) -> str:
    """The path of a Condition that a visit has left."""
    sample = Sample(running, PEOPLE, SEED, Console(file=StringIO()))
    sample.enrol()
    read: list[str] = []

    def see(asked: Asked, _: bytes) -> None:
        if asked.kind == "read_condition":
            read.append(asked.path)

    async with Doors([running.edge_url]) as doors:
        callers = Callers(running.home, sample.population, doors)
        went_well = await Load(doors, callers, see).walk(
            visit(CLINIC, Citizen(1), callers.facilities[0], "BENCH-1"), time.monotonic()
        )
    if not went_well:
        raise RuntimeError("the first visit was refused")
    return read[0]


def _starts(running: Platform) -> Iterator[Result]:
    """Each service alone: from the word to its process to go, until the next says SERVING. Draining is part of it."""
    for name in running.state.services:
        began = time.monotonic()
        running.restart(name)
        seconds = time.monotonic() - began
        yield result(
            f"cold_start_{name}", seconds, "s", "SIGTERM to the one before until healthy, others idle", floor=3
        )


def _idle(running: Platform) -> Result:
    processes = [psutil.Process(), *(psutil.Process(one.pid) for one in running.state.services.values())]
    resident = sum(process.memory_info().rss for process in processes) / 2**20
    return result("idle_memory", resident, "MiB", "eight services and the supervisor", floor=1.2 * 1024)


async def _rate(running: Platform, path: str) -> float:
    sample = Sample(running, PEOPLE, SEED, Console(file=StringIO()))
    async with Doors([running.edge_url]) as doors:
        callers = Callers(running.home, sample.population, doors)
        headers = await callers.headers(Asked("read", "GET", path, None, facility=callers.facilities[0]))
        request = request_bytes("GET", path, headers)
        await load(running.edge_url, lambda _: request, REQUESTS // 4, connections=CONNECTIONS)
        found = await load(running.edge_url, lambda _: request, REQUESTS, connections=CONNECTIONS)
    if set(found.statuses) != {_OK}:
        raise RuntimeError(f"{dict(found.statuses)}: {found.first_surprise.decode(errors='replace')}")
    return found.rate


def _telemetry(rates: dict[bool, list[float]], exported: list[int]) -> Result:
    if not exported:
        raise RuntimeError("no span was exported: nothing was compared")
    silent, told = median(rates[False]), median(rates[True])
    spread = statistics.stdev(rates[False]) / silent
    conditions = (
        f"reads a second at the edge without and with traces, {silent:.0f} and {told:.0f}: medians of {TURNS} turns of "
        f"{REQUESTS}, {CONNECTIONS} connections; turns without traces differ by {spread:.1%}; "
        f"{sum(exported) / 1e6:.1f} MB exported"
    )
    return result("telemetry_cost", 100 * max(0.0, 1 - told / silent), "%", conditions, floor=5)


if __name__ == "__main__":
    raise SystemExit(main())
