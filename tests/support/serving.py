"""Runs a service in the test's own process: the real server, the real chain, a real database, real signed tokens."""

import base64
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.access.caller import Caller, CallerKind, Scopes
from libs.access.tokens import service_token, sign
from libs.clock import Clock, system_clock
from libs.database.engine import Database
from libs.ids import new_id
from libs.runtime import keys
from libs.runtime.channels import open_channel
from libs.runtime.service import Build, Process, start
from libs.runtime.settings import Settings

TEST_KEY_ID = "test-key"
_private_key = Ed25519PrivateKey.generate()


def make_secrets(folder: Path) -> Path:
    """The secrets that a deployment has, made for a test."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("platform_key", "citizen_key"):
        (folder / name).write_text(base64.b64encode(os.urandom(32)).decode(), encoding="utf-8")
    for name, client_id in (("bootstrap_client", "nhip-admin"), ("exchange_client", "nhip-exchange")):
        secret = {"client_id": client_id, "client_secret": base64.urlsafe_b64encode(os.urandom(24)).decode()}
        (folder / name).write_text(json.dumps(secret), encoding="utf-8")
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "audit_key").write_bytes(pem)
    return folder


@dataclass(frozen=True, slots=True)
class Running:
    """A service that serves, and the means to call it."""

    process: Process
    channel: grpc.aio.Channel
    platform_key: bytes

    @property
    def database(self) -> Database:
        """The service's own database."""
        return self.process.ground.database

    def stub(self, stub_class: Any) -> Any:
        """A stub of the service: `running.stub(service_pb2_grpc.RecordsServiceStub)`."""
        return stub_class(self.channel)

    def token(
        self,
        *,
        scopes: str = "",
        organization: str = "",
        purpose: int = 0,
        kind: CallerKind = CallerKind.CLIENT,
        subject: str = "client/test",
        citizen_key: str = "",
        reason: str = "",
        seconds: int = 300,
    ) -> tuple[tuple[str, str], ...]:
        """Metadata with an access token that says this."""
        caller = Caller(kind, subject, organization, Scopes.parse(scopes), purpose, citizen_key, reason)
        now = datetime.now(UTC).timestamp()
        return (
            ("authorization", f"Bearer {sign(_private_key, TEST_KEY_ID, caller, new_id(), now=now, seconds=seconds)}"),
        )

    def as_service(self, name: str) -> tuple[tuple[str, str], ...]:
        """Metadata of another service of the platform."""
        return (("authorization", f"Bearer {service_token(self.platform_key, name)}"),)


@asynccontextmanager
async def serving(
    service: str,
    build: Build,
    database_url: str,
    *,
    peers: Mapping[str, str] | None = None,
    secrets: Path | None = None,
    clock: Clock = system_clock,
    certificates: Path | None = None,
    absent: frozenset[str] = frozenset(),
) -> AsyncIterator[Running]:
    """Serves until the block ends. Peers that are not given point nowhere: followers wait for them in vain."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = secrets or make_secrets(Path(scratch, "secrets"))
        everywhere = dict.fromkeys(
            ("identity", "patient_index", "records", "claims", "surveillance", "exchange", "audit"), "127.0.0.1:9"
        )
        settings = Settings(
            service=service,
            listen="127.0.0.1:0",
            metrics_listen="127.0.0.1:0",
            database_url=database_url,
            peers={**everywhere, **(peers or {})},
            secrets=folder,
            instance=f"test-{new_id()}",
            pool_size=6,
            shutdown_seconds=1.0,
            allow_development_login=True,
            certificates=certificates,
            health_listen="127.0.0.1:0" if certificates else "",
            absent=absent,
        )
        process = await start(settings, build, clock)
        await trust_test_key(process)
        channel = open_channel(process.address)
        try:
            await process.ready()
            yield Running(process, channel, settings.secret("platform_key"))
        finally:
            await channel.close()
            await process.stop()


async def trust_test_key(process: Process) -> None:
    """Makes a service accept the tokens that `Running.token` signs, as if identity had announced the key."""
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(_private_key.public_key()))
    jwk["kid"] = TEST_KEY_ID
    now = datetime.now(UTC)
    async with process.ground.database.writing() as writer:
        await writer.execute(
            keys.STORE,
            key_id=TEST_KEY_ID,
            jwk=json.dumps(jwk),
            not_before=now - timedelta(hours=1),
            not_after=now + timedelta(days=1),
        )
    await process.ground.keys.refresh()
