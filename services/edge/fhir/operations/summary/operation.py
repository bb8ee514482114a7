"""`Patient/[id]/$summary` (https://hl7.org/fhir/uv/ips/STU1.1/OperationDefinition-summary.html)."""

from datetime import UTC, datetime

from nhip.records.v1 import person_pb2, service_pb2

from libs.errors import NotFoundError
from services.edge.asgi import Reply
from services.edge.fhir.interaction import base_url, require_id
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused
from services.edge.fhir.operations.summary.document import PROFILE, document


async def summary(invoked: Invocation) -> Reply:
    """`GET|POST Patient/[id]/$summary`, `Patient/$summary?identifier=…`; without either a citizen's own."""
    arguments = await invoked.arguments("profile", "identifier")
    if arguments.text("profile").partition("|")[0] not in {"", PROFILE}:
        raise refused("profile", "PARAMETER_UNSUPPORTED", f"summaries are of the profile {PROFILE}")
    patient_id = require_id("Patient", invoked.resource_id) if invoked.resource_id else ""
    if not patient_id and arguments.all("identifier"):
        patient_id = await _identified(invoked, arguments.text("identifier"))
    message = person_pb2.GatherSummaryRequest(registration_id=patient_id)
    gathered = await invoked.upstream["records.GatherSummary"](message, invoked.request)
    return answer(document(base_url(invoked.request), gathered, datetime.now(UTC)))


async def _identified(invoked: Invocation, identifier: str) -> str:
    message = service_pb2.SearchResourcesRequest(type="Patient", page_size=1)
    message.parameters.add(name="identifier", value=identifier)
    response = await invoked.upstream["records.SearchResources"](message, invoked.request)
    if not response.matches:
        raise NotFoundError("RESOURCE_UNKNOWN", "there is no such Patient")
    # Whichever registration of the person it is, the summary is the same person's.
    return str(response.matches[0].id)
