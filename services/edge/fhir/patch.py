"""patch (https://hl7.org/fhir/R4/http.html#patch): JSON Patch (RFC 6902), FHIRPath Patch as Parameters, or merging (RFC 7396).

A Patient that is patched is registered anew as it is afterwards: records says what it would become, the index registers
that, and records stores the patch over the version that it was tried on.
"""

import grpc
import orjson
from nhip.records.v1 import resources_pb2, service_pb2

from services.edge.asgi import Reply, Request, media_type
from services.edge.faults import Refusal, fault_of
from services.edge.fhir import patient, registering, single
from services.edge.fhir.interaction import (
    read_body,
    require_id,
    require_type,
    version_wanted,
    written,
)
from services.edge.fhir.media import FHIR_TYPES, JSON_PATCH, MERGE_PATCH
from services.edge.upstream import Upstream

# A Patient that others change at the same time is tried so often before the caller hears of it.
_TRIALS = 3


async def patch(
    upstream: Upstream, request: Request, resource_type: str, resource_id: str, query: list[tuple[str, str]]
) -> Reply:
    """`PATCH [type]/[id]` or, without an id, `PATCH [type]?…`: 200; 422 where the patch does not fit the resource."""
    place = f"/{require_id(resource_type, resource_id)}" if resource_id else f"?{single.condition_of(query)}"
    entry = service_pb2.TransactionEntry(
        method="PATCH",
        url=resource_type + place,
        body=await _read_patch(request, resource_type),
        if_match=version_wanted(request),
    )
    try:
        if resource_type == patient.TYPE:
            result = await _patch_patient(upstream, request, entry)
        else:
            result = await single.carry_out(upstream, request, entry, resource_type)
    except Refusal as refusal:
        fault = refusal.fault
        if fault.reason != "RESOURCE_INVALID":
            raise
        # The patch is sound, what it would make is not.
        raise Refusal(fault.code, fault.reason, fault.message, fields=fault.fields, status=422) from None
    return written(request, result.resource, 200, located=False)


async def _read_patch(request: Request, resource_type: str) -> bytes:
    kind = media_type(request)
    if kind in {JSON_PATCH, MERGE_PATCH}:
        return await request.body()
    if kind not in FHIR_TYPES:
        accepted = ((b"accept-patch", f"{JSON_PATCH}, application/fhir+json".encode()),)
        raise Refusal(
            "INVALID_ARGUMENT",
            "CONTENT_TYPE_UNSUPPORTED",
            f"a patch is {JSON_PATCH}, {MERGE_PATCH}, or Parameters as application/fhir+json",
            status=415,
            headers=accepted,
        )
    body, document = await read_body(request)
    if document.get("resourceType") not in {None, "Parameters", resource_type}:
        require_type(document, "Parameters", "Parameters")
    return body


async def _patch_patient(
    upstream: Upstream, request: Request, entry: service_pb2.TransactionEntry
) -> service_pb2.TransactionResult:
    wanted = entry.if_match
    for trial in range(_TRIALS):
        entry.if_match = wanted
        tried = await single.carry_out(upstream, request, entry, patient.TYPE, validate_only=True)
        entry.if_match = version_before(tried)
        await register_planned(upstream, request, tried.resource)
        try:
            return await single.carry_out(upstream, request, entry, patient.TYPE)
        except (Refusal, grpc.aio.AioRpcError) as error:
            fault = fault_of(error)
            if wanted or trial == _TRIALS - 1 or fault is None or fault.reason != "VERSION_CONFLICT":
                raise
    raise AssertionError("the last trial returns or raises")


def version_before(tried: service_pb2.TransactionResult) -> int:
    """The version that a trial was made on."""
    is_unchanged = tried.outcome == resources_pb2.WRITE_OUTCOME_UNCHANGED
    return tried.resource.version if is_unchanged else tried.resource.version - 1


async def register_planned(upstream: Upstream, request: Request, planned: resources_pb2.StoredResource) -> None:
    """Registers a Patient as records says it would be. Raises as registering does."""
    registration = patient.to_registration(orjson.loads(planned.body), patient.organization_of(request))
    registration_id, _ = await registering.check(upstream, request, registration)
    if registration_id != planned.id:
        raise registering.registration_mismatch()
    await registering.register(upstream, request, registration)
