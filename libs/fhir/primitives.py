"""The formats of FHIR's primitive types (http://hl7.org/fhir/R4/datatypes.html#primitive)."""

import re
from collections.abc import Callable
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from libs.fhir.body import MAX_STRING

_YEAR_MONTH_DAY = r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)"

_DATE = re.compile(rf"(?!0000)\d{{4}}(?:-(?:0[1-9]|1[0-2]))?|{_YEAR_MONTH_DAY}", re.ASCII)
_DATE_TIME = re.compile(rf"(?!0000)\d{{4}}(?:-(?:0[1-9]|1[0-2]))?|{_YEAR_MONTH_DAY}(?:T{_CLOCK}{_ZONE})?", re.ASCII)
_INSTANT = re.compile(rf"{_YEAR_MONTH_DAY}T{_CLOCK}{_ZONE}", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_CODE = re.compile(r"\S+(?: \S+)*")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_URI = re.compile(r"\S+")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
# What the specification's narrative may not hold: active content, in any spelling of case.
_ACTIVE = re.compile(r"<\s*(?:script|iframe|object|embed|form|base|link|meta)\b|\son\w+\s*=|javascript:", re.IGNORECASE)
_DAY_LENGTH = len("2024-02-29")
_LAST_CERTAIN_DAY = "28"
_INTEGERS: Final = {
    "integer": range(-(2**31), 2**31),
    "unsignedInt": range(2**31),
    "positiveInt": range(1, 2**31),
}

Test = Callable[[Any], bool]


def _matching(pattern: re.Pattern[str]) -> Test:
    fullmatch = pattern.fullmatch

    def test(value: Any) -> bool:
        return type(value) is str and len(value) <= MAX_STRING and fullmatch(value) is not None

    return test


def _dated(pattern: re.Pattern[str]) -> Test:
    fullmatch = pattern.fullmatch

    def test(value: Any) -> bool:
        if type(value) is not str or fullmatch(value) is None:
            return False
        return len(value) < _DAY_LENGTH or value[8:10] <= _LAST_CERTAIN_DAY or _is_day(value[:_DAY_LENGTH])

    return test


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _whole(numbers: range) -> Test:
    first, end = numbers.start, numbers.stop

    def test(value: Any) -> bool:
        return type(value) is int and first <= value < end

    return test


def is_text(value: Any) -> bool:
    """A string that says something."""
    return type(value) is str and 0 < len(value) <= MAX_STRING and not value.isspace()


def _is_decimal(value: Any) -> bool:
    return isinstance(value, int | float) and type(value) is not bool


def _is_narrative(value: Any) -> bool:
    return (
        type(value) is str
        and len(value) <= MAX_STRING
        and value.startswith("<div")
        and value.rstrip().endswith(("</div>", "/>"))
        and _ACTIVE.search(value) is None
    )


_is_uri = _matching(_URI)

# Primitive type → whether a JSON value is one.
TESTS: Final = MappingProxyType(
    {
        "boolean": lambda value: type(value) is bool,
        **{name: _whole(numbers) for name, numbers in _INTEGERS.items()},
        "decimal": _is_decimal,
        "string": is_text,
        "markdown": is_text,
        "code": _matching(_CODE),
        "id": _matching(_ID),
        "uri": _is_uri,
        "url": _is_uri,
        "canonical": _is_uri,
        "oid": _matching(_OID),
        "uuid": _matching(_UUID),
        "base64Binary": _matching(_BASE64),
        "date": _dated(_DATE),
        "dateTime": _dated(_DATE_TIME),
        "instant": _dated(_INSTANT),
        "time": _matching(_TIME),
        "xhtml": _is_narrative,
    }
)


def is_id(text: str) -> bool:
    """True for a well-formed logical id."""
    return _ID.fullmatch(text) is not None
