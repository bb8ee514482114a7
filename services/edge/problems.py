"""Faults as RFC 9457 problem details, and the HTTP status of each kind."""

import math
from http import HTTPStatus
from typing import Any

import orjson

from services.edge.asgi import Header, Reply
from services.edge.faults import Fault

TYPE_ROOT = "https://nhip.th/problems/"
CONTENT_TYPE = b"application/problem+json"
STATUS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 409,
    "OUT_OF_RANGE": 400,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    # The service or its caller gave up; the same request may succeed.
    "CANCELLED": 503,
}
TOO_LARGE = "_TOO_LARGE"


def status_of(fault: Fault) -> int:
    """The HTTP status under /v1."""
    if fault.status:
        return fault.status
    if fault.code == "RESOURCE_EXHAUSTED":
        if fault.reason.endswith(TOO_LARGE):
            return 413
        if fault.reason == "STORAGE_FULL":
            return 507
    return STATUS.get(fault.code, 500)


def headers_of(fault: Fault, status: int) -> list[Header]:
    """What HTTP says in headers: how to authenticate, when to try again."""
    headers = list(fault.headers)
    if status == HTTPStatus.UNAUTHORIZED and not any(name == b"www-authenticate" for name, _ in headers):
        challenge = b'Bearer realm="nhip"'
        if fault.reason != "TOKEN_MISSING":
            challenge += b', error="invalid_token"'
        headers.append((b"www-authenticate", challenge))
    if fault.retry_after_seconds is not None or status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(max(1, math.ceil(fault.retry_after_seconds or 1))).encode()))
    headers.append((b"cache-control", b"no-store"))
    return headers


def title_of(reason: str) -> str:
    """`CITIZEN_ID_INVALID` as `Citizen id invalid`."""
    return reason.replace("_", " ").capitalize()


def problem(fault: Fault, trace_id: str) -> Reply:
    """The fault as problem+json."""
    status = status_of(fault)
    document: dict[str, Any] = {
        "type": TYPE_ROOT + fault.reason.lower().replace("_", "-"),
        "title": title_of(fault.reason),
        "status": status,
        "detail": fault.message,
        "instance": f"urn:nhip:trace:{trace_id}",
        "reason": fault.reason,
    }
    if fault.fields:
        document["errors"] = [
            {"field": violation.field, "reason": violation.reason, "detail": violation.description}
            for violation in fault.fields
        ]
    if fault.metadata:
        document["metadata"] = dict(fault.metadata)
    return Reply(status, orjson.dumps(document), CONTENT_TYPE, headers_of(fault, status))
