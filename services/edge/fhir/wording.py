"""Errors of records that name fields of a message, in the words of the HTTP request that the message was made of."""

import re
from collections.abc import Callable, Sequence

import grpc

from libs.errors import FieldViolation
from services.edge.faults import Refusal, fault_of

_PARAMETER = re.compile(r"parameters\[([0-9]{1,3})\]\.(name|value)")


def reworded(error: grpc.aio.AioRpcError, word_of: Callable[[str], str]) -> Exception:
    """The error with `word_of` each field that it names; empty for what has no place of its own."""
    fault = fault_of(error)
    if fault is None or not fault.fields:
        return error
    fields = [FieldViolation(word_of(one.field), one.reason, one.description) for one in fault.fields]
    return Refusal(
        fault.code,
        fault.reason,
        fault.message,
        fields=fields,
        retry_after_seconds=fault.retry_after_seconds,
        metadata=fault.metadata,
    )


def of_query(error: grpc.aio.AioRpcError, names: Sequence[str] = ()) -> Exception:
    """The error of a message whose `parameters` have these names, and whose `page_token` came as `_page`."""

    def word_of(field: str) -> str:
        match = _PARAMETER.fullmatch(field)
        if match is not None:
            return names[int(match[1])]
        return {"page_token": "_page", "parameters": ""}.get(field, field)

    return reworded(error, word_of)


def of_condition(error: grpc.aio.AioRpcError) -> Exception:
    """The error of a creation whose condition came as a header."""
    return reworded(error, lambda field: "If-None-Exist" if field == "if_none_exist" else field)
