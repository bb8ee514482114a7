"""search of a type (https://hl7.org/fhir/R4/http.html#search), by GET or by POST to _search."""

from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.asgi import Reply, Request, form_pairs, media_type
from services.edge.faults import Refusal
from services.edge.fhir import bundle
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, preference
from services.edge.fhir.outcome import CONTENT_TYPE, issue, outcome
from services.edge.upstream import Upstream

COUNT = "_count"
# Where the answer's `next` link goes on; opaque, made by records.
PAGE = "_page"
MAX_PAGE = 1000
MAX_FORM_BYTES = 1024 * 1024


async def search(upstream: Upstream, request: Request, resource_type: str, query: list[tuple[str, str]]) -> Reply:
    """`GET [type]?…`. Parameters that the server does not know are errors, unless Prefer says handling=lenient."""
    message = service_pb2.SearchResourcesRequest(
        type=resource_type, lenient=preference(request, "handling").lower() == "lenient"
    )
    for name, value in query:
        if name == COUNT:
            message.page_size = page_size(value)
            if value == "0":
                message.parameters.add(name="_summary", value="count")
        elif name == PAGE:
            message.page_token = value
        elif name not in FORM_PARAMETERS:
            message.parameters.add(name=name, value=value)
    response = await upstream["records.SearchResources"](message, request)
    return Reply(200, _searchset(request, resource_type, query, response), CONTENT_TYPE)


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
    if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004 more digits than any page has
        violation = FieldViolation(COUNT, "SEARCH_INVALID", "_count is a whole number")
        raise InvalidArgumentError("SEARCH_INVALID", "_count is a whole number", fields=[violation])
    return min(int(text), MAX_PAGE)


def _searchset(
    request: Request, resource_type: str, query: list[tuple[str, str]], response: service_pb2.SearchResourcesResponse
) -> bytes:
    base = base_url(request)
    ignored = set(response.ignored_parameters)
    understood = [(name, value) for name, value in query if name not in ignored]
    links = [("self", bundle.url(f"{base}/{resource_type}", understood))]
    if response.next_page_token:
        kept = [(name, value) for name, value in understood if name != PAGE]
        links.append(("next", bundle.url(f"{base}/{resource_type}", [*kept, (PAGE, response.next_page_token)])))
    entries = [bundle.search_entry(base, stored, "match") for stored in response.matches]
    entries += [bundle.search_entry(base, stored, "include") for stored in response.included]
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
