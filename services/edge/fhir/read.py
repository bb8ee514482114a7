"""read (https://hl7.org/fhir/R4/http.html#read): the stored bytes, untouched unless a part of them is asked for."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from nhip.records.v1 import resources_pb2, service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.body import Json, dump, parse
from libs.fhir.subsets import summarized, with_elements
from services.edge.asgi import Reply, Request
from services.edge.fhir import binary
from services.edge.fhir.forms import Form, form_of
from services.edge.fhir.interaction import FORM_PARAMETERS, http_date, preference, require_id
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.upstream import Upstream

Part = Callable[[Json], Json]
_SUMMARIES = frozenset({"true", "text", "data"})


async def read(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`GET [type]/[id]`."""
    part = part_asked(request)
    message = service_pb2.ReadResourceRequest(type=resource_type, id=require_id(resource_type, resource_id))
    response = await upstream["records.ReadResource"](message, request)
    reply = answer(request, response.resource, part)
    if resource_type == binary.TYPE and reply.body and form_of(request, request.query, of_content=True) is Form.OTHER:
        return binary.content_of(response.resource, reply)
    return reply


def part_asked(request: Request) -> Part | None:
    """What `_summary` or `_elements` make of a resource; None for the whole.

    Raises InvalidArgumentError, reason PARAMETER_UNKNOWN, unless Prefer says handling=lenient; PARAMETER_INVALID.
    """
    part: Part | None = None
    for name, value in request.query if request.scope["query_string"] else ():
        if name == "_summary" and value in _SUMMARIES:
            part = _summary_of(value)
        elif name == "_elements" and all(one.strip() for one in value.split(",")):
            part = _elements_of(value)
        elif name in {"_summary", "_elements"} and value != "false":
            raise _refused(name, "PARAMETER_INVALID", "_summary is true, text, data or false; _elements is a list")
        elif name not in FORM_PARAMETERS | {"_summary"} and preference(request, "handling").lower() != "lenient":
            raise _refused(name, "PARAMETER_UNKNOWN", "a read takes _summary and _elements")
    return part


def _summary_of(summary: str) -> Part:
    return lambda body: summarized(body, summary)


def _elements_of(value: str) -> Part:
    return lambda body: with_elements(body, [one.strip() for one in value.split(",")])


def _refused(name: str, reason: str, text: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, f"{name}: {text}", fields=[FieldViolation(name, reason, text)])


def answer(request: Request, stored: resources_pb2.StoredResource, part: Part | None = None) -> Reply:
    """One version, or a part of it; 304 when the caller says that they hold it (http://hl7.org/fhir/R4/http.html#cread)."""
    headers = [(b"etag", b'W/"%d"' % stored.version), (b"last-modified", http_date(stored.recorded_at))]
    if _is_held(request, stored):
        return Reply(304, b"", b"", headers)
    return Reply(200, stored.body if part is None else dump(part(parse(stored.body))), CONTENT_TYPE, headers)


def _is_held(request: Request, stored: resources_pb2.StoredResource) -> bool:
    held = request.headers.get(b"if-none-match")
    if held is not None:
        # Of both headers this one counts (RFC 9110, section 13.2.2).
        tags = {part.strip().removeprefix(b"W/") for part in held.split(b",")}
        return b"*" in tags or b'"%d"' % stored.version in tags
    since = request.headers.get(b"if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since.decode("ascii"))
    except ValueError:
        # A date that is none asks for nothing.
        return False
    return moment.tzinfo is not None and stored.recorded_at.seconds <= moment.timestamp()
