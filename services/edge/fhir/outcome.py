"""Faults as OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html)."""

from collections.abc import Sequence
from typing import Any

import orjson

from libs.errors import FieldViolation
from services.edge.asgi import Reply
from services.edge.faults import Fault
from services.edge.problems import TYPE_ROOT, headers_of, status_of

CONTENT_TYPE = b"application/fhir+json; charset=utf-8"
REASONS = TYPE_ROOT.rstrip("/")
# Reasons whose status FHIR's own rules decide.
_STATUS = {
    "RESOURCE_DELETED": 410,
    "VERSION_CONFLICT": 412,
    "MULTIPLE_MATCHES": 412,
    "ALLERGY_CONFLICT": 422,
    "REFERENCE_UNKNOWN": 422,
    "PATCH_REFUSED": 422,
}
# Codes of http://hl7.org/fhir/issue-type.
_ISSUE_BY_REASON = {
    "RESOURCE_DELETED": "deleted",
    "VERSION_CONFLICT": "conflict",
    "MULTIPLE_MATCHES": "multiple-matches",
    "ALLERGY_CONFLICT": "business-rule",
    "REFERENCE_UNKNOWN": "not-found",
    "JSON_MALFORMED": "structure",
    "JSON_DUPLICATE_KEY": "structure",
    "TOKEN_MISSING": "login",
    "TOKEN_EXPIRED": "expired",
    "CONSENT_REFUSED": "suppressed",
    "METHOD_NOT_ALLOWED": "not-supported",
    "TYPE_UNKNOWN": "not-supported",
    "NOT_ACCEPTABLE": "not-supported",
    "BODY_TOO_LARGE": "too-long",
}
_ISSUE_BY_CODE = {
    "INVALID_ARGUMENT": "invalid",
    "UNAUTHENTICATED": "login",
    "PERMISSION_DENIED": "forbidden",
    "NOT_FOUND": "not-found",
    "ALREADY_EXISTS": "duplicate",
    "ABORTED": "conflict",
    "FAILED_PRECONDITION": "processing",
    "OUT_OF_RANGE": "value",
    "RESOURCE_EXHAUSTED": "throttled",
    "UNIMPLEMENTED": "not-supported",
    "UNAVAILABLE": "transient",
    "CANCELLED": "transient",
    "DEADLINE_EXCEEDED": "timeout",
}


def fhir_status_of(fault: Fault) -> int:
    """The HTTP status under /fhir/R4."""
    return fault.status or _STATUS.get(fault.reason, 0) or status_of(fault)


def issue(severity: str, code: str, diagnostics: str, *reasons: str, at: str = "") -> dict[str, Any]:
    """One OperationOutcome.issue; `at` is a FHIRPath expression or the name of a parameter."""
    found: dict[str, Any] = {"severity": severity, "code": code}
    if reasons:
        found["details"] = {"coding": [{"system": REASONS, "code": reason} for reason in dict.fromkeys(reasons)]}
    found["diagnostics"] = diagnostics
    if at:
        found["expression"] = [at]
    return found


def issues_of(fault: Fault) -> list[dict[str, Any]]:
    """One issue for each field, or one for the whole."""
    code = _ISSUE_BY_REASON.get(fault.reason) or _ISSUE_BY_CODE.get(fault.code, "exception")
    if not fault.fields:
        return [issue("error", code, fault.message, fault.reason)]
    return [_field_issue(code, fault, violation) for violation in fault.fields]


def outcome(issues: Sequence[dict[str, Any]]) -> bytes:
    """An OperationOutcome resource."""
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": list(issues)})


def refusal(fault: Fault) -> Reply:
    """The fault as a reply."""
    status = fhir_status_of(fault)
    return Reply(status, outcome(issues_of(fault)), CONTENT_TYPE, headers_of(fault, status))


def information(text: str) -> bytes:
    """An OperationOutcome that says that all is well."""
    return outcome([issue("information", "informational", text)])


def _field_issue(code: str, fault: Fault, violation: FieldViolation) -> dict[str, Any]:
    """Records gives each violation FHIR's own code; everybody else a reason."""
    text = violation.description or fault.message
    if violation.reason.islower():
        return issue("error", violation.reason, text, fault.reason, at=violation.field)
    reasons = (fault.reason, violation.reason) if violation.reason else (fault.reason,)
    return issue("error", code, text, *reasons, at=violation.field)
