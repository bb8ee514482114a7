"""$lastn (https://hl7.org/fhir/R4/observation-operation-lastn.html): the newest Observations of each code."""

from nhip.records.v1 import person_pb2

from services.edge.asgi import Reply
from services.edge.fhir import bundle
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, preference, read_body
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import from_parameters, from_query

MAX_NEWEST = 1000


async def lastn(invoked: Invocation) -> Reply:
    """`GET|POST Observation/$lastn?patient=…&category=…&code=…&max=…`; everything but max is a search parameter."""
    arguments = from_query([pair for pair in invoked.query if pair[0] not in FORM_PARAMETERS])
    if invoked.verb == "POST":
        _, document = await read_body(invoked.request)
        arguments.add(from_parameters(document))
    lenient = preference(invoked.request, "handling").lower() == "lenient"
    message = person_pb2.ListLastObservationsRequest(
        type="Observation", newest=min(arguments.whole("max", 1), MAX_NEWEST), lenient=lenient
    )
    asked = []
    for name in arguments.names():
        if name != "max":
            for value in arguments.all(name):
                asked.append((name, _search_text(value)))
                message.parameters.add(name=name, value=_search_text(value))
        else:
            asked.append((name, str(arguments.whole(name))))
    response = await invoked.upstream["records.ListLastObservations"](message, invoked.request)
    base = base_url(invoked.request)
    links = [("self", bundle.url(f"{base}/Observation/$lastn", asked))]
    entries = [bundle.search_entry(base, stored, "match") for stored in response.observations]
    return answer(bundle.assemble("searchset", links, entries, len(entries)))


def _search_text(value: object) -> str:
    """A value of Parameters as a search writes it."""
    if not isinstance(value, dict):
        return str(value)
    if "reference" in value:
        return str(value["reference"])
    coding = value.get("coding", [value])
    return ",".join(f"{one.get('system', '')}|{one.get('code', '')}" for one in coding if isinstance(one, dict))
