"""Errors as facts: a kind, a reason, a safe message and safe metadata.

Raised anywhere; turned into `google.rpc.Status` once, by the errors interceptor; rendered at the edge. Messages and
metadata never hold personal data: they name places (fields, lines, rules), not values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

DOMAIN = "nhip.th"


class Kind(Enum):
    """What went wrong, by the name of its gRPC status code."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one place of the input."""

    # A path as the caller wrote it: `registration.birth_date`, or FHIRPath: `Observation.value.ofType(Quantity)`.
    field: str
    reason: str
    description: str


class NhipError(Exception):
    """The base of every error that a caller may learn of."""

    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        fields: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
        is_refusal: bool = False,
    ) -> None:
        """`reason` is UPPER_SNAKE_CASE and stable; clients decide by it. `message` is for a reader.

        `is_refusal`: the audit log is to know that the caller was refused, although the caller learns something else, such
        as that there is no such thing.
        """
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields = tuple(fields)
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds
        self.is_refusal = is_refusal


class InvalidArgumentError(NhipError):
    """The input is wrong, whatever the state."""

    kind = Kind.INVALID_ARGUMENT


class NotFoundError(NhipError):
    """There is no such thing, or none that the caller may see."""

    kind = Kind.NOT_FOUND


class AlreadyExistsError(NhipError):
    """The name is taken by something else."""

    kind = Kind.ALREADY_EXISTS


class FailedPreconditionError(NhipError):
    """The state does not allow it; trying again alone does not help."""

    kind = Kind.FAILED_PRECONDITION


class AbortedError(NhipError):
    """Somebody else was faster; read again and retry."""

    kind = Kind.ABORTED


class OutOfRangeError(NhipError):
    """Past the end, or before the beginning, of what is kept."""

    kind = Kind.OUT_OF_RANGE


class PermissionDeniedError(NhipError):
    """The caller is known and may not."""

    kind = Kind.PERMISSION_DENIED


class UnauthenticatedError(NhipError):
    """It is not known who calls."""

    kind = Kind.UNAUTHENTICATED


class ResourceExhaustedError(NhipError):
    """Too much, too large, or too fast."""

    kind = Kind.RESOURCE_EXHAUSTED


class DeadlineExceededError(NhipError):
    """No time is left to answer."""

    kind = Kind.DEADLINE_EXCEEDED


class UnavailableError(NhipError):
    """Not now; the same call may succeed later."""

    kind = Kind.UNAVAILABLE


class UnimplementedError(NhipError):
    """The platform does not do this."""

    kind = Kind.UNIMPLEMENTED
