"""Nouns of identity to and from the contract."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from nhip.identity.v1 import events_pb2, resources_pb2
from nhip.types.v1 import types_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.identity.model import (
    Account,
    Client,
    Consent,
    Organization,
    OrganizationKind,
    PersonName,
    Practitioner,
    PractitionerRole,
    SigningKey,
)


def moment(value: datetime | None) -> Timestamp | None:
    """A time; None where it is not told."""
    if value is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp


def expiry_from(stamp: Timestamp) -> datetime:
    """The time of a stamp, to the microsecond.

    Raises InvalidArgumentError, reason TIME_INVALID, for one outside the years 1 to 9999.
    """
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        violation = FieldViolation("expires_at", "TIME_INVALID", "not a time between the years 1 and 9999")
        raise InvalidArgumentError("TIME_INVALID", violation.description, fields=[violation]) from None


def organization_from(message: resources_pb2.Organization) -> Organization:
    """As asked for: region and time are not the caller's to say."""
    return Organization(
        message.organization_id,
        message.name,
        message.name_en,
        OrganizationKind(message.kind),
        message.hcode9,
        message.place_code,
        health_region=0,
    )


def organization(noun: Organization) -> resources_pb2.Organization:
    """As answered and announced."""
    return resources_pb2.Organization(
        organization_id=noun.organization_id,
        name=noun.name,
        name_en=noun.name_en,
        kind=int(noun.kind),  # type: ignore[arg-type]  # an enum's number
        hcode9=noun.hcode9,
        place_code=noun.place_code,
        health_region=noun.health_region,
        recorded_at=moment(noun.recorded_at),
    )


def practitioner_from(message: resources_pb2.Practitioner, practitioner_id: str) -> Practitioner:
    """As asked for, under the id that is its own."""
    name = message.name
    return Practitioner(
        practitioner_id,
        message.organization_id,
        message.licence,
        PersonName(name.language, name.prefix, name.given, name.family),
        PractitionerRole(message.role),
    )


def practitioner(noun: Practitioner) -> resources_pb2.Practitioner:
    """As answered and announced."""
    return resources_pb2.Practitioner(
        practitioner_id=noun.practitioner_id,
        organization_id=noun.organization_id,
        licence=noun.licence,
        name=types_pb2.PersonName(
            language=noun.name.language, prefix=noun.name.prefix, given=noun.name.given, family=noun.name.family
        ),
        role=int(noun.role),  # type: ignore[arg-type]  # an enum's number
        recorded_at=moment(noun.recorded_at),
    )


def client_from(message: resources_pb2.Client, scopes: tuple[str, ...]) -> Client:
    """As asked for, with the scopes as they were checked."""
    return Client(
        message.client_id,
        message.organization_id,
        message.name,
        scopes,
        message.may_act_for_others,
        message.is_disabled,
    )


def client(noun: Client) -> resources_pb2.Client:
    """As answered; nothing of the secret."""
    return resources_pb2.Client(
        client_id=noun.client_id,
        organization_id=noun.organization_id,
        name=noun.name,
        scopes=noun.scopes,
        may_act_for_others=noun.may_act_for_others,
        is_disabled=noun.is_disabled,
        recorded_at=moment(noun.recorded_at),
    )


def account(noun: Account) -> resources_pb2.Account:
    """As answered; the identifier is covered but for its end."""
    return resources_pb2.Account(
        account_id=noun.account_id,
        identifier=types_pb2.Identifier(system=noun.identifier_system, value=noun.masked_value),
        citizen_key=noun.citizen_key,
        display_name=noun.display_name,
        recorded_at=moment(noun.recorded_at),
    )


def consent(noun: Consent) -> resources_pb2.Consent:
    """As answered and announced."""
    return resources_pb2.Consent(
        consent_id=noun.consent_id,
        citizen_key=noun.citizen_key,
        organization_id=noun.organization_id,
        category=int(noun.category),  # type: ignore[arg-type]  # an enum's number
        decision=int(noun.decision),  # type: ignore[arg-type]  # an enum's number
        version=noun.version,
        recorded_at=moment(noun.recorded_at),
        expires_at=moment(noun.expires_at),
    )


def verification_key(noun: SigningKey) -> resources_pb2.VerificationKey:
    """The public half."""
    return resources_pb2.VerificationKey(
        key_id=noun.key_id,
        jwk=noun.jwk,
        not_before=moment(noun.signs_from),
        not_after=moment(noun.not_after),
        version=noun.version,
    )


def key_event(noun: SigningKey, *, is_retired: bool) -> events_pb2.KeyEvent:
    """As announced on feed `keys`."""
    return events_pb2.KeyEvent(key=verification_key(noun), is_retired=is_retired)


def organization_event(noun: Organization) -> events_pb2.IdentityEvent:
    """As announced on feed `identity`."""
    return events_pb2.IdentityEvent(organization_changed=organization(noun))


def practitioner_event(noun: Practitioner) -> events_pb2.IdentityEvent:
    """As announced on feed `identity`."""
    return events_pb2.IdentityEvent(practitioner_changed=practitioner(noun))


def consent_event(noun: Consent) -> events_pb2.IdentityEvent:
    """As announced on feed `identity`."""
    return events_pb2.IdentityEvent(consent_changed=consent(noun))
