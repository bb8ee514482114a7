"""What went wrong, in one shape, whether a service said so or the edge itself; rendered by problems and outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.errors import FieldViolation, Kind, NhipError

# What a caller is told when a service said nothing that is meant for callers.
_SILENT = {
    "UNAVAILABLE": ("SERVICE_UNAVAILABLE", "a service does not answer at the moment; try again"),
    "DEADLINE_EXCEEDED": ("DEADLINE_EXCEEDED", "the answer did not come in time"),
    "RESOURCE_EXHAUSTED": ("MESSAGE_TOO_LARGE", "the message is larger than services take"),
    "UNIMPLEMENTED": ("UNIMPLEMENTED", "the platform does not do this"),
    "CANCELLED": ("CANCELLED", "the call was cancelled"),
    "UNAUTHENTICATED": ("UNAUTHENTICATED", "it is not known who calls"),
    "PERMISSION_DENIED": ("PERMISSION_DENIED", "the caller may not do this"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as the caller may know it. `code` is a gRPC status name; `status` an HTTP status that overrides it."""

    code: str
    reason: str
    message: str
    fields: Sequence[FieldViolation] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: float | None = None
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):  # noqa: N818 it is the answer to a request, not a defect
    """Ends a request with a fault that the edge found itself."""

    def __init__(
        self,
        code: str,
        reason: str,
        message: str,
        *,
        fields: Sequence[FieldViolation] = (),
        status: int = 0,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """`code` is a gRPC status name, `status` the HTTP status where that name does not tell it."""
        super().__init__(reason)
        self.fault = Fault(code, reason, message, fields, metadata or {}, retry_after_seconds, status, headers)


def fault_of(error: BaseException) -> Fault | None:
    """The fault that an exception stands for; None for what nobody expected."""
    if isinstance(error, Refusal):
        return error.fault
    if isinstance(error, NhipError):
        return Fault(
            error.kind.value, error.reason, error.message, error.fields, error.metadata, error.retry_after_seconds
        )
    if isinstance(error, grpc.aio.AioRpcError):
        return _from_call(error)
    return None


def unexpected() -> Fault:
    """What a caller learns of a defect."""
    return Fault(Kind.INTERNAL.value, "INTERNAL", "internal error; it has been noted")


def _from_call(error: grpc.aio.AioRpcError) -> Fault:
    code = error.code().name
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        status = None
    reason, fields, metadata, retry = "", [], {}, None
    for detail in status.details if status is not None else ():
        info, bad, delay = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields = [FieldViolation(v.field, v.reason, v.description) for v in bad.field_violations]
        elif detail.Unpack(delay):
            retry = delay.retry_delay.ToNanoseconds() / 1e9
    if status is None or not reason:
        # gRPC's own words may hold addresses and versions.
        silent = _SILENT.get(code)
        if silent is None:
            return unexpected()
        return Fault(code, *silent, retry_after_seconds=1 if code == "UNAVAILABLE" else None)
    return Fault(code, reason, status.message, fields, metadata, retry)
