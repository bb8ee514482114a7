"""create (https://hl7.org/fhir/R4/http.html#create). A Patient is registered before it is filed.

What a Patient's create leaves behind: a registration in the patient index under the caller's organisation, and the
Patient in records under the registration's id. Records check it first, under an id that stands for the registration's, and
the index refuses what it refuses before it writes. The way may be cut off in between; the same request again finishes it,
since registering again finds the same registration. So a create of a Patient that is filed already is its update, and
answers 200 with the Location of what is stored.
"""

from typing import Any

import grpc
from nhip.records.v1 import resources_pb2, service_pb2

from libs.ids import new_id
from services.edge import soundjson
from services.edge.asgi import Reply, Request
from services.edge.faults import fault_of
from services.edge.fhir import patient, registering, single, wording
from services.edge.fhir.interaction import FORM_PARAMETERS, base_url, read_resource, written
from services.edge.upstream import Upstream

EXISTS = "RESOURCE_EXISTS"


async def create(upstream: Upstream, request: Request, resource_type: str) -> Reply:
    """`POST [type]`: 201 with a Location; 200 for the one match of If-None-Exist."""
    body, document = await read_resource(request, resource_type)
    message = service_pb2.CreateResourceRequest(
        type=resource_type,
        body=body,
        if_none_exist=_condition(request),
        request_id=request.header(b"idempotency-key"),
        base_url=base_url(request),
    )
    try:
        if resource_type == patient.TYPE:
            return await _create_patient(upstream, request, message, document)
        response = await upstream["records.CreateResource"](message, request)
    except grpc.aio.AioRpcError as error:
        raise (wording.of_condition(error) if message.if_none_exist else error) from None
    return _created(request, response)


def _condition(request: Request) -> str:
    """Of If-None-Exist; some clients put it into the URL, where it would be lost without a word."""
    condition = single.query_in(request.header(b"if-none-exist"))
    if condition or not request.scope["query_string"]:
        return condition
    asked = [pair for pair in request.query if pair[0] not in FORM_PARAMETERS]
    return single.condition_of(asked) if asked else ""


async def _create_patient(
    upstream: Upstream, request: Request, message: service_pb2.CreateResourceRequest, document: dict[str, Any]
) -> Reply:
    registration = patient.to_registration(document, patient.organization_of(request))
    found = await _check(upstream, request, message)
    if found.outcome == resources_pb2.WRITE_OUTCOME_UNCHANGED and found.resource.id:
        return _created(request, found)
    message.id = await registering.register(upstream, request, registration)
    try:
        # Waits until records know whose the registration is: who asks next asks about the whole person.
        response = await upstream["records.CreateResource"](message, request)
    except grpc.aio.AioRpcError as error:
        if not _is_there_already(error):
            raise
        return await _update_filed(upstream, request, message)
    return _created(request, response)


async def _check(
    upstream: Upstream, request: Request, message: service_pb2.CreateResourceRequest
) -> service_pb2.CreateResourceResponse:
    """What creating would answer. Raises AioRpcError as creating would."""
    trial = service_pb2.CreateResourceRequest()
    trial.CopyFrom(message)
    trial.id = new_id()
    trial.id_is_provisional = True
    trial.validate_only = True
    trial.request_id = ""
    response: service_pb2.CreateResourceResponse = await upstream["records.CreateResource"](trial, request)
    return response


async def _update_filed(upstream: Upstream, request: Request, message: service_pb2.CreateResourceRequest) -> Reply:
    body = soundjson.with_member(soundjson.decode_text(message.body), "id", message.id)
    # The same content again changes nothing, so the update needs no request id; the create may have used it.
    update = service_pb2.UpdateResourceRequest(
        type=message.type, id=message.id, body=body.encode(), base_url=message.base_url
    )
    response = await upstream["records.UpdateResource"](update, request)
    return written(request, response.resource, 200, located=True)


def _created(request: Request, response: service_pb2.CreateResourceResponse) -> Reply:
    status = 201 if response.outcome == resources_pb2.WRITE_OUTCOME_CREATED else 200
    return written(request, response.resource, status, located=True)


def _is_there_already(error: grpc.aio.AioRpcError) -> bool:
    fault = fault_of(error)
    return fault is not None and fault.reason == EXISTS
