"""Operations (https://hl7.org/fhir/R4/operations.html): Patient/$match and $validate."""

from typing import Any

import grpc
import orjson
from nhip.patient_index.v1 import resources_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge import soundjson
from services.edge.asgi import Reply, Request
from services.edge.faults import fault_of
from services.edge.fhir import bundle, patient, registering
from services.edge.fhir.interaction import base_url, read_body, require_type
from services.edge.fhir.outcome import CONTENT_TYPE, information, issues_of, outcome
from services.edge.upstream import Upstream

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MAX_MATCHES = 50
# Faults of the resource, which $validate answers as its result; all others are faults of the call.
_FINDINGS = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION"})
_GRADES = {
    resources_pb2.MATCH_GRADE_CERTAIN: "certain",
    resources_pb2.MATCH_GRADE_PROBABLE: "probable",
    resources_pb2.MATCH_GRADE_POSSIBLE: "possible",
}


async def match(upstream: Upstream, request: Request) -> Reply:
    """`POST Patient/$match` (https://hl7.org/fhir/R4/patient-operation-match.html)."""
    _, document = await read_body(request)
    parameters = _parameters(document)
    wanted = require_type(
        parameters.get("resource", {}).get("resource"),
        patient.TYPE,
        "Parameters.parameter.where(name='resource').resource",
    )
    registration = patient.demographics(wanted)
    registration.identifiers.extend(patient.numbers_of(wanted)[: patient.MAX_IDENTIFIERS])
    count = parameters.get("count", {}).get("valueInteger", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        violation = FieldViolation("Parameters.parameter.where(name='count')", "COUNT_INVALID", "a positive integer")
        raise InvalidArgumentError("COUNT_INVALID", "count is a positive integer", fields=[violation])
    message = patient_index_pb2.MatchRequest(
        registration=registration,
        limit=min(count, MAX_MATCHES),
        only_certain=parameters.get("onlyCertainMatches", {}).get("valueBoolean") is True,
    )
    response = await upstream["patient_index.Match"](message, request)
    base = base_url(request)
    entries = [_candidate(base, candidate) for candidate in response.candidates]
    return Reply(200, bundle.assemble("searchset", [], entries, len(entries)), CONTENT_TYPE)


async def validate(upstream: Upstream, request: Request, resource_type: str) -> Reply:
    """`POST [type]/$validate` (https://hl7.org/fhir/R4/resource-operation-validate.html): 200 with the findings."""
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
    parameters = _parameters(document)
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


def _parameters(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    require_type(document, "Parameters", "Parameters")
    listed = document.get("parameter")
    found: dict[str, dict[str, Any]] = {}
    for parameter in listed if isinstance(listed, list) else []:
        if isinstance(parameter, dict) and isinstance(parameter.get("name"), str):
            if parameter["name"] in found:
                violation = FieldViolation("Parameters.parameter", "PARAMETER_REPEATED", "each parameter stands once")
                raise InvalidArgumentError("PARAMETER_REPEATED", "a parameter stands twice", fields=[violation])
            found[parameter["name"]] = parameter
    return found


def _candidate(base: str, candidate: resources_pb2.Candidate) -> bytes:
    found = candidate.registration
    grade = _GRADES.get(candidate.grade, "certainly-not")
    return orjson.dumps(
        {
            "fullUrl": f"{base}/{patient.TYPE}/{found.registration_id}",
            "resource": patient.to_patient(found),
            "search": {
                "extension": [{"url": MATCH_GRADE, "valueCode": grade}],
                "mode": "match",
                "score": round(candidate.probability, 6),
            },
        }
    )
