"""Settings of a service process, from its environment. What is missing or malformed stops the start with its name."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# In NHIP_PEERS, between the addresses of a service's replicas, where no name leads to all of them.
REPLICAS = "|"


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a service reads from outside. Documented in docs/operations/settings.md."""

    service: str
    # host:port of gRPC and of /metrics.
    listen: str
    metrics_listen: str
    database_url: str
    # Service name → host:port, or those of its replicas with bars between.
    peers: Mapping[str, str]
    secrets: Path
    # Names this replica; the same after a restart of its process.
    instance: str
    log_level: str = "INFO"
    pool_size: int = 12
    # Seconds that a draining server goes on serving, until every client has noticed.
    drain_seconds: float = 0.0
    shutdown_seconds: float = 10.0
    allow_development_login: bool = False
    # What this deployment allows, or demands, beyond the rest: names that each service knows for itself.
    fhir_policy: frozenset[str] = frozenset()
    # The directory of certificates between services; None: calls are plain. See libs/runtime/certificates.py.
    certificates: Path | None = None
    # host:port of a plain door that serves grpc.health.v1 and nothing else; empty: none.
    health_listen: str = ""
    # Where files that somebody names may be fetched from, as libs/outbound.py reads it.
    import_sources: str = ""
    # Where subscriptions may be delivered to, likewise.
    subscription_endpoints: str = ""
    # Services that this deployment goes without, so that nobody follows them.
    absent: frozenset[str] = frozenset()
    # Faults on purpose, see libs/runtime/faults.py. Never beside real people.
    faults: str = ""

    @classmethod
    def read(cls, service: str, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from NHIP_* variables. Raises SettingsError."""
        listen = environment.get("NHIP_LISTEN", "127.0.0.1:0")
        faults, is_development = (
            environment.get("NHIP_FAULTS", ""),
            environment.get("NHIP_DEVELOPMENT_LOGIN", "") == "1",
        )
        if faults and not is_development:
            raise SettingsError("NHIP_FAULTS is for development: it needs NHIP_DEVELOPMENT_LOGIN=1")
        return cls(
            service=service,
            listen=listen,
            metrics_listen=environment.get("NHIP_METRICS_LISTEN", "127.0.0.1:0"),
            database_url="" if service == "edge" else _required(environment, "NHIP_DATABASE_URL"),
            peers=_peers(environment.get("NHIP_PEERS", "")),
            secrets=Path(_required(environment, "NHIP_SECRETS")),
            instance=environment.get("NHIP_INSTANCE", "") or f"{os.uname().nodename}-{listen}",
            log_level=environment.get("NHIP_LOG_LEVEL", "INFO").upper(),
            pool_size=_number(environment, "NHIP_POOL_SIZE", 12),
            drain_seconds=float(_number(environment, "NHIP_DRAIN_SECONDS", 0)),
            shutdown_seconds=float(_number(environment, "NHIP_SHUTDOWN_SECONDS", 10)),
            allow_development_login=is_development,
            fhir_policy=_names(environment, "NHIP_FHIR_POLICY"),
            certificates=Path(folder) if (folder := environment.get("NHIP_TLS", "")) else None,
            health_listen=environment.get("NHIP_HEALTH_LISTEN", ""),
            import_sources=environment.get("NHIP_IMPORT_SOURCES", ""),
            subscription_endpoints=environment.get("NHIP_SUBSCRIPTION_ENDPOINTS", ""),
            absent=_names(environment, "NHIP_ABSENT"),
            faults=faults,
        )

    def secret(self, name: str) -> bytes:
        """The bytes of a secret file that holds base64. Raises SettingsError."""
        try:
            return base64.b64decode(self.secret_text(name), validate=True)
        except ValueError as error:
            raise SettingsError(f"secret {name} is not base64") from error

    def secret_text(self, name: str) -> str:
        """The text of a secret file. Raises SettingsError."""
        try:
            return (self.secrets / name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"secret {name} cannot be read: {error.strerror}") from error

    def peer(self, service: str) -> str:
        """Where another service listens. Raises SettingsError."""
        try:
            return self.peers[service]
        except KeyError:
            raise SettingsError(f"NHIP_PEERS does not say where {service} listens") from None


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, "")
    if not value:
        return default
    try:
        return int(value)
    except ValueError:
        raise SettingsError(f"{name} is not a whole number") from None


def _names(environment: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(filter(None, environment.get(name, "").replace(" ", "").split(",")))


def _peers(text: str) -> dict[str, str]:
    peers = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, address = part.partition("=")
        if not (equals and name and address):
            raise SettingsError("NHIP_PEERS is a comma list of service=host:port")
        peers[name] = address
    return peers
