"""update (https://hl7.org/fhir/R4/http.html#update). An id that is not there is not created: ids are the server's.

A Patient is checked with records and with the patient index, then registered anew, then stored. Its own number must lead
to the registration that the URL names: a number is corrected by registering and linking, not by writing over somebody.
"""

import re
from typing import Any

import grpc
from nhip.records.v1 import service_pb2

from libs.errors import FieldViolation
from services.edge.asgi import Reply, Request
from services.edge.faults import Refusal, fault_of
from services.edge.fhir import patient, registering
from services.edge.fhir.interaction import read_resource, require_id, version_wanted, written
from services.edge.upstream import Upstream

_ENTRY = re.compile(r"^Bundle\.entry\[0\](\.resource)?(\.ofType\(Patient\))?")


async def update(upstream: Upstream, request: Request, resource_type: str, resource_id: str) -> Reply:
    """`PUT [type]/[id]`: 200; 404 for an unknown id; 412 when If-Match names another version."""
    require_id(resource_type, resource_id)
    if_match = version_wanted(request)
    body, document = await read_resource(request, resource_type, resource_id)
    message = service_pb2.UpdateResourceRequest(
        type=resource_type,
        id=resource_id,
        body=body,
        if_match=if_match,
        request_id=request.header(b"idempotency-key"),
    )
    if resource_type == patient.TYPE:
        return await _update_patient(upstream, request, message, document)
    response = await upstream["records.UpdateResource"](message, request)
    return written(request, response.resource, 200, located=False)


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
    return written(request, response.resource, 200, located=False)


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
        return _of_single(error)
    return None


def _of_single(error: grpc.aio.AioRpcError) -> Exception:
    """The error of a transaction with one entry, as the error of the entry alone."""
    fault = fault_of(error)
    if fault is None or not fault.fields:
        return error
    fields = [
        FieldViolation(_ENTRY.sub(patient.TYPE, violation.field), violation.reason, violation.description)
        for violation in fault.fields
    ]
    return Refusal(fault.code, fault.reason, fault.message, fields=fields)
