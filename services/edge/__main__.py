"""Wiring and life of the edge: `python -m services.edge serve`.

start   settings, telemetry, channels, routes from the descriptors
ready   as soon as the socket listens: each service's health is its own, and a call to one that is down says so
drain   on SIGTERM: /readyz says 503, load balancers notice, requests in flight finish
stop    the socket, the channels, the access log, telemetry last
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import uvicorn
import uvloop

from libs.runtime.certificates import CertificateError, Certificates
from libs.runtime.collector import spare_the_collector
from libs.runtime.settings import Settings, SettingsError
from libs.runtime.telemetry import READY, start_logging, start_metrics, start_tracing, watch_loop
from services.edge.app import Edge
from services.edge.observing import AccessLog
from services.edge.status.measured import Prometheus
from services.edge.upstream import Upstream

log = logging.getLogger(__name__)
DEFAULT_LISTEN = "127.0.0.1:8080"
# An idle connection is kept longer than usual load balancers keep theirs (60 s), so that they close first.
KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, since the process has its own order of stopping; says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


@dataclass(slots=True)
class Process:
    """A running edge, for `serve` and for tests."""

    settings: Settings
    edge: Edge
    upstream: Upstream
    access_log: AccessLog
    server: uvicorn.Server
    serving: asyncio.Task[None]
    # host:port as bound.
    address: str
    # Asked by the status page; None where none is named.
    prometheus: Prometheus | None = None
    # Follows the certificates; None where calls are plain.
    watching: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Drains and stops; see the module."""
        READY.set(0)
        self.edge.health.is_serving = False
        await asyncio.sleep(self.settings.drain_seconds)
        self.server.should_exit = True
        await self.serving
        if self.watching is not None:
            self.watching.cancel()
            await asyncio.gather(self.watching, return_exceptions=True)
        await self.upstream.close()
        if self.prometheus is not None:
            await self.prometheus.close()
        self.access_log.flush()


async def start(
    settings: Settings, listen: str, access_log: AccessLog | None = None, prometheus: Prometheus | None = None
) -> Process:
    """Starts the edge; it listens when this returns. Raises SettingsError, CertificateError, OSError."""
    certificates = Certificates(settings.certificates, settings.service) if settings.certificates else None
    bound = _bind(listen)
    upstream = Upstream.open(settings, certificates)
    lines = access_log or AccessLog()
    edge = Edge(upstream, lines, prometheus, settings.fhir_policy)
    config = uvicorn.Config(
        edge,
        http="httptools",
        loop="none",
        ws="websockets-sansio",
        # What is said to the edge is a token.
        ws_max_size=8192,
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait((listening, serving), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        listening.cancel()
        await serving
    host, port = bound.getsockname()[:2]
    READY.set(1)
    watching = asyncio.create_task(certificates.watch()) if certificates else None
    return Process(settings, edge, upstream, lines, server, serving, f"{host}:{port}", prometheus, watching)


def _bind(listen: str) -> socket.socket:
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isdigit()):
        raise SettingsError("NHIP_EDGE_LISTEN is host:port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host.strip("[]"), int(port)))
    except OSError:
        bound.close()
        raise
    return bound


def _prometheus(environment: Mapping[str, str]) -> Prometheus | None:
    url = environment.get("NHIP_PROMETHEUS_URL", "")
    if not url:
        return None
    try:
        return Prometheus(url, environment.get("NHIP_PROMETHEUS_NAMESPACE", ""))
    except ValueError as error:
        raise SettingsError(f"NHIP_PROMETHEUS_URL: {error}") from error


async def _serve(settings: Settings, listen: str, prometheus: Prometheus | None) -> None:
    start_logging(settings.service, settings.log_level)
    tracing = start_tracing(settings.service, settings.instance)
    metrics = start_metrics(settings.metrics_listen)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    process = await start(settings, listen, prometheus=prometheus)
    spare_the_collector()
    log.info("serving HTTP at %s, metrics at %s", process.address, metrics)
    lag = asyncio.create_task(watch_loop())
    await stopping.wait()
    log.info("draining")
    lag.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await lag
    await process.stop()
    tracing.shutdown()
    log.info("stopped")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """`serve`. Exit codes: 0 done, 1 refused or failed, 2 wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) != ["serve"]:
        sys.stderr.write("usage: python -m services.edge serve\n")
        return 2
    try:
        settings = Settings.read("edge", environment)
        listen = environment.get("NHIP_EDGE_LISTEN", DEFAULT_LISTEN)
        uvloop.run(_serve(settings, listen, _prometheus(environment)))
    except (SettingsError, CertificateError) as error:
        sys.stderr.write(f"edge: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"edge: cannot listen: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
