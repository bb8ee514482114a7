"""update (https://hl7.org/fhir/R4/http.html#update), of an id or of the one resource that a condition matches.

An id that is not there is created only where the deployment's policy lets callers choose ids; elsewhere it is answered
405, as the specification has it.

A Patient is checked with records and with the patient index, then registered anew, then stored. Its own number must lead
to the registration that the URL names: a number is corrected by registering and linking, not by writing over somebody. A
Patient that is no longer active and names who replaces it is linked to that one's person (PIXm's [ITI-104]).
"""

from typing import Any

import grpc
from nhip.records.v1 import resources_pb2, service_pb2

from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal, fault_of
from services.edge.fhir import patient, registering, single
from services.edge.fhir.ihe.merging import merge_if_replaced
from services.edge.fhir.interaction import base_url, read_resource, require_id, version_wanted, written
from services.edge.upstream import Upstream

UNKNOWN = "RESOURCE_UNKNOWN"
CREATED = resources_pb2.WRITE_OUTCOME_CREATED


async def update(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`PUT [type]/[id]`: 200, or 201 for one that is made; 405 for an unknown id; 412 for another version in If-Match."""
    require_id(resource_type, resource_id)
    if_match = version_wanted(request)
    body, document = await read_resource(request, resource_type, resource_id)
    message = service_pb2.UpdateResourceRequest(
        type=resource_type,
        id=resource_id,
        body=body,
        if_match=if_match,
        request_id=request.header(b"idempotency-key"),
        base_url=base_url(request),
    )
    try:
        if resource_type == patient.TYPE:
            return await _update_patient(upstream, request, message, document)
        response = await upstream["records.UpdateResource"](message, request)
    except (grpc.aio.AioRpcError, Refusal) as error:
        raise _as_method_refused(error) from None
    return _written(request, response.resource, response.outcome)


async def update_matching(
    upstream: Upstream, request: Request, resource_type: str, query: list[tuple[str, str]]
) -> Reply:
    """`PUT [type]?…`: 200 for the one match, 201 where nothing matches, 412 for several matches."""
    entry = service_pb2.TransactionEntry(
        method="PUT", url=f"{resource_type}?{single.condition_of(query)}", if_match=version_wanted(request)
    )
    entry.body, document = await read_resource(request, resource_type)
    if resource_type == patient.TYPE:
        await _register_matching(upstream, request, entry, document)
    result = await single.carry_out(upstream, request, entry, resource_type)
    if resource_type == patient.TYPE:
        await merge_if_replaced(upstream, request, result.resource.id, document)
    return _written(request, result.resource, result.outcome)


def _written(request: Request, stored: resources_pb2.StoredResource, outcome: int) -> Reply:
    is_new = outcome == CREATED
    return written(request, stored, 201 if is_new else 200, located=is_new)


def _as_method_refused(error: Exception) -> Exception:
    fault = fault_of(error)
    if fault is None or fault.reason != UNKNOWN:
        return error
    return Refusal(
        fault.code, fault.reason, fault.message, fields=fault.fields, status=405, headers=((b"allow", b"GET, HEAD"),)
    )


async def _register_matching(
    upstream: Upstream, request: Request, entry: service_pb2.TransactionEntry, document: dict[str, Any]
) -> None:
    """Registers a Patient once records says that the update would be of that registration."""
    registration = patient.to_registration(document, patient.organization_of(request))
    entry.id, _ = await registering.check(upstream, request, registration)
    tried = await single.carry_out(upstream, request, entry, patient.TYPE, validate_only=True)
    if tried.resource.id != entry.id:
        raise registering.registration_mismatch()
    await registering.register(upstream, request, registration)


async def _update_patient(
    upstream: Upstream, request: Request, message: service_pb2.UpdateResourceRequest, document: dict[str, Any]
) -> Reply:
    registration = patient.to_registration(document, patient.organization_of(request))
    # Records speak first: who may not see the Patient learns nothing of its registration.
    refused = await _refusal(upstream, request, message)
    if refused is not None and not message.request_id:
        raise refused
    registration_id, _ = await registering.check(upstream, request, registration)
    if registration_id != message.id:
        raise refused or registering.registration_mismatch()
    if refused is None:
        await registering.register(upstream, request, registration)
    try:
        response = await upstream["records.UpdateResource"](message, request)
    except grpc.aio.AioRpcError:
        if refused is None:
            raise
        # Records remember nothing of this request id, so what they said at first holds.
        raise refused from None
    await merge_if_replaced(upstream, request, message.id, document)
    return _written(request, response.resource, response.outcome)


async def _refusal(
    upstream: Upstream, request: Request, message: service_pb2.UpdateResourceRequest
) -> Exception | None:
    """Why records would not take the update; None when they would."""
    entry = service_pb2.TransactionEntry(
        method="PUT", url=f"{message.type}/{message.id}", body=message.body, if_match=message.if_match
    )
    try:
        await upstream["records.ExecuteTransaction"](
            service_pb2.ExecuteTransactionRequest(entries=[entry], validate_only=True), request
        )
    except grpc.aio.AioRpcError as error:
        return single.of_single(error, patient.TYPE)
    return None
