"""A certificate authority of one's own, for platforms whose cluster has none: it issues each service a certificate.

authority/       current.key, current.crt; next.* while another takes over; trusted.crt is what every ca.crt says
<service>/       tls.crt, tls.key, ca.crt, as libs.runtime.certificates reads them

Another authority takes over in three steps, each of which all services must have taken in before the next: `introduce` has it
trusted beside the first, `issue` has it issue, `retire` ends the trust in the first. At no time does one service show a
certificate that another does not trust yet.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from libs.runtime.certificates import AUTHORITIES, CHAIN, KEY, name_of

LEAF_DAYS = 90
AUTHORITY_DAYS = 3650
# Clocks of two machines may differ by so much.
SKEW = timedelta(minutes=5)


class AuthorityError(Exception):
    """The step does not fit where the authority stands; the message says which would."""


@dataclass(frozen=True)
class Issuer:
    """A key that signs certificates, and the certificate that it is trusted by."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> "Issuer":
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        began = datetime.now(UTC)
        # Two authorities of one name could not be told apart by their subjects.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"NHIP services {began:%Y-%m-%dT%H:%M:%S.%f}Z")])
        builder = (
            _builder(name, key.public_key(), began, AUTHORITY_DAYS)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def read(cls, folder: Path, name: str) -> "Issuer":
        """What `write` wrote. Raises OSError."""
        key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{folder / name}.key is not a key of this program's")
        return cls(key, x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()))

    def write(self, folder: Path, name: str) -> None:
        """Keeps it under a name."""
        _replace(folder / f"{name}.key", _pem_of_key(self.key))
        _replace(folder / f"{name}.crt", self.pem)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def leaf(self, service: str) -> tuple[bytes, bytes]:
        """A key and a certificate for a service, both in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(x509.Name([]), key.public_key(), datetime.now(UTC), LEAF_DAYS)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            # Critical, as it must be where the subject is empty (RFC 5280, 4.2.1.6).
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name_of(service))]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return _pem_of_key(key), builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Authority:
    """The authority of a directory, for these services."""

    def __init__(self, folder: Path, services: Sequence[str]) -> None:
        self._folder = folder
        self._services = services
        self._own = folder / "authority"

    def make(self) -> list[str]:
        """Makes what is missing, and certificates anew that have less than a third of their time left; answers for whom."""
        self._own.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._own / "current.crt").exists():
            Issuer.new().write(self._own, "current")
        if not (self._own / "trusted.crt").exists():
            self._trust([Issuer.read(self._own, "current")])
        due = [service for service in self._services if self._is_due(service)]
        self._issue(Issuer.read(self._own, "current"), due)
        return due

    def introduce(self) -> None:
        """Has all services trust a new authority beside the present one. Raises AuthorityError."""
        current = self._current()
        if self._trusted() != 1:
            raise AuthorityError("two authorities are trusted already: `issue`, then `retire` the first")
        following = Issuer.new()
        following.write(self._own, "next")
        self._trust([current, following])

    def issue(self) -> None:
        """Has all services show certificates of the new authority. Raises AuthorityError before `introduce`."""
        self._current()
        if not (self._own / "next.crt").exists():
            raise AuthorityError("no other authority is trusted yet: `introduce` it first")
        following = Issuer.read(self._own, "next")
        self._issue(following, self._services)
        # The key last: after a break the same step is done again.
        for suffix in ("crt", "key"):
            (self._own / f"next.{suffix}").rename(self._own / f"current.{suffix}")

    def retire(self) -> None:
        """Ends the trust in the authority before. Raises AuthorityError while it still issues."""
        current = self._current()
        if (self._own / "next.crt").exists():
            raise AuthorityError("the new authority has issued nothing yet: `issue` first")
        self._trust([current])

    def _current(self) -> Issuer:
        if not (self._own / "current.crt").exists():
            raise AuthorityError(f"{self._folder} holds no authority: `make` one")
        return Issuer.read(self._own, "current")

    def _trusted(self) -> int:
        return len(x509.load_pem_x509_certificates((self._own / "trusted.crt").read_bytes()))

    def _trust(self, issuers: Sequence[Issuer]) -> None:
        trusted = b"".join(issuer.pem for issuer in issuers)
        for service in self._services:
            if (self._folder / service).exists():
                _replace(self._folder / service / AUTHORITIES, trusted)
        _replace(self._own / "trusted.crt", trusted)

    def _issue(self, issuer: Issuer, services: Sequence[str]) -> None:
        for service in services:
            folder = self._folder / service
            folder.mkdir(mode=0o700, exist_ok=True)
            key, certificate = issuer.leaf(service)
            _replace(folder / AUTHORITIES, (self._own / "trusted.crt").read_bytes())
            _replace(folder / KEY, key)
            _replace(folder / CHAIN, certificate)

    def _is_due(self, service: str) -> bool:
        path = self._folder / service / CHAIN
        if not path.exists():
            return True
        leaf = x509.load_pem_x509_certificate(path.read_bytes())
        left = leaf.not_valid_after_utc - datetime.now(UTC)
        return left < (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 3


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, began: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(began - SKEW)
        .not_valid_after(began + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.rename(path)
