"""$everything (https://hl7.org/fhir/R4/patient-operation-everything.html): the stored bytes of one person's records."""

from nhip.records.v1 import person_pb2

from services.edge.asgi import Reply
from services.edge.fhir import bundle
from services.edge.fhir.interaction import base_url, require_id
from services.edge.fhir.operations.invocation import Invocation, answer

PAGE = "_page"
MAX_PAGE = 5000


async def everything(invoked: Invocation) -> Reply:
    """`GET|POST Patient/[id]/$everything`; without an id a citizen's own."""
    arguments = await invoked.arguments("start", "end", "_since", "_type", "_count", PAGE)
    message = person_pb2.ListEverythingRequest(
        registration_id=require_id("Patient", invoked.resource_id) if invoked.resource_id else "",
        types=arguments.texts("_type"),
        page_size=min(arguments.whole("_count"), MAX_PAGE),
        page_token=arguments.text(PAGE),
    )
    for field, moment in (
        ("since", arguments.moment("_since")),
        ("starts_at", arguments.moment("start")),
        ("ends_at", arguments.moment("end", end=True)),
    ):
        if moment is not None:
            getattr(message, field).FromDatetime(moment)
    response = await invoked.upstream["records.ListEverything"](message, invoked.request)
    base = base_url(invoked.request)
    path = "/".join(part for part in (base, "Patient", invoked.resource_id, "$everything") if part)
    asked = [
        (name, value)
        for name in ("start", "end", "_since", "_type", "_count")
        for value in ([",".join(arguments.texts(name))] if arguments.all(name) and name != "_count" else [])
    ]
    if arguments.all("_count"):
        asked.append(("_count", str(arguments.whole("_count"))))
    here = [(PAGE, arguments.text(PAGE))] if arguments.text(PAGE) else []
    links = [("self", bundle.url(path, [*asked, *here]))]
    if response.next_page_token:
        links.append(("next", bundle.url(path, [*asked, (PAGE, response.next_page_token)])))
    entries = [bundle.search_entry(base, stored, "match") for stored in response.resources]
    entries += [bundle.search_entry(base, stored, "include") for stored in response.referred]
    is_whole = not response.next_page_token and not here
    return answer(bundle.assemble("searchset", links, entries, len(response.resources) if is_whole else None))
