"""Codes in parameters: a code with its system, a Coding, a CodeableConcept."""

import orjson
from nhip.records.v1 import service_pb2, terminology_pb2

from services.edge.fhir.interaction import require_id
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.parameters import Arguments, Json, refused

MAX_CODES = 50


def codes_asked(
    arguments: Arguments, code: str = "code", concept: str = "codeableConcept"
) -> list[terminology_pb2.CodeAsked]:
    """The codes that are asked about. Raises InvalidArgumentError, reason PARAMETER_MISSING."""
    whole = arguments.object(concept)
    coding = arguments.object("coding")
    if whole is not None:
        listed = whole.get("coding", [])
    elif coding is not None:
        listed = [coding]
    else:
        given = {name: arguments.text(name) for name in ("system", "version", "display")}
        listed = [{**given, "code": arguments.text(code)}]
    found = [_asked(one, concept) for one in listed if isinstance(one, dict) and one.get("code")]
    if not found or len(found) > MAX_CODES:
        raise refused(code, "PARAMETER_MISSING", f"{code} with system, coding or {concept} belongs here")
    return found


def _asked(coding: Json, where: str) -> terminology_pb2.CodeAsked:
    values = {name: coding.get(name, "") for name in ("system", "version", "code", "display")}
    if not all(isinstance(one, str) for one in values.values()):
        raise refused(where, "PARAMETER_INVALID", "a coding belongs here")
    return terminology_pb2.CodeAsked(**values)


def value_set_of(invoked: Invocation, arguments: Arguments) -> terminology_pb2.ValueSetChoice | None:
    """The value set that is meant: the instance, a URL, or one that is sent along; None where none is named."""
    if invoked.resource_id:
        return terminology_pb2.ValueSetChoice(id=require_id("ValueSet", invoked.resource_id))
    inline = arguments.object("valueSet")
    if inline is not None:
        if inline.get("resourceType") != "ValueSet":
            raise refused("valueSet", "PARAMETER_INVALID", "a ValueSet belongs here")
        return terminology_pb2.ValueSetChoice(inline=orjson.dumps(inline))
    url = arguments.text("url")
    version = arguments.text("valueSetVersion")
    return terminology_pb2.ValueSetChoice(url=f"{url}|{version}" if version else url) if url else None


async def system_of(invoked: Invocation) -> tuple[str, str]:
    """URL and version of the CodeSystem that the operation is called on."""
    message = service_pb2.ReadResourceRequest(
        type=invoked.resource_type, id=require_id(invoked.resource_type, invoked.resource_id)
    )
    stored = (await invoked.upstream["records.ReadResource"](message, invoked.request)).resource
    body = orjson.loads(stored.body)
    return body.get("url", ""), body.get("version", "")
