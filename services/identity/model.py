"""What identity speaks of. The numbers of the enums are those of the contract."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class OrganizationKind(IntEnum):
    """What sort of organisation."""

    UNSPECIFIED = 0
    HOSPITAL = 1
    HEALTH_CENTRE = 2
    CLINIC = 3
    PHARMACY = 4
    INSURER = 5
    AGENCY = 6


class PractitionerRole(IntEnum):
    """What a practitioner is licensed as; decides the scopes of their tokens."""

    DOCTOR = 1
    DENTIST = 2
    NURSE = 3
    PHARMACIST = 4
    MEDICAL_TECHNOLOGIST = 5
    PUBLIC_HEALTH_OFFICER = 6


class ConsentCategory(IntEnum):
    """Which records a decision covers."""

    GENERAL = 1
    SENSITIVE = 2


class ConsentDecision(IntEnum):
    """What the citizen decided."""

    PERMIT = 1
    DENY = 2


@dataclass(frozen=True, slots=True)
class Organization:
    """A hospital, health centre, clinic, pharmacy, insurer or agency."""

    organization_id: str
    name: str
    name_en: str
    kind: OrganizationKind
    hcode9: str
    place_code: str
    # 1 to 13; 0 where the place is not told.
    health_region: int
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in one script."""

    language: str
    prefix: str
    given: str
    family: str


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A person who treats, under a licence, at an organisation."""

    practitioner_id: str
    organization_id: str
    licence: str
    name: PersonName
    role: PractitionerRole
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A program of an organisation."""

    client_id: str
    organization_id: str
    name: str
    # Sorted, each once.
    scopes: tuple[str, ...]
    may_act_for_others: bool = False
    is_disabled: bool = False
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SecretDigest:
    """What is kept of a client's secret."""

    salt: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """A citizen's account. The number itself is not kept."""

    account_id: str
    citizen_key: str
    identifier_system: str
    # The identifier with all but its last characters covered.
    masked_value: str
    display_name: str
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """A citizen's decision about one organisation, or about all (empty `organization_id`)."""

    consent_id: str
    citizen_key: str
    organization_id: str
    category: ConsentCategory
    decision: ConsentDecision
    version: int = 0
    expires_at: datetime | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair of identity; its private half sealed."""

    key_id: str
    # The public half, RFC 8037.
    jwk: str
    sealed_private_key: bytes
    signs_from: datetime
    # Tokens signed with it are refused after this time.
    not_after: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a client id was tried in vain, and until when that counts."""

    failures: int
    window_ends_at: datetime
