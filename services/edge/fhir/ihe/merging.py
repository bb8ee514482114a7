"""A source says that one of its Patients is another: `active` false, and a link of type replaced-by.

https://hl7.org/fhir/R4/patient.html#dup-records; PIXm's Resolve Duplicate Patient [ITI-104] and PMIR's merge [ITI-93].
Nothing is moved or lost: the index links the registration that was replaced to the person of the one that replaces it,
which an unlink takes back.
"""

from typing import Any
from urllib.parse import urlsplit

from nhip.patient_index.v1 import service_pb2
from nhip.types.v1 import types_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.references import parse_local
from services.edge.asgi import Request
from services.edge.fhir import patient
from services.edge.fhir.ihe.crossreference import find_person
from services.edge.fhir.interaction import base_url
from services.edge.upstream import Upstream

REASON = "the source says that this Patient is replaced by another"


def successor_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """What replaces the Patient, as the link's reference; None for a Patient that stands for itself."""
    links = document.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("type") == "replaced-by" and isinstance(link.get("other"), dict):
            other: dict[str, Any] = link["other"]
            return other
    return None


async def merge_if_replaced(
    upstream: Upstream, request: Request, registration_id: str, document: dict[str, Any]
) -> None:
    """Merges a Patient that was filed as replaced; does nothing for any other. Raises as `merge`."""
    successor = successor_of(document)
    if successor is not None and document.get("active") is False:
        await merge(upstream, request, registration_id, successor, patient.TYPE)


async def merge(
    upstream: Upstream, request: Request, registration_id: str, successor: dict[str, Any], place: str
) -> None:
    """Links the registration to the person that the successor is.

    Raises InvalidArgumentError, reason SUCCESSOR_UNKNOWN, at `place`; AioRpcError as LinkRegistration does.
    """
    person_id = await _person_of(upstream, request, successor)
    if not person_id:
        where = f"{place}.link.other"
        violation = FieldViolation(where, "SUCCESSOR_UNKNOWN", "nobody is registered under this reference")
        raise InvalidArgumentError("SUCCESSOR_UNKNOWN", "the Patient that replaces is not known", fields=[violation])
    await upstream["patient_index.LinkRegistration"](
        service_pb2.LinkRegistrationRequest(registration_id=registration_id, person_id=person_id, reason=REASON),
        request,
    )


async def _person_of(upstream: Upstream, request: Request, successor: dict[str, Any]) -> str:
    """The person behind a reference to a Patient of this server, or behind a number; empty when there is none."""
    number = successor.get("identifier")
    if isinstance(number, dict) and isinstance(number.get("system"), str) and isinstance(number.get("value"), str):
        wanted = types_pb2.Identifier(system=patient.normal_system(number["system"]), value=number["value"].strip())
        found = await find_person(upstream, request, wanted) if wanted.system and wanted.value else None
        return found.person_id if found is not None else ""
    reference = successor.get("reference")
    local = parse_local(relative(request, reference)) if isinstance(reference, str) else None
    if local is None or local.type != patient.TYPE:
        return ""
    held = await upstream["patient_index.GetRegistration"](
        service_pb2.GetRegistrationRequest(registration_id=local.id), request
    )
    person_id: str = held.registration.person_id
    return person_id


def relative(request: Request, reference: str) -> str:
    """A reference without this server's own base."""
    base = base_url(request)
    return reference.removeprefix(base).removeprefix(urlsplit(base).path).removeprefix("/")
