"""Errors of a neighbour that are the caller's own: passed on as they are."""

from collections.abc import Mapping

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.errors import (
    AbortedError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NhipError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)

_ERRORS: Mapping[grpc.StatusCode, type[NhipError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.ABORTED: AbortedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
}


def passed_on(error: grpc.aio.AioRpcError) -> NhipError:
    """What the neighbour said; where it said nothing that is meant for callers, that it does not answer."""
    kind = _ERRORS.get(error.code())
    status = rpc_status.from_call(error)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        if not detail.Unpack(info):
            detail.Unpack(bad)
    if kind is None or status is None or not info.reason:
        return UnavailableError(
            info.reason or "SERVICE_UNAVAILABLE",
            "records does not answer at the moment; try again",
            retry_after_seconds=5,
        )
    fields = [FieldViolation(one.field, one.reason, one.description) for one in bad.field_violations]
    return kind(info.reason, status.message, fields=fields)
