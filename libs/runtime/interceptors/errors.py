"""Turns domain errors into `google.rpc.Status`, and unknown ones into a status that says nothing of the inside."""

import asyncio
import logging

import asyncpg
import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from libs.errors import DOMAIN, InvalidArgumentError, NhipError, ResourceExhaustedError, UnavailableError
from libs.runtime.call import Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

log = logging.getLogger(__name__)


class Errors:
    """The one place where errors become statuses."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""

        async def answered(call: Call) -> Message | None:
            try:
                return await handler(call)
            except NhipError as error:
                status = to_status(error)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                raise
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                translated = database_error(error)
                if translated is None:
                    status = _unknown(method, error)
                else:
                    log.warning("%s failed in the database: %s", method.label, type(error).__name__)
                    status = to_status(translated)
            except Exception as error:  # noqa: BLE001 whatever it is, the caller learns nothing of it and we everything
                status = _unknown(method, error)
            await call.context.abort_with_status(rpc_status.to_status(status))
            raise AssertionError("abort_with_status raises")

        return answered


def database_error(error: BaseException) -> NhipError | None:
    """What a database's failure means to the caller; None when it is a mistake of ours."""
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return InvalidArgumentError("TEXT_INVALID", "a text holds a character that cannot be stored, such as NUL")
    if isinstance(error, asyncpg.DiskFullError | asyncpg.OutOfMemoryError):
        return ResourceExhaustedError("STORAGE_FULL", "the service cannot store any more; nothing was written")
    transient = (
        OSError,
        asyncpg.InterfaceError,
        # Asked in the moment when the server has said that it goes, and has not gone.
        asyncpg.InternalClientError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.TooManyConnectionsError,
        asyncpg.LockNotAvailableError,
        asyncpg.TransactionRollbackError,
        asyncpg.IdleInTransactionSessionTimeoutError,
    )
    if isinstance(error, transient):
        return UnavailableError(
            "DATABASE_UNAVAILABLE", "the service's database does not answer; try again", retry_after_seconds=1
        )
    return None


def _unknown(method: Method, error: Exception) -> status_pb2.Status:
    log.error("%s failed for an unknown reason", method.label, exc_info=error)
    return status_pb2.Status(code=code_pb2.INTERNAL, message="internal error; it has been noted")


def to_status(error: NhipError) -> status_pb2.Status:
    """A domain error as google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they apply."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[Message] = [info]
    if error.fields:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=violation.field, reason=violation.reason, description=violation.description
                    )
                    for violation in error.fields
                ]
            )
        )
    if error.retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        details.append(retry)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.kind.value), message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
