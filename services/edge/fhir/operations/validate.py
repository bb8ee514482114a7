"""$validate (https://hl7.org/fhir/R4/resource-operation-validate.html): the findings, and nothing is stored.

Records says whether it would take the change that the mode names; what had better be otherwise, and what a profile asks for,
is found here.
"""

from collections.abc import Sequence
from typing import Any

import grpc
import orjson
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.issues import Issue
from libs.fhir.profiles import profile_issues
from libs.fhir.validation import validate as defects_of
from services.edge import soundjson
from services.edge.asgi import Reply
from services.edge.faults import Fault, Refusal, fault_of
from services.edge.fhir import patient, registering, single
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, read_body, require_id, require_type
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.parameters import named_once, refused
from services.edge.fhir.outcome import CONTENT_TYPE, issue, issues_of, outcome

# Faults of the resource, which are the operation's result; all others are faults of the call.
_FINDINGS = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "ABORTED"})
_CREATE, _UPDATE, _DELETE = "create", "update", "delete"
_MODES = frozenset({_CREATE, _UPDATE, _DELETE, "profile"})
_KNOWN = frozenset({"resource", "mode", "profile"})
Json = dict[str, Any]


class _Asked:
    """What is to be validated, and for what."""

    def __init__(self, body: bytes, document: Json | None, mode: str, profile: str) -> None:
        self.body = body
        self.document = document
        self.mode = mode
        self.profile = profile


async def validate(invoked: Invocation) -> Reply:
    """`POST [base]/$validate`, `[type]/$validate`, `[type]/[id]/$validate`: 200 with the findings."""
    asked = await _read(invoked)
    resource_type = invoked.resource_type or str((asked.document or {}).get("resourceType", ""))
    if asked.document is None and asked.mode != _DELETE:
        asked.body = await _stored(invoked)
        asked.document = orjson.loads(asked.body)
    found: list[Json] = []
    if asked.document is not None:
        require_type(asked.document, resource_type, resource_type or "resource")
        found += _told(_beside(asked.document, resource_type, asked.profile))
    if asked.mode != "profile":
        found = [*await _refusals(invoked, asked, resource_type), *found]
    if not any(one["severity"] == "error" for one in found):
        found.append(issue("information", "informational", "the resource is valid"))
    return Reply(200, outcome(found), CONTENT_TYPE)


async def _read(invoked: Invocation) -> _Asked:
    given = dict(pair for pair in invoked.query if pair[0] not in FORM_PARAMETERS)
    body, document = await read_body(invoked.request)
    resource: Json | None = document
    # A Parameters that is meant itself is sent to Parameters/$validate, or within another.
    if document.get("resourceType") == "Parameters" and invoked.resource_type != "Parameters":
        parameters = named_once(document)
        for name in parameters.keys() - _KNOWN:
            raise refused(f"Parameters.parameter.where(name='{name}')", "PARAMETER_UNKNOWN", ", ".join(sorted(_KNOWN)))
        given |= {
            name: str(next((value for key, value in one.items() if key.startswith("value")), ""))
            for name, one in parameters.items()
            if name != "resource"
        }
        resource = parameters.get("resource", {}).get("resource")
        body = _within(body) if isinstance(resource, dict) else b""
    for name in given.keys() - _KNOWN:
        raise refused(name, "PARAMETER_UNKNOWN", "$validate takes resource, mode and profile")
    mode = given.get("mode", _UPDATE if invoked.resource_id else _CREATE)
    if mode not in _MODES:
        raise refused("mode", "MODE_UNKNOWN", "create, update, delete or profile")
    if not isinstance(resource, dict):
        resource = None
        if not invoked.resource_id:
            violation = FieldViolation("Parameters.parameter", "RESOURCE_MISSING", "the parameter resource holds one")
            raise InvalidArgumentError("RESOURCE_MISSING", "there is nothing to validate", fields=[violation])
    return _Asked(body, resource, mode, given.get("profile", ""))


async def _stored(invoked: Invocation) -> bytes:
    message = service_pb2.ReadResourceRequest(
        type=invoked.resource_type, id=require_id(invoked.resource_type, invoked.resource_id)
    )
    response = await invoked.upstream["records.ReadResource"](message, invoked.request)
    stored: bytes = response.resource.body
    return stored


def _beside(document: Json, resource_type: str, profile: str) -> list[Issue]:
    """Warnings, and what the profile that is asked for finds in a resource that is sound otherwise."""
    found = defects_of(document, resource_type, with_warnings=True)
    is_sound = all(one.severity != "error" for one in found)
    warnings = [one for one in found if one.severity != "error"]
    return [*warnings, *(profile_issues(document, profile) if profile and is_sound else ())]


def _told(issues: Sequence[Issue]) -> list[Json]:
    return [issue(one.severity, one.code, one.description, at=one.expression) for one in issues]


async def _refusals(invoked: Invocation, asked: _Asked, resource_type: str) -> list[Json]:
    """Why records, or the patient index, would not take the change; nothing where they would."""
    try:
        if asked.mode == _CREATE:
            await _try_to_create(invoked, asked, resource_type)
        else:
            await _try_to_change(invoked, asked, resource_type)
    except (grpc.aio.AioRpcError, InvalidArgumentError, Refusal) as error:
        fault = fault_of(error)
        if fault is None or not _is_finding(fault):
            raise
        return issues_of(fault) if fault.reason != "RESOURCE_EXISTS" else []
    return []


def _is_finding(fault: Fault) -> bool:
    return fault.code in _FINDINGS or fault.reason in {"RESOURCE_EXISTS", "RESOURCE_UNKNOWN", "ORGANIZATION_FOREIGN"}


async def _try_to_create(invoked: Invocation, asked: _Asked, resource_type: str) -> None:
    message = service_pb2.CreateResourceRequest(
        type=resource_type, body=asked.body, validate_only=True, base_url=base_url(invoked.request)
    )
    if resource_type == patient.TYPE and asked.document is not None:
        registration = patient.to_registration(asked.document, patient.organization_of(invoked.request))
        message.id, _ = await registering.check(invoked.upstream, invoked.request, registration)
    await invoked.upstream["records.CreateResource"](message, invoked.request)


async def _try_to_change(invoked: Invocation, asked: _Asked, resource_type: str) -> None:
    resource_id = invoked.resource_id or str((asked.document or {}).get("id", ""))
    entry = service_pb2.TransactionEntry(
        method="DELETE" if asked.mode == _DELETE else "PUT",
        url=f"{resource_type}/{require_id(resource_type, resource_id)}",
    )
    if asked.mode == _UPDATE:
        entry.body = asked.body
    await single.carry_out(invoked.upstream, invoked.request, entry, resource_type, validate_only=True)


def _within(body: bytes) -> bytes:
    """The resource within Parameters, as it was written."""
    text = soundjson.decode_text(body)
    for name, _, begin, _ in soundjson.members(text, soundjson.first(text)):
        if name == "parameter":
            for at in soundjson.elements(text, begin):
                parts = {part: (value, start, end) for part, value, start, end in soundjson.members(text, at)}
                if parts.get("name", ("",))[0] == "resource":
                    _, start, end = parts["resource"]
                    return text[start:end].encode()
    raise AssertionError("the parser found the resource")
