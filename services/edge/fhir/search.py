"""search of a type, of a compartment or of all (https://hl7.org/fhir/R4/http.html#search), by GET or POST to _search."""

from typing import Any

import grpc
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.definitions import definitions
from services.edge.asgi import Reply, Request, form_pairs, media_type
from services.edge.faults import Refusal
from services.edge.fhir import bundle, wording
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, preference
from services.edge.fhir.outcome import CONTENT_TYPE, issue, outcome
from services.edge.upstream import Upstream

COUNT = "_count"
# Where the answer's `next` link goes on; opaque, made by records.
PAGE = "_page"
TYPE = "_type"
MAX_PAGE = 1000
MAX_FORM_BYTES = 1024 * 1024


async def search(
    upstream: Upstream, request: Request, resource_type: str, query: list[tuple[str, str]], compartment: str = ""
) -> Reply:
    """`GET [type]?…`. Parameters that the server does not know are errors, unless Prefer says handling=lenient.

    With a compartment (`Patient/123`) `GET [compartment]/[type]?…`.
    """
    message = service_pb2.SearchResourcesRequest(
        type=resource_type,
        lenient=preference(request, "handling").lower() == "lenient",
        compartment=compartment,
    )
    _ask(message, request, query)
    response = await _answered(upstream, "records.SearchResources", message, request)
    path = f"{compartment}/{resource_type}" if compartment else resource_type
    return Reply(200, _searchset(request, path, query, response), CONTENT_TYPE)


async def search_system(
    upstream: Upstream, request: Request, query: list[tuple[str, str]], compartment: str = ""
) -> Reply:
    """`GET [base]?_type=…`, or with a compartment `GET [compartment]/*?…`: several types at once."""
    message = service_pb2.SearchSystemRequest(
        lenient=preference(request, "handling").lower() == "lenient", compartment=compartment
    )
    types = [one for name, value in query if name == TYPE for one in value.split(",")]
    for one in types:
        if one not in definitions().resource_types:
            violation = FieldViolation(TYPE, "SEARCH_INVALID", f"{one or 'nothing'} is no resource type of FHIR R4")
            raise InvalidArgumentError("SEARCH_INVALID", "_type names resource types", fields=[violation])
    message.types.extend(types)
    _ask(message, request, [one for one in query if one[0] != TYPE])
    response = await _answered(upstream, "records.SearchSystem", message, request)
    return Reply(200, _searchset(request, f"{compartment}/*" if compartment else "", query, response), CONTENT_TYPE)


async def _answered(upstream: Upstream, label: str, message: Any, request: Request) -> Any:
    try:
        return await upstream[label](message, request)
    except grpc.aio.AioRpcError as error:
        raise wording.of_query(error, [one.name for one in message.parameters]) from None


def _ask(
    message: service_pb2.SearchResourcesRequest | service_pb2.SearchSystemRequest,
    request: Request,
    query: list[tuple[str, str]],
) -> None:
    base = base_url(request) + "/"
    for name, value in query:
        if name == COUNT:
            message.page_size = page_size(value)
            if value == "0":
                message.parameters.add(name="_summary", value="count")
        elif name == PAGE:
            message.page_token = value
        elif name not in FORM_PARAMETERS:
            # A reference by this server's own address is one to its resource.
            message.parameters.add(name=name, value=value.replace(base, "") if base in value else value)


async def posted_query(request: Request) -> list[tuple[str, str]]:
    """The parameters of `POST [type]/_search`: those of the URL, then those of the form."""
    kind = media_type(request)
    body = await request.body(MAX_FORM_BYTES)
    if body and kind != "application/x-www-form-urlencoded":
        raise Refusal(
            "INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED", "the body is application/x-www-form-urlencoded", status=415
        )
    return [*request.query, *form_pairs(body, "form")]


def page_size(text: str) -> int:
    """`_count`, at most what the server gives at once. Raises InvalidArgumentError, reason SEARCH_INVALID."""
    if not (text.isascii() and text.isdigit()):
        violation = FieldViolation(COUNT, "SEARCH_INVALID", "_count is a whole number")
        raise InvalidArgumentError("SEARCH_INVALID", "_count is a whole number", fields=[violation])
    # Thousands of digits are not read: more than a page has are enough.
    return min(int(text.lstrip("0")[: len(str(MAX_PAGE)) + 1] or "0"), MAX_PAGE)


def _searchset(
    request: Request,
    path: str,
    query: list[tuple[str, str]],
    response: service_pb2.SearchResourcesResponse | service_pb2.SearchSystemResponse,
) -> bytes:
    base = base_url(request)
    here = f"{base}/{path}".rstrip("/")
    ignored = set(response.ignored_parameters)
    understood = [(name, value) for name, value in query if name not in ignored]
    links = [("self", bundle.url(here, understood))]
    if response.next_page_token:
        kept = [(name, value) for name, value in understood if name != PAGE]
        links.append(("next", bundle.url(here, [*kept, (PAGE, response.next_page_token)])))
    entries = [bundle.search_entry(base, stored, "match") for stored in response.matches]
    entries += [bundle.search_entry(base, stored, "include") for stored in response.included]
    if response.explanation:
        told = outcome([issue("information", "informational", response.explanation, "SEARCH_EXPLAINED")])
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % told)
    if ignored:
        said = outcome(
            [
                issue(
                    "warning",
                    "not-supported",
                    f"the parameter {name} was not understood and is ignored",
                    "PARAMETER_IGNORED",
                )
                for name in response.ignored_parameters
            ]
        )
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % said)
    total = response.total if response.HasField("total") else None
    return bundle.assemble("searchset", links, entries, total)
