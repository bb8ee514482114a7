"""JSON documents and query strings into protobuf messages, strictly, with every mistake named by its place.

The mapping is protobuf's own (JSON names and original names, enums by name, 64-bit integers as strings or numbers, bytes
in base64, Timestamps in RFC 3339). json_format is not used this way round: it stops at the first mistake and quotes the
value, which may be personal.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.errors import FieldViolation, InvalidArgumentError

TIMESTAMP = "google.protobuf.Timestamp"
_F = FieldDescriptor
_SIGNED_32 = (-(1 << 31), (1 << 31) - 1)
_SIGNED_64 = (-(1 << 63), (1 << 63) - 1)
_RANGES = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), _SIGNED_32),
    **dict.fromkeys((_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64), _SIGNED_64),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), (0, (1 << 32) - 1)),
    **dict.fromkeys((_F.TYPE_UINT64, _F.TYPE_FIXED64), (0, (1 << 64) - 1)),
}
# Twenty digits and a sign are all that 64 bits need.
_WHOLE = re.compile(r"-?[0-9]{1,20}")
# A mistake stops nothing, but the list of them ends somewhere.
MAX_VIOLATIONS = 50


class _MistakeError(ValueError):
    """What is wrong with one value: a reason and words that do not quote it."""

    def __init__(self, reason: str, description: str) -> None:
        super().__init__(description)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    is_repeated: bool
    # For a message that is no scalar in JSON: its descriptor.
    message: Descriptor | None
    # From a JSON value, or from the text of a query.
    convert: Callable[[Any, bool], Any]


@cache
def fields_of(descriptor: Descriptor) -> Mapping[str, _Field]:
    """The fields of a message by both of their names."""
    found = {}
    for field in descriptor.fields:
        kind = field.message_type
        is_scalar = kind is None or kind.full_name == TIMESTAMP
        known = _Field(field.name, field.is_repeated, None if is_scalar else kind, _converter(field))
        found[field.name] = found[field.json_name] = known
    return found


class Reading:
    """One request being read: collects what is wrong with it."""

    def __init__(self) -> None:
        self.violations: list[FieldViolation] = []

    def note(self, place: str, reason: str, description: str) -> None:
        """Notes a mistake."""
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(FieldViolation(place, reason, description))

    def finish(self) -> None:
        """Raises InvalidArgumentError if anything was wrong."""
        if self.violations:
            first = self.violations[0]
            count = len(self.violations)
            more = f" (and {count - 1} more)" if count > 1 else ""
            raise InvalidArgumentError(
                "REQUEST_MALFORMED", f"{first.field or 'the body'}: {first.description}{more}", fields=self.violations
            )

    def document(self, message: Message, document: Any, place: str) -> None:
        """Reads a JSON object into a message."""
        if not isinstance(document, dict):
            self.note(place, "OBJECT_EXPECTED", "an object belongs here")
            return
        known = fields_of(message.DESCRIPTOR)
        seen: set[str] = set()
        for name, value in document.items():
            here = f"{place}.{name}" if place else name
            field = known.get(name)
            if field is None:
                self.note(_shown(here), "FIELD_UNKNOWN", "there is no such field")
            elif field.name in seen:
                self.note(here, "FIELD_REPEATED", "the field stands twice, under both of its names")
            elif value is not None:
                seen.add(field.name)
                self._value(message, field, value, here)

    def query(self, message: Message, pairs: Iterable[tuple[str, str]], taken: frozenset[str]) -> None:
        """Reads query parameters, `a.b` for nested fields. `taken` are the top fields that path and body hold."""
        seen: set[str] = set()
        for name, text in pairs:
            target, field = self._parameter(message, name, taken)
            if target is None or field is None:
                continue
            if not field.is_repeated and name in seen:
                self.note(name, "FIELD_REPEATED", "the parameter stands twice")
                continue
            seen.add(name)
            try:
                value = field.convert(text, True)
                if field.is_repeated:
                    getattr(target, field.name).append(value)
                else:
                    _assign(target, field.name, value)
            except _MistakeError as mistake:
                self.note(name, mistake.reason, str(mistake))

    def text(self, message: Message, name: str, text: str) -> None:
        """Reads one path variable."""
        field = fields_of(message.DESCRIPTOR)[name]
        try:
            _assign(message, field.name, field.convert(text, True))
        except _MistakeError as mistake:
            self.note(name, mistake.reason, str(mistake))

    def _parameter(self, message: Message, name: str, taken: frozenset[str]) -> tuple[Message | None, _Field | None]:
        target = message
        parts = name.split(".")
        for depth, part in enumerate(parts):
            field = fields_of(target.DESCRIPTOR).get(part)
            if field is None or (depth == 0 and field.name in taken):
                self.note(_shown(name), "FIELD_UNKNOWN", "there is no such query parameter")
                return None, None
            if depth == len(parts) - 1:
                if field.message is not None:
                    self.note(_shown(name), "FIELD_UNKNOWN", "the parameter names an object; name one of its fields")
                    return None, None
                return target, field
            if field.message is None or field.is_repeated:
                self.note(_shown(name), "FIELD_UNKNOWN", "there is no such query parameter")
                return None, None
            target = getattr(target, field.name)
        return None, None

    def _value(self, message: Message, field: _Field, value: Any, place: str) -> None:
        if field.is_repeated:
            if not isinstance(value, list):
                self.note(place, "LIST_EXPECTED", "a list belongs here")
                return
            target = getattr(message, field.name)
            for index, item in enumerate(value):
                self._item(target, field, item, f"{place}[{index}]")
        elif field.message is not None:
            child = getattr(message, field.name)
            child.SetInParent()
            self.document(child, value, place)
        else:
            try:
                _assign(message, field.name, field.convert(value, False))
            except _MistakeError as mistake:
                self.note(place, mistake.reason, str(mistake))

    def _item(self, target: Any, field: _Field, item: Any, place: str) -> None:
        if field.message is not None:
            self.document(target.add(), item, place)
            return
        try:
            target.append(field.convert(item, False))
        except _MistakeError as mistake:
            self.note(place, mistake.reason, str(mistake))


def _assign(message: Message, name: str, value: Any) -> None:
    if isinstance(value, Timestamp):
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)


def _shown(name: str) -> str:
    """A name that the caller made up, short and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:200])


def _converter(field: FieldDescriptor) -> Callable[[Any, bool], Any]:
    if field.type in _RANGES:
        lowest, highest = _RANGES[field.type]
        return lambda value, _: _integer(value, lowest, highest)
    if field.enum_type is not None:
        numbers = {value.name: value.number for value in field.enum_type.values}
        return lambda value, _: _enum(value, numbers)
    if field.message_type is not None:
        return lambda value, _: _timestamp(value)
    return {
        _F.TYPE_STRING: lambda value, _: _string(value),
        _F.TYPE_BYTES: lambda value, _: _bytes(value),
        _F.TYPE_BOOL: _boolean,
        _F.TYPE_DOUBLE: lambda value, _: _number(value),
        _F.TYPE_FLOAT: lambda value, _: _number(value),
    }[field.type]


def _integer(value: Any, lowest: int, highest: int) -> int:
    whole: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        whole = value
    elif (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _WHOLE.fullmatch(value)):
        whole = int(value)
    if whole is None:
        raise _MistakeError("INTEGER_EXPECTED", "a whole number belongs here")
    if not lowest <= whole <= highest:
        raise _MistakeError("NUMBER_OUT_OF_RANGE", f"the number lies outside of {lowest} to {highest}")
    return whole


def _enum(value: Any, numbers: Mapping[str, int]) -> int:
    if isinstance(value, str) and value in numbers:
        return numbers[value]
    if isinstance(value, int) and not isinstance(value, bool) and value in numbers.values():
        return value
    raise _MistakeError("ENUM_UNKNOWN", f"one of {', '.join(numbers)} belongs here")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _MistakeError("STRING_EXPECTED", "a string belongs here")
    return value


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            plain = value.replace("-", "+").replace("_", "/").rstrip("=")
            return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise _MistakeError("BASE64_EXPECTED", "base64 belongs here")


def _boolean(value: Any, is_text: bool) -> bool:  # noqa: FBT001 every converter is called so
    if isinstance(value, bool):
        return value
    if is_text and value in {"true", "false"}:
        return bool(value == "true")
    raise _MistakeError("BOOLEAN_EXPECTED", "true or false belongs here")


def _number(value: Any) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise _MistakeError("NUMBER_EXPECTED", "a number belongs here")


def _timestamp(value: Any) -> Timestamp:
    moment = Timestamp()
    if isinstance(value, str):
        try:
            moment.FromJsonString(value)
        except ValueError:
            pass
        else:
            return moment
    raise _MistakeError("TIMESTAMP_EXPECTED", "a moment belongs here, such as 2026-01-31T09:30:00Z")
