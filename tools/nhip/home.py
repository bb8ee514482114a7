"""The directory of a platform on one machine, and the secrets in it.

postgres/        the embedded PostgreSQL's cluster (libs.database.embedded)
secrets/         mode 0700, each file 0600
certificates/    the same, where calls between services are secured (tools.nhip.authority)
logs/            <service>.log, supervisor.log
run/             platform.json (addresses and processes), lock (held by the supervisor while it lives)
sample/          the sample population's files
"""

import base64
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ADMIN_CLIENT = "nhip-admin"
EXCHANGE_CLIENT = "nhip-exchange"


@dataclass(frozen=True)
class Credentials:
    """How a program authenticates at the token endpoint."""

    client_id: str
    client_secret: str


@dataclass(frozen=True)
class Home:
    """The paths of one platform's directory."""

    path: Path

    @property
    def secrets(self) -> Path:
        """The directory that services read their keys from."""
        return self.path / "secrets"

    @property
    def certificates(self) -> Path:
        """The authority, and the certificates of each service."""
        return self.path / "certificates"

    @property
    def logs(self) -> Path:
        """The directory of log files."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """What is true of the running platform."""
        return self.path / "run"

    @property
    def sample(self) -> Path:
        """The sample population's files."""
        return self.path / "sample"

    def log(self, name: str) -> Path:
        """The log file of a service, of `supervisor`, or of `postgres`."""
        return self.path / "postgres.log" if name == "postgres" else self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Creates what is missing; what exists, secrets above all, stays as it is. Raises OSError."""
        for folder in (self.path, self.logs, self.run, self.sample):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        # Service-to-service tokens and page tokens; the keyed hash of citizen ids.
        for name in ("platform_key", "citizen_key"):
            self._keep_secret(name, lambda: base64.b64encode(secrets.token_bytes(32)))
        # The first administrator, whom identity creates at its start; and the client that imports act by.
        self._keep_secret("bootstrap_client", lambda: _client(ADMIN_CLIENT))
        self._keep_secret("exchange_client", lambda: _client(EXCHANGE_CLIENT))
        # Signs the checkpoints of the audit log.
        self._keep_secret("audit_key", _signing_key)

    def bootstrap_client(self) -> Credentials:
        """The first administrator's credentials. Raises FileNotFoundError before the first start."""
        return Credentials(**json.loads((self.secrets / "bootstrap_client").read_text(encoding="utf-8")))

    def client(self, client_id: str) -> Credentials:
        """The credentials of a client of the sample, made at the first asking and kept."""
        name = f"client_{client_id}"
        self._keep_secret(name, lambda: _client(client_id))
        return Credentials(**json.loads((self.secrets / name).read_text(encoding="utf-8")))

    def _keep_secret(self, name: str, make: Callable[[], bytes]) -> None:
        path = self.secrets / name
        if path.exists():
            return
        # Written aside and renamed, so that a start that was cut off never leaves half a key.
        fresh = self.secrets / f"{name}.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(make())
        fresh.rename(path)


def _client(client_id: str) -> bytes:
    return json.dumps({"client_id": client_id, "client_secret": secrets.token_urlsafe(32)}).encode()


def _signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
