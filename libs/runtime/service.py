"""The life of a service process: start, ready, drain, stop.

start   settings, telemetry, schema at the expected head or refuse, database, keys, server, followers
ready   health says SERVING once the keys that verify tokens are known
drain   on SIGTERM: NOT_SERVING, which clients watch; wait until they noticed, finish what is in flight
stop    followers, background work, access log, channels, database, telemetry: what others rest on goes last
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2_grpc
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.feed.v1 import service_pb2_grpc as feed_pb2_grpc

from libs.access.tokens import TokenVerifier
from libs.clock import Clock, system_clock
from libs.database.engine import Database
from libs.database.migrations import migrate, require_head
from libs.errors import NhipError
from libs.feed.follower import Follower, Subscription
from libs.feed.retention import keep_trimmed
from libs.feed.server import Feed, FeedServer
from libs.pages import PageTokens
from libs.runtime.call import ACCESS_FEED, Host
from libs.runtime.certificates import CertificateError, Certificates
from libs.runtime.channels import Secured, ServiceCredentials, open_channel
from libs.runtime.collector import spare_the_collector
from libs.runtime.faults import FaultPlan
from libs.runtime.health import SERVING, Health
from libs.runtime.interceptors import Interceptor
from libs.runtime.interceptors.access import Access
from libs.runtime.interceptors.audit import AccessLog, Audit
from libs.runtime.interceptors.deadlines import Deadlines
from libs.runtime.interceptors.errors import Errors
from libs.runtime.interceptors.faults import Faults
from libs.runtime.interceptors.freshness import Freshness
from libs.runtime.interceptors.metrics import Metrics
from libs.runtime.interceptors.peers import Peers
from libs.runtime.interceptors.replay import Replay
from libs.runtime.interceptors.tracing import Tracing
from libs.runtime.interceptors.validation import Validation
from libs.runtime.keys import KeyRing, apply_keys, reset_keys
from libs.runtime.server import add_services, new_server
from libs.runtime.settings import Settings, SettingsError
from libs.runtime.telemetry import READY, start_logging, start_metrics, start_tracing, watch_loop

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a service is handed to build itself from."""

    settings: Settings
    database: Database
    clock: Clock
    pages: PageTokens
    keys: KeyRing
    # Opens a channel to another service; closed with the process.
    channel: Callable[..., grpc.aio.Channel]
    credentials: ServiceCredentials


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a service is made of."""

    # Descriptor of each gRPC service → its API.
    apis: Mapping[ServiceDescriptor, object]
    feeds: Sequence[Feed] = ()
    subscriptions: Sequence[Subscription] = ()
    # Long-running work; each is started with the process and cancelled with it.
    background: Sequence[Callable[[], Awaitable[None]]] = ()


Build = Callable[[Ground], Awaitable[Assembly]]


@dataclass(slots=True)
class Process:
    """A running service, for `serve` and for tests."""

    ground: Ground
    server: grpc.aio.Server
    address: str
    followers: Sequence[Follower]
    access_log: AccessLog
    health: Health
    host: Host
    channels: list[grpc.aio.Channel]
    # A plain server of health alone, for probes that have no certificate, and where it listens; None where none is asked for.
    health_door: grpc.aio.Server | None = None
    health_address: str = ""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def ready(self) -> None:
        """Returns when health says SERVING."""
        await self.ground.keys.known.wait()
        await self.health.set("", SERVING)
        READY.set(1)

    async def stop(self) -> None:
        """Drains and stops; see the module."""
        settings = self.ground.settings
        READY.set(0)
        await self.health.enter_graceful_shutdown()
        await asyncio.sleep(settings.drain_seconds)
        self.host.is_draining = True
        self.health.end_watches()
        await self.server.stop(settings.shutdown_seconds)
        if self.health_door is not None:
            await self.health_door.stop(0)
        await asyncio.gather(*(follower.stop() for follower in self.followers))
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.access_log.stop()
        for channel in self.channels:
            await channel.close()
        await self.ground.database.close()


async def start(settings: Settings, build: Build, clock: Clock = system_clock) -> Process:
    """Starts a service; it is ready when `Process.ready` returns. Raises SettingsError, CertificateError."""
    certificates = Certificates(settings.certificates, settings.service) if settings.certificates else None
    await require_head(settings.database_url, settings.service)
    database = await Database.connect(
        settings.database_url, name=f"nhip-{settings.service}", max_size=settings.pool_size
    )
    platform_key = settings.secret("platform_key")
    keys = KeyRing(database)
    verifier = TokenVerifier(keys.keys, platform_key)
    keys.watch_for(verifier)
    channels: list[grpc.aio.Channel] = []

    def channel(service: str, *descriptors: ServiceDescriptor) -> grpc.aio.Channel:
        secured = Secured(certificates, service) if certificates else None
        opened = open_channel(settings.peer(service), *descriptors, secured=secured)
        channels.append(opened)
        return opened

    credentials = ServiceCredentials(platform_key, settings.service)
    ground = Ground(settings, database, clock, PageTokens(platform_key), keys, channel, credentials)
    assembly = await build(ground)
    # One that was followed and is nowhere would be reported as a feed that has fallen silent.
    subscriptions = [each for each in assembly.subscriptions if each.source not in settings.absent]
    if settings.service != "identity":
        subscriptions.append(Subscription("identity", "keys", apply_keys, reset_keys, keys.applied))
    followers = [_follower(ground, subscription) for subscription in subscriptions]
    feeds = {feed.name: feed for feed in (*assembly.feeds, Feed(ACCESS_FEED))}
    access_log = AccessLog(database)
    host = Host(platform_key)
    server = new_server()
    apis = {**assembly.apis, feed_pb2.DESCRIPTOR.services_by_name["FeedService"]: FeedServer(database, feeds)}
    add_services(server, apis, _chain(settings, verifier, access_log, followers), host)
    health = Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    interface = settings.listen.rpartition(":")[0]
    port = (
        server.add_secure_port(settings.listen, certificates.server_credentials())
        if certificates
        else server.add_insecure_port(settings.listen)
    )
    health_door, health_address = await _health_door(settings.health_listen, health)
    database.signal.start()
    access_log.start()
    await keys.refresh()
    await server.start()
    for follower in followers:
        follower.start()
    process = Process(
        ground,
        server,
        f"{interface}:{port}",
        followers,
        access_log,
        health,
        host,
        channels,
        health_door,
        health_address,
    )
    work = [keys.keep_fresh, lambda: keep_trimmed(database, feeds, clock), *assembly.background]
    if certificates:
        work.append(certificates.watch)
    process.tasks.extend(asyncio.create_task(_watched(run)) for run in work)
    return process


async def _health_door(listen: str, health: Health) -> tuple[grpc.aio.Server | None, str]:
    if not listen:
        return None, ""
    door = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, door)
    port = door.add_insecure_port(listen)
    await door.start()
    return door, f"{listen.rpartition(':')[0]}:{port}"


def _follower(ground: Ground, subscription: Subscription) -> Follower:
    descriptor = feed_pb2.DESCRIPTOR.services_by_name["FeedService"]
    stub = feed_pb2_grpc.FeedServiceStub(ground.channel(subscription.source, descriptor))
    return Follower(ground.database, subscription, stub, ground.credentials, ground.settings.instance)


def _chain(
    settings: Settings, verifier: TokenVerifier, access_log: AccessLog, followers: Sequence[Follower]
) -> tuple[Interceptor, ...]:
    return (
        Tracing(),
        Metrics(),
        Errors(),
        Deadlines(),
        *((Faults(FaultPlan(settings.faults)),) if settings.faults else ()),
        Audit(access_log),
        Access(verifier),
        *((Peers(),) if settings.certificates else ()),
        Validation(),
        Freshness(settings.service, followers),
        Replay(),
    )


async def _watched(run: Callable[[], Awaitable[None]]) -> None:
    try:
        await run()
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("background work ended; the process stops, to be started anew")
        signal.raise_signal(signal.SIGTERM)


async def _serve(settings: Settings, build: Build) -> None:
    start_logging(settings.service, settings.log_level)
    tracing = start_tracing(settings.service, settings.instance)
    metrics = start_metrics(settings.metrics_listen)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    process = await start(settings, build)
    spare_the_collector()
    log.info("serving gRPC at %s, metrics at %s", process.address, metrics)
    lag = asyncio.create_task(watch_loop())
    ready = asyncio.create_task(process.ready())
    await stopping.wait()
    log.info("draining")
    for task in (lag, ready):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await process.stop()
    tracing.shutdown()
    log.info("stopped")


def main(service: str, build: Build, arguments: Sequence[str] | None = None) -> int:
    """`serve` or `migrate`. Exit codes: 0 done, 1 refused or failed, 2 wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) not in (["serve"], ["migrate"]):
        sys.stderr.write(f"usage: python -m services.{service} serve | migrate\n")
        return 2
    try:
        settings = Settings.read(service)
        if words[0] == "migrate":
            sys.stdout.write(f"{service} stands at {migrate(settings.database_url, service)}\n")
        else:
            uvloop.run(_serve(settings, build))
    except (SettingsError, CertificateError, NhipError) as error:
        sys.stderr.write(f"{service}: {error}\n")
        return 1
    return 0
