"""Holds every request against the rules that its fields declare (buf.validate)."""

from collections.abc import AsyncIterator
from typing import Any

import protovalidate
from google.protobuf.message import Message

from libs.errors import FieldViolation, InvalidArgumentError
from libs.runtime.call import Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

_validator = protovalidate.Validator()


def violations_of(message: Message) -> list[FieldViolation]:
    """What is wrong with a message; the values themselves are not repeated."""
    return [
        FieldViolation(
            _path(violation.proto.field), violation.proto.rule_id.upper().replace(".", "_"), violation.proto.message
        )
        for violation in _validator.collect_violations(message)
    ]


def _path(path: Any) -> str:
    parts = []
    for element in path.elements:
        subscript = element.subscript
        index = "" if subscript is None else f"[{subscript.value}]"
        parts.append(f"{element.field_name}{index}")
    return ".".join(parts)


def require_valid(message: Message) -> None:
    """Raises InvalidArgumentError, reason FIELD_INVALID, with every violation."""
    violations = violations_of(message)
    if violations:
        first = violations[0]
        raise InvalidArgumentError("FIELD_INVALID", f"{first.field}: {first.description}", fields=violations)


class Validation:
    """Also of each message of a stream."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        del method

        async def checked(call: Call) -> Message | None:
            if call.request is not None:
                require_valid(call.request)
            elif call.requests is not None:
                call.requests = _checked_stream(call.requests)
            return await handler(call)

        return checked


async def _checked_stream(messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for message in messages:
        require_valid(message)
        yield message
