"""What a token may say, and for how long."""

from datetime import datetime, timedelta

from nhip.types.v1.types_pb2 import PurposeOfUse

from libs.access.caller import (
    EMERGENCY,
    OPERATIONS,
    PATIENT_REQUEST,
    PAYMENT,
    PUBLIC_HEALTH,
    TREATMENT,
    CallerKind,
)
from libs.errors import FieldViolation, InvalidArgumentError, ResourceExhaustedError, UnauthenticatedError
from services.identity.model import Attempts

CLIENT_CREDENTIALS = "client_credentials"
DEVELOPMENT_LOGIN = "urn:nhip:grant:development-login"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 a grant's name (RFC 8693)

_UNSPECIFIED = PurposeOfUse.PURPOSE_OF_USE_UNSPECIFIED
_PURPOSES = {
    CallerKind.CITIZEN: frozenset({PATIENT_REQUEST}),
    # Who treats may break the glass; a token without a purpose serves where none is asked for.
    CallerKind.PRACTITIONER: frozenset({_UNSPECIFIED, TREATMENT, EMERGENCY, PAYMENT, PUBLIC_HEALTH, OPERATIONS}),
    # A program cannot judge an emergency, and is nobody's self.
    CallerKind.CLIENT: frozenset(PurposeOfUse.values()) - {EMERGENCY, PATIENT_REQUEST},
}

# Tokens cannot be called back one by one, so they live for minutes. A person stays at a screen; a program asks again
# without being seen; what broke the glass is kept shortest.
PERSON_LIFETIME = timedelta(minutes=15)
CLIENT_LIFETIME = timedelta(minutes=10)
EMERGENCY_LIFETIME = timedelta(minutes=10)
LONGEST_LIFETIME = max(PERSON_LIFETIME, CLIENT_LIFETIME, EMERGENCY_LIFETIME)

# A program that is set up wrongly tries a few times before somebody looks; nobody guesses 24 characters at this pace.
FAILURES_ALLOWED = 10
FAILURE_WINDOW = timedelta(seconds=60)


def purpose_of(kind: CallerKind, purpose: int, reason: str) -> int:
    """The purpose that the token states: the one asked for, and a citizen's own request where a citizen names none.

    Raises InvalidArgumentError, reasons PURPOSE_REFUSED, REASON_REQUIRED.
    """
    if kind is CallerKind.CITIZEN and purpose == _UNSPECIFIED:
        return PATIENT_REQUEST
    if purpose not in _PURPOSES[kind]:
        raise _invalid("PURPOSE_REFUSED", "purpose", f"a token of a {kind.value} does not state this purpose of use")
    if purpose == EMERGENCY and not reason.strip():
        raise _invalid("REASON_REQUIRED", "reason", "whoever breaks the glass says why")
    return purpose


def lifetime(kind: CallerKind, purpose: int) -> timedelta:
    """How long a token lives."""
    if purpose == EMERGENCY:
        return EMERGENCY_LIFETIME
    return CLIENT_LIFETIME if kind is CallerKind.CLIENT else PERSON_LIFETIME


def is_citizen_login(licence: str, organization_id: str, citizen_id: str) -> bool:
    """True for a citizen's login, False for a practitioner's.

    Raises InvalidArgumentError, reason LOGIN_INCOMPLETE, for neither or both.
    """
    if citizen_id and not licence:
        return True
    if licence and organization_id and not citizen_id:
        return False
    raise _invalid(
        "LOGIN_INCOMPLETE", "licence", "a login names a licence and its organisation, or a citizen id, and not both"
    )


def require_grant(grant_type: str, *, development_login: bool) -> None:
    """Raises InvalidArgumentError, reason GRANT_UNSUPPORTED, for a grant that this deployment does not give."""
    supported = {CLIENT_CREDENTIALS, TOKEN_EXCHANGE} | ({DEVELOPMENT_LOGIN} if development_login else set())
    if grant_type not in supported:
        raise _invalid("GRANT_UNSUPPORTED", "grant_type", "this deployment does not give tokens for this grant")


def require_attempt(attempts: Attempts | None, now: datetime) -> None:
    """Raises ResourceExhaustedError, reason ATTEMPTS_EXHAUSTED, while too many failed attempts stand against a client.

    The right secret is refused as well, or guessing would go on. The pause is short, so that a stranger who fails on
    purpose holds a client up for a minute at most at a time.
    """
    if attempts is None or attempts.failures < FAILURES_ALLOWED or now >= attempts.window_ends_at:
        return
    raise ResourceExhaustedError(
        "ATTEMPTS_EXHAUSTED",
        "too many attempts with a wrong secret; try again later",
        retry_after_seconds=(attempts.window_ends_at - now).total_seconds(),
    )


def client_unknown() -> UnauthenticatedError:
    """One answer to an unknown client, a disabled one and a wrong secret."""
    return UnauthenticatedError("CLIENT_UNKNOWN", "the client is not known, or the secret is not its own")


def login_unknown() -> UnauthenticatedError:
    """One answer to an unknown practitioner and an unknown citizen."""
    return UnauthenticatedError("LOGIN_UNKNOWN", "nobody is known by this login")


def _invalid(reason: str, field: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, message, fields=[FieldViolation(field, reason, message)])
