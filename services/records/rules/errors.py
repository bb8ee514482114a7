"""The ways in which records refuses, one function each, so that the words are the same on every path."""

from collections.abc import Sequence

from libs.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from libs.fhir.issues import BUSINESS_RULE, INVALID, NOT_FOUND, Issue


def at(place: str, resource_type: str, expression: str = "") -> str:
    """An expression from where the resource stands: `Observation.subject`, `Bundle.entry[3].resource.subject`."""
    root = place or resource_type
    return f"{root}.{expression}" if expression else root


def resource_invalid(issues: Sequence[Issue], place: str, resource_type: str) -> InvalidArgumentError:
    """What validation found, each with its expression."""
    violations = []
    for issue in issues:
        expression = issue.expression
        if place:
            # `Observation.status` of entry 3 is `Bundle.entry[3].resource.status`.
            inner = expression.removeprefix(resource_type).removeprefix(".")
            expression = at(place, resource_type, inner)
        violations.append(FieldViolation(expression or resource_type, issue.code, issue.description))
    first = violations[0]
    return InvalidArgumentError("RESOURCE_INVALID", f"{first.field}: {first.description}", fields=violations)


def resource_unknown(resource_type: str, place: str = "", *, is_refusal: bool = False) -> NotFoundError:
    """There is none, or none that the caller may see: the same words for both."""
    fields = [FieldViolation(place, NOT_FOUND, "there is no such resource")] if place else []
    return NotFoundError("RESOURCE_UNKNOWN", f"there is no such {resource_type}", fields=fields, is_refusal=is_refusal)


def resource_deleted(resource_type: str, version: int, place: str = "") -> NotFoundError:
    """There was one; its history stays."""
    fields = [FieldViolation(place, "deleted", "the resource was deleted")] if place else []
    message = f"the {resource_type} was deleted"
    return NotFoundError("RESOURCE_DELETED", message, fields=fields, metadata={"version": str(version)})


def resource_exists(resource_type: str, place: str) -> AlreadyExistsError:
    """The id is taken."""
    message = f"there is a {resource_type} with this id already"
    return AlreadyExistsError(
        "RESOURCE_EXISTS", message, fields=[FieldViolation(at(place, resource_type, "id"), "duplicate", message)]
    )


def version_conflict(resource_type: str, current: int, place: str) -> AbortedError:
    """Somebody else changed it first."""
    message = f"the {resource_type} is not at the version that was expected; it stands at {current}"
    fields = [FieldViolation(place, "conflict", message)] if place else []
    return AbortedError("VERSION_CONFLICT", message, fields=fields, metadata={"version": str(current)})


def organization_foreign(place: str, resource_type: str, expression: str = "") -> PermissionDeniedError:
    """It is, or is about, another organisation's."""
    message = "only the organisation that registered the person files for that registration"
    field = FieldViolation(at(place, resource_type, expression), "forbidden", message)
    return PermissionDeniedError("ORGANIZATION_FOREIGN", message, fields=[field])


def reference_unknown(place: str, resource_type: str, expression: str) -> FailedPreconditionError:
    """A reference to a resource that is not here, or that the caller may not see."""
    where = at(place, resource_type, expression)
    message = "the reference points at no resource that is known here"
    return FailedPreconditionError(
        "REFERENCE_UNKNOWN", f"{where}: {message}", fields=[FieldViolation(where, NOT_FOUND, message)]
    )


def multiple_matches(where: str) -> FailedPreconditionError:
    """A condition that should name one resource names several."""
    message = "more than one resource matches the condition"
    return FailedPreconditionError(
        "MULTIPLE_MATCHES", message, fields=[FieldViolation(where, "multiple-matches", message)]
    )


def id_not_given(resource_type: str, place: str) -> InvalidArgumentError:
    """A creation under an id of the caller's own choice."""
    return resource_invalid([Issue(f"{resource_type}.id", INVALID, "the server gives the id")], place, resource_type)


def patch_invalid(issue: Issue, place: str) -> InvalidArgumentError:
    """What was sent is no patch. The place is one within the patch."""
    field = FieldViolation(at(place, "Patch", issue.expression), issue.code, issue.description)
    return InvalidArgumentError("PATCH_INVALID", f"{field.field}: {issue.description}", fields=[field])


def patch_refused(issue: Issue, place: str) -> FailedPreconditionError:
    """The patch does not fit the resource as it is: a path that leads nowhere, a test that fails."""
    field = FieldViolation(at(place, "Patch", issue.expression), issue.code, issue.description)
    return FailedPreconditionError("PATCH_REFUSED", f"{field.field}: {issue.description}", fields=[field])


def registration_changed(place: str, resource_type: str) -> FailedPreconditionError:
    """A resource stays with the registration that it was filed under."""
    message = "a resource stays with the person it was filed for; enter it in error there, and file it anew"
    field = FieldViolation(at(place, resource_type), BUSINESS_RULE, message)
    return FailedPreconditionError("REGISTRATION_CHANGED", message, fields=[field])


def allergy_conflict(where: str, allergy: str, group: str) -> FailedPreconditionError:
    """A drug order against a known allergy. Says which allergy, and which class of drugs it is about, no more."""
    message = (
        f"the person has an allergy on record to {group}"
        if group
        else "the person has an allergy on record to this drug"
    )
    return FailedPreconditionError(
        "ALLERGY_CONFLICT",
        message,
        fields=[FieldViolation(where, BUSINESS_RULE, message)],
        metadata={"allergy": allergy, "group": group},
    )


def search_invalid(parameter: str, description: str) -> InvalidArgumentError:
    """A search that is not understood, with the parameter that is not."""
    message = f"{parameter}: {description}"
    return InvalidArgumentError("SEARCH_INVALID", message, fields=[FieldViolation(parameter, "invalid", description)])
