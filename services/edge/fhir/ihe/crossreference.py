"""Mobile Patient Identifier Cross-reference Query [ITI-83]: by what numbers else a person is known.

https://profiles.ihe.net/ITI/PIXm/ITI-83.html. The errors and their texts are the profile's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from nhip.patient_index.v1 import resources_pb2, service_pb2
from nhip.types.v1 import types_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.thai import identifiers
from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal
from services.edge.fhir import patient
from services.edge.fhir.interaction import BASE_PATH, FORM_PARAMETERS, ID, base_url, read_body, require_type
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.upstream import Upstream

SOURCE, TARGET = "sourceIdentifier", "targetSystem"
MAX_TARGETS = 50
_PASSPORTS = "http://hl7.org/fhir/sid/passport-"
Query = Sequence[tuple[str, str]]


async def cross_reference(upstream: Upstream, request: Request, query: Query) -> Reply:
    """`GET Patient/$ihe-pix?sourceIdentifier=system|value&targetSystem=…`, or its Parameters by POST."""
    source, targets = _asked(await _posted(request) if request.method == "POST" else query)
    bases = frozenset({base_url(request), request.root_url})
    person = await _person(upstream, request, source, bases)
    numbers = [number for number in _numbers(person) if (number.system, number.value) != (source.system, source.value)]
    answered = {number.system for number in numbers}
    for target in targets:
        if target not in answered and target not in bases and not is_known_domain(target):
            raise _refused("TARGET_SYSTEM_UNKNOWN", "code-invalid", "targetSystem not found", 403, TARGET)
    found = [_identifier(number) for number in numbers if not targets or number.system in targets]
    if not targets or not bases.isdisjoint(targets):
        found += [_reference(request, one) for one in person.registrations if not _is_source(one, source, bases)]
    return Reply(200, orjson.dumps({"resourceType": "Parameters", "parameter": found}), CONTENT_TYPE)


def is_known_domain(system: str) -> bool:
    """True for a system whose numbers the platform takes: a national one, or a facility's own."""
    return (
        system in identifiers.SYSTEMS
        or identifiers.parse_local(system) is not None
        or system.casefold().startswith(_PASSPORTS)
    )


async def find_person(
    upstream: Upstream, request: Request, number: types_pb2.Identifier
) -> resources_pb2.Person | None:
    """The one person who shows a number; None when nobody does.

    Raises Refusal (409) for a number that several persons show: whom it means is for a review to say.
    """
    found = await upstream["patient_index.SearchPersons"](
        service_pb2.SearchPersonsRequest(identifier=number, page_size=2), request
    )
    if len(found.persons) > 1:
        raise _refused("MULTIPLE_MATCHES", "multiple-matches", "several persons show this identifier", 409, SOURCE)
    return found.persons[0] if found.persons else None


async def _person(
    upstream: Upstream, request: Request, source: types_pb2.Identifier, bases: frozenset[str]
) -> resources_pb2.Person:
    if source.system in bases:
        return await _person_of(upstream, request, source.value)
    person = await find_person(upstream, request, source)
    if person is not None:
        return person
    if not is_known_domain(source.system):
        diagnostics = "sourceIdentifier Assigning Authority not found"
        raise _refused("SOURCE_SYSTEM_UNKNOWN", "code-invalid", diagnostics, 400, SOURCE)
    raise _not_found()


async def _person_of(upstream: Upstream, request: Request, value: str) -> resources_pb2.Person:
    """The person behind a Patient of this server, named by its logical id."""
    kind, _, registration_id = value.rpartition("/")
    if kind not in {"", patient.TYPE} or ID.fullmatch(registration_id) is None:
        raise _not_found()
    held = await upstream["patient_index.GetRegistration"](
        service_pb2.GetRegistrationRequest(registration_id=registration_id), request
    )
    found = await upstream["patient_index.GetPerson"](
        service_pb2.GetPersonRequest(person_id=held.registration.person_id), request
    )
    person: resources_pb2.Person = found.person
    return person


def _asked(query: Query) -> tuple[types_pb2.Identifier, list[str]]:
    """What is looked for and where. Raises InvalidArgumentError, reason PARAMETER_INVALID."""
    sources = [value for name, value in query if name == SOURCE]
    targets = [patient.normal_system(value) for name, value in query if name == TARGET and value]
    for name, _ in query:
        if name not in {SOURCE, TARGET, *FORM_PARAMETERS}:
            raise _invalid(name, "an unknown parameter of $ihe-pix")
    if len(targets) > MAX_TARGETS:
        raise _invalid(TARGET, f"more than {MAX_TARGETS} systems")
    if len(sources) != 1:
        raise _invalid(SOURCE, "exactly one sourceIdentifier is asked for")
    system, bar, value = sources[0].partition("|")
    if not (bar and system.strip() and value.strip()):
        raise _invalid(SOURCE, "the identifier is written system|value")
    return types_pb2.Identifier(system=patient.normal_system(system), value=value.strip()), targets


async def _posted(request: Request) -> list[tuple[str, str]]:
    _, document = await read_body(request)
    require_type(document, "Parameters", "Parameters")
    listed = document.get("parameter")
    return [pair for one in (listed if isinstance(listed, list) else []) for pair in _pairs(one)]


def _pairs(parameter: Any) -> Iterator[tuple[str, str]]:
    """A parameter by name, whether it holds a string, a URI or an Identifier."""
    if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
        return
    for key, value in parameter.items():
        if isinstance(value, str) and key in {"valueString", "valueUri", "valueCanonical"}:
            yield parameter["name"], value
        elif isinstance(value, dict) and key == "valueIdentifier":
            yield parameter["name"], f"{value.get('system', '')}|{value.get('value', '')}"


def _numbers(person: resources_pb2.Person) -> list[types_pb2.Identifier]:
    """Each number of the person once: the organisations' own, then what others issued."""
    found: dict[tuple[str, str], types_pb2.Identifier] = {}
    for registration in person.registrations:
        for number in (*patient.own_numbers(registration), *registration.identifiers):
            found.setdefault((number.system, number.value), number)
    return list(found.values())


def _is_source(registration: resources_pb2.Registration, source: types_pb2.Identifier, bases: frozenset[str]) -> bool:
    return source.system in bases and source.value.rpartition("/")[2] == registration.registration_id


def _identifier(number: types_pb2.Identifier) -> dict[str, Any]:
    return {"name": "targetIdentifier", "valueIdentifier": {"system": number.system, "value": number.value}}


def _reference(request: Request, registration: resources_pb2.Registration) -> dict[str, Any]:
    address = f"{request.root_url}{BASE_PATH}/{patient.TYPE}/{registration.registration_id}"
    return {"name": "targetId", "valueReference": {"reference": address}}


def _not_found() -> Refusal:
    diagnostics = "sourceIdentifier Patient Identifier not found"
    return _refused("SOURCE_IDENTIFIER_UNKNOWN", "not-found", diagnostics, 404, SOURCE)


def _refused(reason: str, issue: str, text: str, status: int, place: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", reason, text, status=status, fields=[FieldViolation(place, issue, text)])


def _invalid(place: str, text: str) -> InvalidArgumentError:
    return InvalidArgumentError("PARAMETER_INVALID", text, fields=[FieldViolation(place, "PARAMETER_INVALID", text)])
