"""history of an instance, of a type and of the system (https://hl7.org/fhir/R4/http.html#history)."""

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.moments import asked
from services.edge.asgi import Reply, Request
from services.edge.fhir import bundle, wording
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, require_id
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.fhir.search import COUNT, PAGE, page_size
from services.edge.upstream import Upstream


async def history(
    upstream: Upstream, request: Request, resource_type: str, resource_id: str, query: list[tuple[str, str]]
) -> Reply:
    """`GET [type]/[id]/_history`, without an id `GET [type]/_history`, without a type `GET _history`.

    Newest first, deletions included; `_at` answers the versions that were current at some time of that moment or span.
    """
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
        elif name == "_at":
            _set_span(message, value)
        elif name not in FORM_PARAMETERS:
            violation = FieldViolation(name, "PARAMETER_UNKNOWN", "history takes _count, _since and _at")
            raise InvalidArgumentError("PARAMETER_UNKNOWN", "an unknown parameter of history", fields=[violation])
    try:
        response = await upstream["records.ListHistory"](message, request)
    except grpc.aio.AioRpcError as error:
        raise wording.of_query(error) from None
    base = base_url(request)
    path = "/".join(part for part in (base, resource_type, resource_id, "_history") if part)
    kept = [(name, value) for name, value in query if name != PAGE]
    links = [("self", bundle.url(path, query))]
    if response.next_page_token:
        links.append(("next", bundle.url(path, [*kept, (PAGE, response.next_page_token)])))
    entries = [bundle.history_entry(base, stored) for stored in response.versions]
    # Nobody counts the versions of everything; a total that is not known is not told.
    total = response.total if resource_id else None
    return Reply(200, bundle.assemble("history", links, entries, total), CONTENT_TYPE)


def _set_span(message: service_pb2.ListHistoryRequest, value: str) -> None:
    # An unencoded plus in a query is a blank.
    span = asked(value.replace(" ", "+"))
    if span is None:
        violation = FieldViolation(
            "_at", "INSTANT_MALFORMED", "a date or an instant, such as 2026-01-31T09:30:00+07:00"
        )
        raise InvalidArgumentError("INSTANT_MALFORMED", "_at is no date", fields=[violation])
    message.at_from.FromDatetime(span.low)
    message.at_until.FromDatetime(span.high)


def _since(value: str) -> Timestamp:
    moment = Timestamp()
    try:
        # An unencoded plus in a query is a blank.
        moment.FromJsonString(value.replace(" ", "+"))
    except ValueError:
        violation = FieldViolation("_since", "INSTANT_MALFORMED", "an instant, such as 2026-01-31T09:30:00+07:00")
        raise InvalidArgumentError("INSTANT_MALFORMED", "_since is no instant", fields=[violation]) from None
    return moment
