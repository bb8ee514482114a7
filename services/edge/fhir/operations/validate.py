"""$validate (https://hl7.org/fhir/R4/resource-operation-validate.html): the findings, and nothing is stored."""

from typing import Any

import grpc
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge import soundjson
from services.edge.asgi import Reply
from services.edge.faults import fault_of
from services.edge.fhir import patient, registering
from services.edge.fhir.interaction import read_body, require_type
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.parameters import named_once
from services.edge.fhir.outcome import CONTENT_TYPE, information, issues_of, outcome

# Faults of the resource, which are the operation's result; all others are faults of the call.
_FINDINGS = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION"})


async def validate(invoked: Invocation) -> Reply:
    """`POST [type]/$validate`: 200 with the findings."""
    upstream, request, resource_type = invoked.upstream, invoked.request, invoked.resource_type
    body, document = await read_body(request)
    if document.get("resourceType") == "Parameters" and resource_type != "Parameters":
        body, document = _wrapped(body, document)
    require_type(document, resource_type, resource_type)
    message = service_pb2.CreateResourceRequest(type=resource_type, body=body, validate_only=True)
    if resource_type == patient.TYPE:
        registration = patient.to_registration(document, patient.organization_of(request))
        message.id, _ = await registering.check(upstream, request, registration)
    try:
        await upstream["records.CreateResource"](message, request)
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        if fault is None or fault.code not in _FINDINGS:
            if fault is not None and fault.reason == "RESOURCE_EXISTS":
                return Reply(200, information("the resource is valid"), CONTENT_TYPE)
            raise
        return Reply(200, outcome(issues_of(fault)), CONTENT_TYPE)
    return Reply(200, information("the resource is valid"), CONTENT_TYPE)


def _wrapped(body: bytes, document: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The resource within Parameters, as it was written."""
    parameters = named_once(document)
    for name in parameters.keys() - {"resource", "mode"}:
        violation = FieldViolation(
            f"Parameters.parameter.where(name='{name}')", "PARAMETER_UNKNOWN", "resource and mode are known"
        )
        raise InvalidArgumentError("PARAMETER_UNKNOWN", "an unknown parameter of $validate", fields=[violation])
    if parameters.get("mode", {}).get("valueCode", "create") not in {"create", "update"}:
        violation = FieldViolation("Parameters.parameter.where(name='mode')", "MODE_UNKNOWN", "create or update")
        raise InvalidArgumentError("MODE_UNKNOWN", "mode is create or update", fields=[violation])
    resource = parameters.get("resource", {}).get("resource")
    if not isinstance(resource, dict):
        violation = FieldViolation(
            "Parameters.parameter", "RESOURCE_MISSING", "the parameter resource holds a resource"
        )
        raise InvalidArgumentError("RESOURCE_MISSING", "there is nothing to validate", fields=[violation])
    text = soundjson.decode_text(body)
    for name, _, begin, _ in soundjson.members(text, soundjson.first(text)):
        if name == "parameter":
            for at in soundjson.elements(text, begin):
                parts = {part: (value, start, end) for part, value, start, end in soundjson.members(text, at)}
                if parts.get("name", ("",))[0] == "resource":
                    _, start, end = parts["resource"]
                    return text[start:end].encode(), resource
    raise AssertionError("the parser found the resource")
