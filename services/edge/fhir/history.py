"""history of an instance and of a type (https://hl7.org/fhir/R4/http.html#history)."""

from google.protobuf.timestamp_pb2 import Timestamp
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.asgi import Reply, Request
from services.edge.fhir import bundle
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, require_id
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.fhir.search import COUNT, PAGE, page_size
from services.edge.upstream import Upstream


async def history(
    upstream: Upstream, request: Request, resource_type: str, resource_id: str, query: list[tuple[str, str]]
) -> Reply:
    """`GET [type]/[id]/_history` or, without an id, `GET [type]/_history`: newest first, deletions included."""
    message = service_pb2.ListHistoryRequest(type=resource_type)
    if resource_id:
        message.id = require_id(resource_type, resource_id)
    for name, value in query:
        if name == COUNT:
            message.page_size = page_size(value)
        elif name == PAGE:
            message.page_token = value
        elif name == "_since":
            message.since.CopyFrom(_since(value))
        elif name not in FORM_PARAMETERS:
            violation = FieldViolation(name, "PARAMETER_UNKNOWN", "history takes _count, _since")
            raise InvalidArgumentError("PARAMETER_UNKNOWN", "an unknown parameter of history", fields=[violation])
    response = await upstream["records.ListHistory"](message, request)
    base = base_url(request)
    path = f"{base}/{resource_type}/" + (f"{resource_id}/" if resource_id else "") + "_history"
    kept = [(name, value) for name, value in query if name != PAGE]
    links = [("self", bundle.url(path, query))]
    if response.next_page_token:
        links.append(("next", bundle.url(path, [*kept, (PAGE, response.next_page_token)])))
    entries = [bundle.history_entry(base, stored) for stored in response.versions]
    return Reply(200, bundle.assemble("history", links, entries, response.total), CONTENT_TYPE)


def _since(value: str) -> Timestamp:
    moment = Timestamp()
    try:
        # An unencoded plus in a query is a blank.
        moment.FromJsonString(value.replace(" ", "+"))
    except ValueError:
        violation = FieldViolation("_since", "INSTANT_MALFORMED", "an instant, such as 2026-01-31T09:30:00+07:00")
        raise InvalidArgumentError("INSTANT_MALFORMED", "_since is no instant", fields=[violation]) from None
    return moment
