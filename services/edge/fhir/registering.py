"""Calls of the patient index for a Patient, with what it refuses told in the Patient's own places."""

import re

import grpc
from nhip.patient_index.v1 import resources_pb2, service_pb2

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.asgi import Request
from services.edge.faults import Refusal, fault_of
from services.edge.fhir.patient import TYPE
from services.edge.upstream import Upstream

_FIELD = re.compile(r"^(?:registrations?(?:\[[0-9]+\])?\.)?([a-z_]+)")
# Field of a registration → element of a Patient. Positions are left out: names and numbers change their order on the way.
_ELEMENTS = {
    "local_number": "identifier",
    "identifiers": "identifier",
    "names": "name",
    "sex": "gender",
    "birth_date": "birthDate",
    "death_date": "deceased",
    "address": "address",
    "phone": "telecom",
    "nationality": "extension",
}


async def check(
    upstream: Upstream, request: Request, registration: resources_pb2.Registration, place: str = TYPE
) -> tuple[str, bool]:
    """The id that the registration has or will have, and whether it is known already; nothing is written.

    Raises AioRpcError, or Refusal with the element of the Patient at `place`.
    """
    response = await _register(upstream, request, registration, place, validate_only=True)
    is_known = response.outcome != service_pb2.REGISTRATION_OUTCOME_CREATED
    return response.registration.registration_id, is_known


async def register(
    upstream: Upstream, request: Request, registration: resources_pb2.Registration, place: str = TYPE
) -> str:
    """Registers, or updates the registration; answers its id. Raises as `check`."""
    response = await _register(upstream, request, registration, place, validate_only=False)
    return response.registration.registration_id


def element_at(field: str, place: str = TYPE) -> str:
    """`registration.names[0].given` as `Patient.name`."""
    match = _FIELD.match(field)
    element = _ELEMENTS.get(match[1], "") if match is not None else ""
    return f"{place}.{element}" if element else place


def registration_mismatch(place: str = TYPE) -> InvalidArgumentError:
    """The Patient's own number is another registration's."""
    violation = FieldViolation(
        f"{place}.identifier", "REGISTRATION_MISMATCH", "the organisation's number leads to another registration"
    )
    return InvalidArgumentError(
        "REGISTRATION_MISMATCH", "the Patient's own number belongs to another registration", fields=[violation]
    )


async def _register(
    upstream: Upstream,
    request: Request,
    registration: resources_pb2.Registration,
    place: str,
    *,
    validate_only: bool,
) -> service_pb2.RegisterResponse:
    message = service_pb2.RegisterRequest(registration=registration, validate_only=validate_only)
    try:
        response: service_pb2.RegisterResponse = await upstream["patient_index.Register"](message, request)
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        if fault is None or not fault.fields:
            raise
        fields = [FieldViolation(element_at(one.field, place), one.reason, one.description) for one in fault.fields]
        raise Refusal(fault.code, fault.reason, fault.message, fields=fields) from None
    return response
