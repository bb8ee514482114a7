"""Channels to other services: retries for what may be repeated, the trace carried on, and certificates where they are set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
import orjson
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry.propagate import inject

from libs.access.tokens import SERVICE_TOKEN_SECONDS, service_token
from libs.clock import Clock, system_clock
from libs.runtime.certificates import Certificates, name_of
from libs.runtime.policy import methods_of
from libs.runtime.renewing import RenewingChannel
from libs.runtime.settings import REPLICAS

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
# How soon a name may be looked up again once a replica has gone. gRPC's default of 30 s outlasts a rolling upgrade: the last
# replica that a client knew would be gone before it heard of any new one.
LOOK_UP_AGAIN_MS = 1_000


def service_config(services: tuple[ServiceDescriptor, ...]) -> str:
    """GRPC's service config: round robin over replicas that say that they serve, and retries for idempotent methods only."""
    names = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in methods_of(service)
        if method.is_idempotent and not method.is_server_streaming and not method.is_client_streaming
    ]
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config: dict[str, object] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        # Replicas are watched, so that one that drains is sent nothing new, though its connection stands.
        "healthCheckConfig": {"serviceName": ""},
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.2},
    }
    if names:
        config["methodConfig"] = [{"name": names, "retryPolicy": retry}]
    return orjson.dumps(config).decode()


@dataclass(frozen=True, slots=True)
class Secured:
    """By which certificates a channel is secured, and which service must be at its other end."""

    certificates: Certificates
    service: str


def target_of(address: str) -> str:
    """GRPC's name for a peer's address: a host and port, gRPC's own names, or IPv4 addresses of replicas between bars."""
    return f"ipv4:{address.replace(REPLICAS, ',')}" if REPLICAS in address else address


def open_channel(address: str, *services: ServiceDescriptor, secured: Secured | None = None) -> grpc.aio.Channel:
    """A channel to one service of the platform, of whose replicas `address` tells; plain where nothing secures it."""
    target = target_of(address)
    options = (
        ("grpc.service_config", service_config(services)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # A peer that vanished without a word is noticed.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.dns_min_time_between_resolutions_ms", LOOK_UP_AGAIN_MS),
    )
    if secured is None:
        return grpc.aio.insecure_channel(target, options=options)
    # The name of the service is checked, not that of the host: an address may be anything that leads there.
    expected = (*options, ("grpc.ssl_target_name_override", name_of(secured.service)))
    certificates = secured.certificates
    channel = RenewingChannel(
        lambda: grpc.aio.secure_channel(target, certificates.current.channel_credentials(), options=expected)
    )
    certificates.on_change(channel.renew)
    return channel


class ServiceCredentials:
    """The metadata by which this service shows itself to others; renewed before it expires, and when the clock was set."""

    def __init__(self, platform_key: bytes, service: str, clock: Clock = system_clock) -> None:
        self._platform_key = platform_key
        self._service = service
        self._clock = clock
        self._token = ""
        self._made_at = -math.inf

    def __call__(self) -> tuple[tuple[str, str], ...]:
        """Authorization metadata, with the trace context."""
        now = self._clock().timestamp()
        # A token of a moment that is still to come was made before the clock was set back, and is refused until then.
        if not self._made_at <= now < self._made_at + SERVICE_TOKEN_SECONDS / 2:
            self._token = service_token(self._platform_key, self._service, now)
            self._made_at = now
        return outgoing(f"Bearer {self._token}")


def outgoing(authorization: str, extra: Mapping[str, str] | None = None) -> tuple[tuple[str, str], ...]:
    """Metadata of an outgoing call: who calls, and the trace that the call belongs to."""
    carrier: dict[str, str] = {}
    inject(carrier)
    if authorization:
        carrier["authorization"] = authorization
    carrier.update(extra or {})
    return tuple(carrier.items())
