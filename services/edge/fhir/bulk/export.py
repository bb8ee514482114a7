"""$export (http://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-kick-off-request): the beginning of an export."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from nhip.exchange.v1 import exports_pb2
from nhip.records.v1 import exports_pb2 as records_pb2

from libs.fhir.references import parse_local, without_base
from services.edge.asgi import Reply, Request
from services.edge.fhir.bulk.status import STATUS
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, preferences, require_id
from services.edge.fhir.operations.invocation import Invocation
from services.edge.fhir.operations.parameters import Arguments, refused
from services.edge.fhir.outcome import CONTENT_TYPE, information

KNOWN = ("_outputFormat", "_since", "_type", "_elements", "_typeFilter", "patient")
NDJSON = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
# A comma within a filter is one of its own, unless a new filter begins behind it.
_NEXT_FILTER = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
_LEVELS = {
    "": records_pb2.EXPORT_LEVEL_SYSTEM,
    "Patient": records_pb2.EXPORT_LEVEL_PATIENT,
    "Group": records_pb2.EXPORT_LEVEL_GROUP,
}


async def export(invoked: Invocation) -> Reply:
    """`GET|POST $export`, `Patient/$export`, `Group/[id]/$export`: 202 with the address of the status."""
    request = invoked.request
    require_async(request)
    is_lenient = is_lenient_wanted(request)
    names = [name for name, _ in invoked.query if name not in FORM_PARAMETERS and name not in KNOWN]
    ignored = list(dict.fromkeys(names)) if is_lenient else []
    arguments = await invoked.arguments(*KNOWN, *ignored)
    message = exports_pb2.StartExportRequest(request_url=_asked(request), ignored_parameters=ignored)
    _plan(message.plan, invoked, arguments)
    message.plan.lenient = is_lenient
    answer = await invoked.upstream["exchange.StartExport"](message, request)
    place = f"{base_url(request)}/{STATUS}/{answer.export.export_id}"
    headers = [(b"content-location", place.encode()), (b"cache-control", b"no-store")]
    return Reply(202, information("the export has begun; Content-Location tells how it goes"), CONTENT_TYPE, headers)


def require_async(request: Request) -> None:
    """Raises InvalidArgumentError, reason PARAMETER_MISSING, without `Prefer: respond-async`."""
    if "respond-async" not in preferences(request):
        raise refused("Prefer", "PARAMETER_MISSING", "this takes its time: ask with the header Prefer: respond-async")


def is_lenient_wanted(request: Request) -> bool:
    """True where what is not understood is to be passed over and told of."""
    return preferences(request).get("handling") == "lenient"


def _plan(plan: records_pb2.PlanExportRequest, invoked: Invocation, arguments: Arguments) -> None:
    if (arguments.text("_outputFormat") or "ndjson").replace(" ", "+") not in NDJSON:
        raise refused("_outputFormat", "PARAMETER_INVALID", "exports are application/fhir+ndjson")
    plan.level = _LEVELS[invoked.resource_type]
    plan.group_id = require_id("Group", invoked.resource_id) if invoked.resource_id else ""
    plan.types.extend(arguments.texts("_type"))
    plan.elements.extend(arguments.texts("_elements"))
    since = arguments.moment("_since")
    if since is not None:
        plan.since.FromDatetime(since)
    for text in arguments.all("_typeFilter"):
        if not isinstance(text, str):
            raise refused("_typeFilter", "PARAMETER_INVALID", "a text belongs here")
        plan.type_filters.extend(_NEXT_FILTER.split(text))
    plan.patient_ids.extend(_patients(arguments.all("patient"), base_url(invoked.request)))


def _patients(values: Iterable[Any], base: str) -> Iterator[str]:
    """Ids of `Patient/1`, of several with commas, or of References."""
    for value in values:
        text = value.get("reference") if isinstance(value, dict) else value
        for one in text.split(",") if isinstance(text, str) else [""]:
            local = parse_local(without_base(one.strip(), base))
            if local is None or local.type != "Patient":
                raise refused("patient", "PARAMETER_INVALID", "a reference to a Patient belongs here")
            yield local.id


def _asked(request: Request) -> str:
    path = "/".join(("", *request.raw_segments))
    query = request.scope.get("query_string", b"").decode("ascii", "replace")
    return request.root_url + path + (f"?{query}" if query else "")
