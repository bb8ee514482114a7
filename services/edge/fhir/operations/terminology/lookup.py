"""$lookup (https://hl7.org/fhir/R4/codesystem-operation-lookup.html): what a code means."""

from typing import Any

from nhip.records.v1 import terminology_pb2

from services.edge.asgi import Reply
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused, told
from services.edge.fhir.operations.terminology.codes import codes_asked, system_of
from services.edge.fhir.operations.terminology.expand import called


async def lookup(invoked: Invocation) -> Reply:
    """`GET|POST CodeSystem/$lookup`."""
    arguments = await invoked.arguments("code", "system", "version", "coding", "property", "displayLanguage", "date")
    asked = codes_asked(arguments)[0]
    if invoked.resource_id:
        asked.system, asked.version = await system_of(invoked)
    if not asked.system:
        raise refused("system", "PARAMETER_MISSING", "the system of the code belongs here")
    message = terminology_pb2.LookupCodeRequest(system=asked.system, version=asked.version, code=asked.code)
    response = await invoked.upstream["records.LookupCode"](message, invoked.request)
    one = response.concept
    concept = one.concept
    wanted = set(arguments.texts("property"))
    found: list[dict[str, Any]] = [{"name": "name", "valueString": response.title or asked.system}]
    if one.version:
        found.append({"name": "version", "valueString": one.version})
    found.append({"name": "display", "valueString": called(concept, arguments.text("displayLanguage")) or concept.code})
    if concept.definition:
        found.append({"name": "definition", "valueString": concept.definition})
    found += [_designation(part) for part in concept.designations if not wanted or "designation" in wanted]
    properties = [
        *(("parent", "valueCode", parent) for parent in concept.parents),
        *(("child", "valueCode", child) for child in response.children),
        *(("inactive", "valueBoolean", concept.is_inactive) for _ in range(1) if concept.is_inactive),
        *((part.name, "valueString", part.text) for part in concept.properties),
    ]
    found += [_property(*row) for row in properties if not wanted or row[0] in wanted or "*" in wanted]
    return answer(told(found))


def _designation(part: terminology_pb2.Designation) -> dict[str, Any]:
    parts = [{"name": "language", "valueCode": part.language}] if part.language else []
    return {"name": "designation", "part": [*parts, {"name": "value", "valueString": part.text}]}


def _property(name: str, kind: str, value: object) -> dict[str, Any]:
    return {"name": "property", "part": [{"name": "code", "valueCode": name}, {"name": "value", kind: value}]}
