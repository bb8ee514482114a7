"""Decisions about organisations, clients, accounts and consent."""

from dataclasses import replace
from datetime import datetime

from libs.access.caller import Caller
from libs.errors import (
    AlreadyExistsError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from libs.thai import citizen_id, identifiers, places
from services.identity.model import Client, Consent, Organization

# So many characters of an identifier are shown, if that leaves at least as many covered.
_SHOWN = 4


def with_health_region(organization: Organization) -> Organization:
    """The organisation with the health region of its place. Raises InvalidArgumentError, reason PLACE_UNKNOWN."""
    if not organization.place_code:
        return replace(organization, health_region=0)
    try:
        places.require(organization.place_code)
        region = places.health_region(organization.place_code)
    except places.PlaceError as error:
        violation = FieldViolation("organization.place_code", error.reason, str(error))
        raise InvalidArgumentError("PLACE_UNKNOWN", str(error), fields=[violation]) from None
    return replace(organization, health_region=region)


def require_same_organization(held: Organization, asked: Organization) -> None:
    """Raises AlreadyExistsError, reason ORGANIZATION_EXISTS, if the id is taken by different content."""
    if replace(held, recorded_at=None) != replace(asked, recorded_at=None):
        raise AlreadyExistsError("ORGANIZATION_EXISTS", "an organisation with this id and other content exists")


def require_same_client(held: Client, asked: Client, *, is_same_secret: bool) -> None:
    """Raises AlreadyExistsError, reason CLIENT_EXISTS, if the id is taken and content or secret differ.

    Whether it was disabled meanwhile is not content: creating it again does not enable it.
    """
    same = replace(held, recorded_at=None, is_disabled=False) == replace(asked, recorded_at=None, is_disabled=False)
    if not (same and is_same_secret):
        raise AlreadyExistsError("CLIENT_EXISTS", "a client with this id exists, with other content or another secret")


def require_own_organization(caller: Caller, organization_id: str) -> None:
    """Raises PermissionDeniedError, reason ORGANIZATION_REFUSED, for another organisation than the caller's own."""
    is_admin = caller.scopes.has_any(frozenset({"identity.admin"}))
    if not is_admin and caller.organization_id != organization_id:
        raise PermissionDeniedError("ORGANIZATION_REFUSED", "this is another organisation's matter")


def organization_unknown() -> NotFoundError:
    """There is no such organisation."""
    return NotFoundError("ORGANIZATION_UNKNOWN", "there is no organisation with this id")


def sound_identifier(system: str, value: str) -> tuple[str, str]:
    """System and value of an identifier as the platform spells them.

    Raises InvalidArgumentError, reason CITIZEN_ID_INVALID for a citizen id that is none, IDENTIFIER_INVALID for blanks.
    """
    system = identifiers.normalize(system)
    if system != identifiers.CITIZEN_ID:
        if not value.strip():
            raise _invalid("IDENTIFIER_INVALID", "identifier.value", "an identifier is not blank")
        return system, value.strip()
    value = citizen_id.normalize(value)
    try:
        return system, citizen_id.require_valid(value)
    except citizen_id.CitizenIdError as error:
        violation = FieldViolation("identifier.value", error.reason, str(error))
        raise InvalidArgumentError("CITIZEN_ID_INVALID", str(error), fields=[violation]) from None


def masked(value: str) -> str:
    """The value with all but its last four characters covered; wholly covered where that would show half of it."""
    shown = _SHOWN if len(value) >= 2 * _SHOWN else 0
    return "•" * (len(value) - shown) + value[len(value) - shown :]


def require_citizen(caller: Caller) -> str:
    """The citizen's key. Raises PermissionDeniedError, reason CITIZEN_ONLY: nobody consents for somebody else."""
    if not caller.is_citizen or not caller.citizen_key:
        raise PermissionDeniedError("CITIZEN_ONLY", "only the citizen decides about their own consent")
    return caller.citizen_key


def require_future(expires_at: datetime | None, now: datetime) -> None:
    """Raises InvalidArgumentError, reason EXPIRY_PAST."""
    if expires_at is not None and expires_at <= now:
        raise _invalid("EXPIRY_PAST", "expires_at", "a decision cannot end before it begins")


def is_same_decision(held: Consent | None, asked: Consent) -> bool:
    """True if what the citizen asks for is what already holds."""
    return held is not None and (held.decision, held.expires_at) == (asked.decision, asked.expires_at)


def _invalid(reason: str, field: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, message, fields=[FieldViolation(field, reason, message)])
