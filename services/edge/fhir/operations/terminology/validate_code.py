"""$validate-code: of a value set (https://hl7.org/fhir/R4/valueset-operation-validate-code.html), of a code system."""

from typing import Any

from nhip.records.v1 import terminology_pb2

from services.edge.asgi import Reply
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import Arguments, refused, told
from services.edge.fhir.operations.terminology.codes import codes_asked, system_of, value_set_of
from services.edge.fhir.operations.terminology.expand import called

_SHARED = ("url", "code", "version", "display", "coding", "codeableConcept", "date", "abstract", "displayLanguage")


async def validate_in_value_set(invoked: Invocation) -> Reply:
    """`GET|POST ValueSet/$validate-code`, `ValueSet/[id]/$validate-code`."""
    arguments = await invoked.arguments(
        *_SHARED, "system", "systemVersion", "valueSet", "valueSetVersion", "inferSystem", "context"
    )
    chosen = value_set_of(invoked, arguments)
    if chosen is None:
        raise refused("url", "PARAMETER_MISSING", "url or valueSet belongs here")
    message = terminology_pb2.ValidateCodeRequest(
        value_set=chosen, codes=codes_asked(arguments), infer_system=arguments.flag("inferSystem")
    )
    return await _validate(invoked, arguments, message)


async def validate_in_code_system(invoked: Invocation) -> Reply:
    """`GET|POST CodeSystem/$validate-code`, `CodeSystem/[id]/$validate-code`."""
    arguments = await invoked.arguments(*_SHARED, "system")
    codes = codes_asked(arguments)
    system = arguments.text("url")
    if invoked.resource_id:
        system, _ = await system_of(invoked)
    for one in codes:
        one.system = one.system or system
        if not one.system:
            raise refused("url", "PARAMETER_MISSING", "the code system belongs here")
        if system and one.system != system:
            raise refused("coding.system", "PARAMETER_INVALID", "the coding is of another system")
    return await _validate(invoked, arguments, terminology_pb2.ValidateCodeRequest(codes=codes))


async def _validate(invoked: Invocation, arguments: Arguments, message: terminology_pb2.ValidateCodeRequest) -> Reply:
    response = await invoked.upstream["records.ValidateCode"](message, invoked.request)
    found: list[dict[str, Any]] = [{"name": "result", "valueBoolean": response.is_valid}]
    if response.message:
        found.append({"name": "message", "valueString": response.message})
    if response.is_valid:
        one = response.concept
        shown = called(one.concept, arguments.text("displayLanguage"))
        found += [
            {"name": name, kind: value}
            for name, kind, value in (
                ("display", "valueString", shown),
                ("code", "valueCode", one.concept.code),
                ("system", "valueUri", one.system),
                ("version", "valueString", one.version),
            )
            if value
        ]
    return answer(told(found))
