"""Mobile Patient Identity Feed [ITI-93]: a source tells what became of its Patients, as one message.

https://profiles.ihe.net/ITI/PMIR/ITI-93.html. The history within the message is carried out as one transaction, all or
nothing; then the merges are linked. Each of these is harmless when done again, so that a message that was cut off is sent
again whole. A Patient is known by the source's own number, whatever logical id the source gave it. One that was merged and
comes again as active and without its link is unmerged.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import grpc
import orjson
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation, InvalidArgumentError, NhipError
from services.edge import soundjson
from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal, fault_of
from services.edge.fhir import patient
from services.edge.fhir.ihe.merging import merge, successor_of
from services.edge.fhir.ihe.unmerging import unmerge_if_restored
from services.edge.fhir.incoming import Entry, entries_of
from services.edge.fhir.interaction import base_url, read_body, require_type
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.upstream import Upstream

FEED = "urn:ihe:iti:pmir:2019:patient-feed"
HISTORY = "Bundle.entry[1].resource"
READS_AT_ONCE = 8
Transaction = Callable[[Upstream, Request, Sequence[Entry]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class _Change:
    """One entry of the history, as the transaction takes it, with what replaces its Patient."""

    entry: Entry
    successor: dict[str, Any] | None
    # Told anew of somebody who may have been merged before, and is nobody's duplicate now.
    is_revised: bool = False


async def process_message(upstream: Upstream, request: Request, transaction: Transaction) -> Reply:
    """`POST $process-message` (https://hl7.org/fhir/R4/messageheader-operation-process-message.html)."""
    body, document = await read_body(request)
    header = _header(document)
    history_body, history = _history(body, document)
    try:
        changes = await _changes(upstream, request, history_body, history)
        answer = await transaction(upstream, request, [change.entry for change in changes])
        for change, registration_id in zip(changes, _ids(answer), strict=True):
            if change.successor is not None:
                await merge(upstream, request, registration_id, change.successor, f"{change.entry.place}.resource")
            elif change.is_revised:
                await unmerge_if_restored(upstream, request, registration_id)
    except (NhipError, Refusal, grpc.aio.AioRpcError) as error:
        raise _within_history(error) from None
    return Reply(200, _response(request, header), CONTENT_TYPE)


def _header(document: dict[str, Any]) -> dict[str, Any]:
    require_type(document, "Bundle", "Bundle")
    if document.get("type") != "message":
        raise _invalid("Bundle.type", "a message belongs here")
    entries = document.get("entry")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise _invalid("Bundle.entry", "a message begins with its MessageHeader")
    header = require_type(entries[0].get("resource"), "MessageHeader", "Bundle.entry[0].resource")
    if header.get("eventUri") != FEED:
        raise _invalid("Bundle.entry[0].resource.event", f"the event that is understood is {FEED}")
    if len(entries) != 2:  # noqa: PLR2004 the header and the history, as the profile has it
        raise _invalid("Bundle.entry", "the feed is a MessageHeader and one history Bundle")
    return header


def _history(body: bytes, document: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The history Bundle, and its bytes as they came."""
    history = require_type(document["entry"][1].get("resource"), "Bundle", HISTORY)
    if history.get("type") != "history":
        raise _invalid(f"{HISTORY}.type", "a history belongs here")
    text = soundjson.decode_text(body)
    (listed,) = (at for name, _, at, _ in soundjson.members(text, soundjson.first(text)) if name == "entry")
    _, second = soundjson.elements(text, listed)
    ((begin, end),) = ((at, to) for name, _, at, to in soundjson.members(text, second) if name == "resource")
    return text[begin:end].encode(), history


async def _changes(upstream: Upstream, request: Request, body: bytes, history: dict[str, Any]) -> list[_Change]:
    turn = asyncio.Semaphore(READS_AT_ONCE)

    async def change(entry: Entry) -> _Change:
        async with turn:
            return await _change(upstream, request, entry)

    return list(await asyncio.gather(*(change(entry) for entry in entries_of(request, body, history))))


async def _change(upstream: Upstream, request: Request, entry: Entry) -> _Change:
    kind, _, resource_id = entry.url.partition("/")
    if kind != patient.TYPE:
        raise _invalid(f"{entry.place}.request.url", "the feed tells of Patients")
    if entry.resource is None:
        return _Change(entry, None)
    require_type(entry.resource, patient.TYPE, f"{entry.place}.resource")
    successor = successor_of(entry.resource)
    if successor is not None and entry.resource.get("active") is not False:
        raise _invalid(f"{entry.place}.resource.active", "a Patient that is replaced is not active")
    if successor is not None and not entry.resource.get("identifier"):
        return _Change(await _deprecated(upstream, request, entry, resource_id, successor), successor)
    # By its own number the Patient is found, or made; the source's logical id and address say nothing here.
    full_url = entry.full_url if entry.full_url.startswith("urn:") else ""
    is_revised = entry.method == "PUT" and successor is None and entry.resource.get("active") is not False
    return _Change(replace(entry, method="POST", url=patient.TYPE, full_url=full_url), successor, is_revised)


async def _deprecated(
    upstream: Upstream, request: Request, entry: Entry, resource_id: str, successor: dict[str, Any]
) -> Entry:
    """A merge may name the Patient by its id here alone; what else is known of them stays as it is filed."""
    found = await upstream["records.ReadResource"](
        service_pb2.ReadResourceRequest(type=patient.TYPE, id=resource_id), request
    )
    document = orjson.loads(found.resource.body)
    links = [link for link in document.get("link", ()) if link.get("type") != "replaced-by"]
    document |= {"active": False, "link": [*links, {"other": successor, "type": "replaced-by"}]}
    return replace(entry, method="PUT", resource=document, body=orjson.dumps(document))


def _ids(answer: Reply) -> list[str]:
    """The id of each entry's resource, from the Locations of a transaction-response; empty where there is none."""
    entries = orjson.loads(answer.body).get("entry", [])
    locations = (entry["response"].get("location", "") for entry in entries)
    return [location.partition("/_history/")[0].rpartition("/")[2] for location in locations]


def _response(request: Request, header: dict[str, Any]) -> bytes:
    """A message whose only entry says that the feed was taken."""
    made = str(uuid.uuid4())
    source = header.get("source")
    came_from = source.get("endpoint") if isinstance(source, dict) else None
    answer = {
        "resourceType": "MessageHeader",
        "id": made,
        "eventUri": f"{FEED}-response",
        "destination": [{"endpoint": came_from}] if isinstance(came_from, str) else [],
        "source": {"endpoint": f"{base_url(request)}/$process-message"},
        "response": {"identifier": str(header.get("id") or made), "code": "ok"},
    }
    entry = {"fullUrl": f"urn:uuid:{made}", "resource": {name: value for name, value in answer.items() if value}}
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    message = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "message", "timestamp": timestamp}
    return orjson.dumps({**message, "entry": [entry]})


def _within_history(error: Exception) -> Exception:
    """The error with places as the message has them: the history's entries lie within its second entry."""
    fault = fault_of(error)
    if fault is None or not fault.fields:
        return error
    fields = [
        FieldViolation(one.field.replace("Bundle.entry[", f"{HISTORY}.entry[", 1), one.reason, one.description)
        for one in fault.fields
    ]
    return Refusal(fault.code, fault.reason, fault.message, fields=fields, status=fault.status, headers=fault.headers)


def _invalid(place: str, text: str) -> InvalidArgumentError:
    return InvalidArgumentError("MESSAGE_INVALID", text, fields=[FieldViolation(place, "MESSAGE_INVALID", text)])
