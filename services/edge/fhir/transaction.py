"""transaction (https://hl7.org/fhir/R4/http.html#transaction): all or nothing.

A Patient within a transaction is registered before it is stored, and the index commits by itself. So the transaction is
checked whole first: each Patient by the index, everything by records. Then the Patients are registered, then records
commits the rest in one. When the way is cut off between the two, registrations without records remain; the same
transaction sent again finds them and goes on.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import grpc
import orjson
from nhip.patient_index.v1 import resources_pb2 as patient_index_resources_pb2
from nhip.patient_index.v1 import service_pb2 as patient_index_pb2
from nhip.records.v1 import resources_pb2, service_pb2

from libs.errors import FieldViolation, InvalidArgumentError, NhipError
from services.edge import soundjson
from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal, fault_of
from services.edge.fhir import bundle, patient, registering
from services.edge.fhir.batch import Answer, alone_of, response_of
from services.edge.fhir.create import EXISTS
from services.edge.fhir.incoming import Entry
from services.edge.fhir.interaction import base_url, preference
from services.edge.fhir.outcome import CONTENT_TYPE
from services.edge.fhir.read import answer as read_answer
from services.edge.upstream import Upstream

# How many Patients are checked at the index at the same time.
CHECKS_AT_ONCE = 8
# What BatchRegister takes in one call.
REGISTRATIONS_AT_ONCE = 2000
# Reasons by which records tell of a Patient that is not filed yet, and of a key that was used for something else.
UNKNOWN = "RESOURCE_UNKNOWN"
REUSED = "REQUEST_ID_REUSED"
_PLACE = re.compile(r"^Bundle\.entry\[([0-9]{1,4})\]")
_ANY_PLACE = re.compile(r"\bBundle\.entry\[([0-9]{1,4})\]")
_READS = frozenset({"GET", "HEAD"})
# A read of one resource, or of one version; all else is a search or an operation.
_ONE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(/_history/[0-9]+)?")
_TYPE_END = re.compile(r"[/?]")
_STATUS = {
    resources_pb2.WRITE_OUTCOME_CREATED: 201,
    resources_pb2.WRITE_OUTCOME_DELETED: 204,
}


@dataclass(frozen=True, slots=True)
class _Patient:
    """A Patient of the transaction, and what the index makes of it."""

    entry: Entry
    registration: patient_index_resources_pb2.Registration
    registration_id: str
    # True if the index knew the registration before.
    is_registered: bool


async def transaction(upstream: Upstream, answer: Answer, request: Request, entries: Sequence[Entry]) -> Reply:
    """Carries out the entries of a transaction Bundle; answers a transaction-response.

    Reads come last and see what was written. Those that are no read of one resource, such as searches, are answered by
    `answer`, as in a batch, once the rest is committed; one that cannot be answered stops the transaction before.
    """
    later = [entry for entry in entries if entry.method in _READS and _ONE.fullmatch(entry.url) is None]
    kept = [replace(entry, index=at) for at, entry in enumerate(one for one in entries if one not in later)]
    answers: list[bytes] = []
    if len(later) < len(entries):
        for entry in later:
            await _require_answerable(answer, request, entry)
        try:
            answers = await _execute_all(upstream, request, kept)
        except (grpc.aio.AioRpcError, NhipError, Refusal) as error:
            raise (_renumbered(error, entries, later) if later else error) from None
    read = [response_of(await _answered(answer, request, entry), is_head=entry.method == "HEAD") for entry in later]
    both = {"later": iter(read), "kept": iter(answers)}
    ordered = [next(both["later" if entry in later else "kept"]) for entry in entries]
    return Reply(200, bundle.assemble("transaction-response", [], ordered), CONTENT_TYPE)


async def _answered(answer: Answer, request: Request, entry: Entry) -> Reply:
    alone = alone_of(request, entry)
    for position in request.positions:
        alone.stand_at(position)
    return await answer(alone)


async def _require_answerable(answer: Answer, request: Request, entry: Entry) -> None:
    """Raises Refusal, with the entry's place, for a read that is refused whatever is stored."""
    reply = await _answered(answer, request, entry)
    if reply.status < HTTPStatus.BAD_REQUEST:
        return
    issues = orjson.loads(reply.body).get("issue") or [{}]
    said = str(issues[0].get("diagnostics", ""))
    violation = FieldViolation(f"{entry.place}.request.url", str(issues[0].get("code", "processing")), said)
    raise Refusal("INVALID_ARGUMENT", "BUNDLE_INVALID", said, fields=[violation], status=reply.status)


def _renumbered(error: Exception, entries: Sequence[Entry], later: Sequence[Entry]) -> Exception:
    """The error with the entries' own numbers, after some were left out."""
    fault = fault_of(error)
    if fault is None:
        return error
    numbers = [number for number, entry in enumerate(entries) if entry not in later]

    def own(match: re.Match[str]) -> str:
        return f"Bundle.entry[{numbers[int(match[1])]}]"

    fields = [FieldViolation(_ANY_PLACE.sub(own, one.field), one.reason, one.description) for one in fault.fields]
    message = _ANY_PLACE.sub(own, fault.message)
    return Refusal(fault.code, fault.reason, message, fields=fields, status=fault.status, headers=fault.headers)


async def _execute_all(upstream: Upstream, request: Request, entries: Sequence[Entry]) -> list[bytes]:
    patients = await _known_to_index(upstream, request, entries)
    message = service_pb2.ExecuteTransactionRequest(
        entries=[_to_wire(entry) for entry in entries], base_url=base_url(request)
    )
    for found in patients:
        _make_create(message.entries[found.entry.index], found)
    key = request.header(b"idempotency-key")
    if patients and key and all(found.is_registered for found in patients):
        before = await _carried_out_before(upstream, request, message, patients, key)
        if before is not None:
            await _register(upstream, request, patients)
            return _answer(request, entries, *before)
    if patients:
        for found in filter(_is_likely_filed, patients):
            _make_update(message.entries[found.entry.index], found)
        message.validate_only = message.omit_bodies = True
        tried = await _execute(upstream, request, message, patients)
        for found in patients:
            # Only records know whom a condition or a patch is about.
            is_aimed = found.entry.method == "PATCH" or "?" in found.entry.url
            if is_aimed and tried.results[found.entry.index].resource.id != found.registration_id:
                raise registering.registration_mismatch(f"{found.entry.place}.resource")
        message.validate_only = False
        await _register(upstream, request, patients)
    message.request_id = key
    # What is remembered under a key is remembered whole, and found again by the whole request.
    message.omit_bodies = not (key or _wants_resources(request))
    response = await _execute(upstream, request, message, patients)
    return _answer(request, entries, message, response)


async def _carried_out_before(
    upstream: Upstream,
    request: Request,
    message: service_pb2.ExecuteTransactionRequest,
    patients: Sequence[_Patient],
    key: str,
) -> tuple[service_pb2.ExecuteTransactionRequest, service_pb2.ExecuteTransactionResponse] | None:
    """What records answered under the key before, to the creating or the updating form; None when they know of neither.

    A retry cannot be checked first: it would be held against what it did itself. What records do not remember they
    check whole before they write; should they find it good, then only the registration of its Patients was done before.
    """
    updating = service_pb2.ExecuteTransactionRequest()
    updating.CopyFrom(message)
    for found in filter(_is_likely_filed, patients):
        _make_update(updating.entries[found.entry.index], found)
    for form in (message, updating):
        trial = service_pb2.ExecuteTransactionRequest(entries=form.entries, request_id=key, base_url=form.base_url)
        try:
            return trial, await upstream["records.ExecuteTransaction"](trial, request)
        except grpc.aio.AioRpcError as error:
            fault = fault_of(error)
            if fault is None or fault.reason != REUSED:
                return None
    return None


async def _known_to_index(upstream: Upstream, request: Request, entries: Sequence[Entry]) -> list[_Patient]:
    """Each Patient that is written, checked by the index, with the id that it has or will have."""
    wanted = [entry for entry in entries if _writes_patient(entry)]
    if not wanted:
        return []
    organization_id = patient.organization_of(request)
    turn = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def checked(entry: Entry) -> _Patient:
        resource = entry.resource or {}
        if entry.method == "PATCH":
            resource = await _planned(upstream, request, entry)
        registration = patient.to_registration(resource, organization_id, f"{entry.place}.resource")
        async with turn:
            registration_id, is_known = await registering.check(
                upstream, request, registration, f"{entry.place}.resource"
            )
        is_addressed = entry.method == "PUT" and "?" not in entry.url
        if is_addressed and entry.url != f"{patient.TYPE}/{registration_id}":
            raise registering.registration_mismatch(f"{entry.place}.resource")
        return _Patient(entry, registration, registration_id, is_known)

    return list(await asyncio.gather(*(checked(entry) for entry in wanted)))


async def _planned(upstream: Upstream, request: Request, entry: Entry) -> dict[str, Any]:
    """The Patient as it would be after a patch."""
    message = service_pb2.ExecuteTransactionRequest(entries=[_to_wire(entry)], validate_only=True)
    try:
        response = await upstream["records.ExecuteTransaction"](message, request)
    except grpc.aio.AioRpcError as error:
        raise _renumbered(error, [*[replace(entry, index=-1)] * entry.index, entry], []) from None
    planned: dict[str, Any] = orjson.loads(response.results[0].resource.body)
    return planned


def _writes_patient(entry: Entry) -> bool:
    return entry.method in {"POST", "PUT", "PATCH"} and _TYPE_END.split(entry.url, maxsplit=1)[0] == patient.TYPE


async def _execute(
    upstream: Upstream, request: Request, message: service_pb2.ExecuteTransactionRequest, patients: Sequence[_Patient]
) -> service_pb2.ExecuteTransactionResponse:
    """Executes; a Patient that turns out to be filed already is updated instead of created, or the other way round."""
    turned: set[tuple[int, str]] = set()
    posted = {found.entry.index: found for found in patients if found.entry.method == "POST"}
    while True:
        try:
            response: service_pb2.ExecuteTransactionResponse = await upstream["records.ExecuteTransaction"](
                message, request
            )
        except grpc.aio.AioRpcError as error:
            reason, places = _named_entries(error)
            turns = [(place, reason) for place in places if place in posted and (place, reason) not in turned]
            if not turns:
                raise
            turned.update(turns)
            for place, _ in turns:
                turn = _make_update if reason == EXISTS else _make_create
                turn(message.entries[place], posted[place])
        else:
            return response


def _named_entries(error: grpc.aio.AioRpcError) -> tuple[str, list[int]]:
    """Which entries are there already, or are not there yet."""
    fault = fault_of(error)
    if fault is None or fault.reason not in {EXISTS, UNKNOWN}:
        return "", []
    matches = (_PLACE.match(violation.field) for violation in fault.fields)
    return fault.reason, [int(match[1]) for match in matches if match is not None]


def _is_likely_filed(found: _Patient) -> bool:
    """True where an update is the better first guess. A conditional create may find somebody else, so it stays one."""
    return found.is_registered and found.entry.method == "POST" and not found.entry.if_none_exist


def _make_create(entry: service_pb2.TransactionEntry, found: _Patient) -> None:
    """The Patient's entry as it came, with the id that it will have."""
    entry.CopyFrom(_to_wire(found.entry))
    if found.entry.method == "POST" or "?" in found.entry.url:
        entry.id = found.registration_id


def _make_update(entry: service_pb2.TransactionEntry, found: _Patient) -> None:
    """The Patient's entry as an update of what is filed already."""
    entry.method = "PUT"
    entry.url = f"{patient.TYPE}/{found.registration_id}"
    entry.body = soundjson.with_member(found.entry.body.decode(), "id", found.registration_id).encode()
    entry.id = ""
    entry.if_none_exist = ""


async def _register(upstream: Upstream, request: Request, patients: Sequence[_Patient]) -> None:
    for start in range(0, len(patients), REGISTRATIONS_AT_ONCE):
        some = patients[start : start + REGISTRATIONS_AT_ONCE]
        batch = patient_index_pb2.BatchRegisterRequest(registrations=[found.registration for found in some])
        response = await upstream["patient_index.BatchRegister"](batch, request)
        violations = [
            FieldViolation(
                registering.element_at(result.error_field, f"{found.entry.place}.resource"),
                result.error_reason,
                result.error_message,
            )
            for found, result in zip(some, response.results, strict=True)
            if result.error_reason
        ]
        if violations:
            first = violations[0]
            raise InvalidArgumentError(first.reason, f"{first.field}: {first.description}", fields=violations)


def _to_wire(entry: Entry) -> service_pb2.TransactionEntry:
    return service_pb2.TransactionEntry(
        full_url=entry.full_url,
        method="GET" if entry.method == "HEAD" else entry.method,
        url=entry.url,
        body=entry.body,
        if_none_exist=entry.if_none_exist,
        if_match=entry.if_match,
    )


def _answer(
    request: Request,
    entries: Sequence[Entry],
    message: service_pb2.ExecuteTransactionRequest,
    response: service_pb2.ExecuteTransactionResponse,
) -> list[bytes]:
    base = base_url(request)
    wants_resources = _wants_resources(request)
    answers = []
    for entry, sent, result in zip(entries, message.entries, response.results, strict=True):
        stored = result.resource if result.HasField("resource") else None
        if entry.method in _READS and stored is not None:
            reply = read_answer(alone_of(request, entry), stored)
            answers.append(response_of(reply, is_head=entry.method == "HEAD"))
            continue
        status = 204 if sent.method == "DELETE" else _STATUS.get(result.outcome, 200)
        shows = stored is not None and wants_resources and status != HTTPStatus.NO_CONTENT
        answers.append(
            bundle.response_entry(base, status, stored, stored.body if shows and stored is not None else b"")
        )
    return answers


def _wants_resources(request: Request) -> bool:
    return preference(request, "return").lower() == "representation"
