"""The certificate by which a process shows itself to others, and the authorities by which it knows them.

A directory holds `tls.crt` (leaf first), `tls.key` and `ca.crt` (one authority or several), as a Secret of type kubernetes.io/tls
is mounted. Whoever changes the files changes what the next handshake shows: nothing is started anew. A service is known by the
name `<service>.nhip.internal` (RFC 9525, DNS-ID), wherever it runs.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Counter, Gauge

CHAIN, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
DOMAIN = "nhip.internal"
# A mounted Secret is itself up to a minute late.
GLANCE_SECONDS = 2.0

NOT_AFTER = Gauge(
    "nhip_tls_not_after_seconds",
    "When the certificate that is shown, and the first of the authorities that are trusted, end; seconds since 1970.",
    ["certificate"],
)
RELOADS = Counter("nhip_tls_reloads_total", "Changed certificates that were taken into use, or refused.", ["outcome"])
log = logging.getLogger(__name__)


class CertificateError(Exception):
    """The certificates cannot be used; the message names the file and what is wrong with it."""


def name_of(service: str) -> str:
    """The name that a service's certificate carries, such as patient-index.nhip.internal."""
    return f"{service.replace('_', '-')}.{DOMAIN}"


def services_of(names: Iterable[bytes]) -> set[str]:
    """The services that the names of a verified certificate stand for."""
    suffix = f".{DOMAIN}".encode()
    return {name.removesuffix(suffix).decode().replace("-", "_") for name in names if name.endswith(suffix)}


@dataclass(frozen=True, slots=True)
class Material:
    """What was read from the three files at one time; sound together."""

    chain: bytes
    key: bytes
    authorities: bytes
    not_after: datetime
    authorities_not_after: datetime

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For channels: shows our certificate, and demands one of the authorities'."""
        return grpc.ssl_channel_credentials(self.authorities, self.key, self.chain)

    def server_configuration(self) -> grpc.ServerCertificateConfiguration:
        """For servers: the same."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.chain)], self.authorities)


def read(folder: Path, service: str) -> Material:
    """Reads the three files. Raises CertificateError where they are not sound together, or not the service's."""
    texts = {}
    for name in (CHAIN, KEY, AUTHORITIES):
        try:
            texts[name] = (folder / name).read_bytes()
        except OSError as error:
            raise CertificateError(f"{folder / name} cannot be read: {error.strerror}") from error
    leaf = _certificates(folder / CHAIN, texts[CHAIN])[0]
    authorities = _certificates(folder / AUTHORITIES, texts[AUTHORITIES])
    try:
        key = load_pem_private_key(texts[KEY], None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{folder / KEY} holds no private key in PEM without a password") from error
    # Also what is seen while the files are being changed one after the other: the next look finds them together.
    if key.public_key() != leaf.public_key():
        raise CertificateError(f"{folder / KEY} is not the key of {folder / CHAIN}")
    if name_of(service) not in _names(leaf):
        raise CertificateError(f"{folder / CHAIN} is not for {name_of(service)}")
    return Material(
        texts[CHAIN],
        texts[KEY],
        texts[AUTHORITIES],
        leaf.not_valid_after_utc,
        min(one.not_valid_after_utc for one in authorities),
    )


def _certificates(path: Path, text: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate in PEM") from error


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


class Certificates:
    """The certificates of this process, as they are now."""

    def __init__(self, folder: Path, service: str) -> None:
        """Raises CertificateError."""
        self._folder = folder
        self._service = service
        self._seen = self._stamp()
        self._kept: list[grpc.ServerCredentials] = []
        self._listeners: list[Callable[[], None]] = []
        self.current = read(folder, service)
        _tell(self.current)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls `listener`, in the event loop, whenever `current` has become another."""
        self._listeners.append(listener)

    def server_credentials(self) -> grpc.ServerCredentials:
        """For one server: each handshake shows what is current, and refuses a peer without a certificate."""
        shown = self.current

        def newest() -> grpc.ServerCertificateConfiguration | None:
            # Asked at each handshake, by a thread of gRPC's; None is: as before.
            nonlocal shown
            if shown is self.current:
                return None
            shown = self.current
            return shown.server_configuration()

        credentials = grpc.dynamic_ssl_server_credentials(
            shown.server_configuration(),
            newest,  # type: ignore[arg-type]  # the stubs forget that None is an answer
            require_client_authentication=True,
        )
        # The server of gRPC's core holds a bare pointer to it.
        self._kept.append(credentials)
        return credentials

    def refresh(self) -> bool:
        """Reads the files if they have changed; whether they were taken into use. What is not sound changes nothing."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        # Told once for each change.
        self._seen = stamp
        try:
            material = read(self._folder, self._service)
        except CertificateError as error:
            RELOADS.labels("refused").inc()
            log.warning("the changed certificates are not used: %s", error)
            return False
        if material == self.current:
            return False
        self.current = material
        _tell(material)
        RELOADS.labels("taken").inc()
        log.info("certificates changed; ours holds until %s", material.not_after.isoformat())
        for listener in self._listeners:
            listener()
        return True

    async def watch(self) -> None:
        """Refreshes, until cancelled."""
        while True:
            await asyncio.sleep(GLANCE_SECONDS)
            self.refresh()

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        # The inode too: a mounted Secret changes by another directory in place of the one before. And the time of the last
        # change of any kind, a permission's too.
        found = []
        for name in (CHAIN, KEY, AUTHORITIES):
            try:
                status = (self._folder / name).stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((status.st_ino, status.st_ctime_ns, status.st_size))
        return tuple(found)


def _tell(material: Material) -> None:
    NOT_AFTER.labels("own").set(material.not_after.timestamp())
    NOT_AFTER.labels("authorities").set(material.authorities_not_after.timestamp())
