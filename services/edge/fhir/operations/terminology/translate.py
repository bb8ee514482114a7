"""$translate (https://hl7.org/fhir/R4/conceptmap-operation-translate.html): what a code is in another system."""

from typing import Any

from nhip.records.v1 import terminology_pb2

from services.edge.asgi import Reply
from services.edge.fhir.interaction import require_id
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused, told
from services.edge.fhir.operations.terminology.codes import codes_asked

_KNOWN = (
    *("url", "conceptMapVersion", "code", "system", "version", "coding", "codeableConcept", "targetsystem", "reverse"),
    *("source", "target"),
)
# Of a map that says that there is nothing, or only something else.
_NO_MATCH = frozenset({"unmatched", "disjoint"})


async def translate(invoked: Invocation) -> Reply:
    """`GET|POST ConceptMap/$translate`, `ConceptMap/[id]/$translate`."""
    arguments = await invoked.arguments(*_KNOWN)
    for name in ("source", "target"):
        if arguments.all(name):
            raise refused(name, "PARAMETER_UNSUPPORTED", "system and targetsystem say from where to where")
    message = terminology_pb2.TranslateCodeRequest(
        url=arguments.text("url"),
        id=require_id("ConceptMap", invoked.resource_id) if invoked.resource_id else "",
        codes=codes_asked(arguments),
        target_system=arguments.text("targetsystem"),
        is_reverse=arguments.flag("reverse"),
    )
    response = await invoked.upstream["records.TranslateCode"](message, invoked.request)
    is_found = any(one.equivalence not in _NO_MATCH for one in response.translations)
    found: list[dict[str, Any]] = [{"name": "result", "valueBoolean": is_found}]
    if not is_found:
        found.append({"name": "message", "valueString": "no map that is known says what this code is"})
    for one in response.translations:
        coding = {"system": one.system, "code": one.code, "display": one.display}
        parts: list[dict[str, Any]] = [
            {"name": "equivalence", "valueCode": one.equivalence},
            {"name": "concept", "valueCoding": {name: value for name, value in coding.items() if value}},
        ]
        if one.map_url:
            parts.append({"name": "source", "valueUri": one.map_url})
        found.append({"name": "match", "part": parts})
    return answer(told(found))
