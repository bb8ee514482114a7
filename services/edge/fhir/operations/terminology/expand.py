"""$expand (https://hl7.org/fhir/R4/valueset-operation-expand.html): the codes of a value set."""

from datetime import UTC, datetime
from typing import Any

import orjson
from nhip.records.v1 import terminology_pb2

from libs.ids import new_id
from services.edge.asgi import Reply
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused
from services.edge.fhir.operations.terminology.codes import value_set_of

_KNOWN = (
    *("url", "valueSet", "valueSetVersion", "filter", "offset", "count", "includeDesignations", "activeOnly"),
    *("includeDefinition", "excludeNested", "displayLanguage", "context", "contextDirection", "date"),
)


async def expand(invoked: Invocation) -> Reply:
    """`GET|POST ValueSet/$expand`, `ValueSet/[id]/$expand`. What is expanded is flat."""
    arguments = await invoked.arguments(*_KNOWN)
    for name in ("context", "contextDirection"):
        if arguments.all(name):
            raise refused(name, "PARAMETER_UNSUPPORTED", "a value set is named by url, valueSet or id")
    chosen = value_set_of(invoked, arguments)
    if chosen is None:
        raise refused("url", "PARAMETER_MISSING", "url or valueSet belongs here")
    message = terminology_pb2.ExpandValueSetRequest(
        value_set=chosen,
        text=arguments.text("filter"),
        offset=arguments.whole("offset"),
        count=arguments.whole("count"),
        active_only=arguments.flag("activeOnly"),
    )
    # The count 0 asks for the number alone.
    wants_none = bool(arguments.all("count")) and not message.count
    if wants_none:
        message.count = 1
    response = await invoked.upstream["records.ExpandValueSet"](message, invoked.request)
    language = arguments.text("displayLanguage")
    members = [] if wants_none else response.concepts
    told = [
        {"name": name, _VALUE[name]: value}
        for name, value in (
            ("filter", message.text),
            ("offset", message.offset),
            ("count", arguments.whole("count") if arguments.all("count") else None),
            ("activeOnly", message.active_only or None),
            ("displayLanguage", language),
        )
        if value not in ("", None)
    ]
    found = {
        "resourceType": "ValueSet",
        "url": response.url,
        "version": response.version,
        "title": response.title,
        "status": "active",
        "expansion": {
            "identifier": f"urn:uuid:{new_id()}",
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "total": response.total,
            "offset": message.offset,
            "parameter": told,
            "contains": [
                _contained(
                    one,
                    language,
                    designations=arguments.flag("includeDesignations"),
                )
                for one in members
            ],
        },
    }
    found["expansion"] = {name: value for name, value in found["expansion"].items() if value != []}
    return answer(orjson.dumps({name: value for name, value in found.items() if value != ""}))


_VALUE = {
    "filter": "valueString",
    "offset": "valueInteger",
    "count": "valueInteger",
    "activeOnly": "valueBoolean",
    "displayLanguage": "valueCode",
}


def called(concept: terminology_pb2.Concept, language: str) -> str:
    """What a concept is called in a language, as far as it is known."""
    for one in concept.designations:
        if language and one.language.partition("-")[0] == language.partition("-")[0]:
            return one.text
    return concept.display


def _contained(one: terminology_pb2.SystemConcept, language: str, *, designations: bool) -> dict[str, Any]:
    concept = one.concept
    found: dict[str, Any] = {
        "system": one.system,
        "version": one.version,
        "code": concept.code,
        "display": called(concept, language),
    }
    if concept.is_inactive:
        found["inactive"] = True
    if designations and concept.designations:
        found["designation"] = [{"language": part.language, "value": part.text} for part in concept.designations]
    return {name: value for name, value in found.items() if value != ""}
