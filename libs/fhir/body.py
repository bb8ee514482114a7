"""Resource bodies: JSON bytes ⇄ dictionaries, strictly, and without loss of a decimal's precision.

The parser of the standard library is used for reading what is not read safely by a faster one, since it tells of duplicate
keys and hands over the text of numbers; orjson for writing.
"""

import json
import re
from typing import Any, Final

import orjson

from libs.fhir.issues import INVALID, STRUCTURE, TOO_LONG, Issue
from libs.fhir.misfits import CHARACTER, EXCLUDED, LONGEST_NUMBER, MAX_DEPTH, TOO_DEEP, misfit_in

Json = dict[str, Any]

MAX_BYTES: Final = 16 << 20
# The specification's limit for a string: one megabyte of characters.
MAX_STRING: Final = 1 << 20
_EXACT_DIGITS: Final = 15
# More digits than every reader gives back.
_LONG_NUMBER = re.compile(rb"[0-9]{16}")
_BRACKETS = re.compile(rb"[{\[]")
# What may stand for a character that FHIR excludes.
_ESCAPES = re.compile(rb"\\[ubf]")


class BodyError(ValueError):
    """The bytes are no resource; `issue` says why."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.description)
        self.issue = issue


class PreciseNumber(float):
    """A number that a float would not give back as it was written, such as 1.00: precision is part of a FHIR decimal."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def of(cls, text: str) -> "PreciseNumber":
        """The number with its text."""
        number = cls(text)
        number.text = text
        return number


def parse(raw: bytes) -> Json:
    """The object in JSON bytes. Raises BodyError as `parse_any`, and for what is no object."""
    value = parse_any(raw)
    if type(value) is not dict:
        raise BodyError(Issue("", STRUCTURE, "a resource is a JSON object"))
    return value


def parse_any(raw: bytes) -> Any:
    """The value in JSON bytes.

    Raises BodyError: not UTF-8, not JSON, a key twice in one object, nested deeper than MAX_DEPTH, a number
    or a string beyond what the specification knows.
    """
    if len(raw) > MAX_BYTES:
        raise BodyError(Issue("", TOO_LONG, f"a resource has at most {MAX_BYTES} bytes"))
    # Strings may hold brackets too, so that the quick count only ever errs towards the exact one.
    is_deep = len(_BRACKETS.findall(raw)) > MAX_DEPTH
    try:
        value = read_exactly(raw)
        if value is None:
            value = _DECODER.decode(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BodyError(Issue("", STRUCTURE, "the body is not UTF-8")) from None
    except RecursionError:
        raise BodyError(_placed(raw, Issue("", STRUCTURE, TOO_DEEP))) from None
    except BodyError as error:
        raise BodyError(_placed(raw, error.issue)) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BodyError(Issue("", STRUCTURE, f"the body is not JSON: {error.msg} at {place}")) from None
    if is_deep and isinstance(value, dict | list) and _depth(value) > MAX_DEPTH:
        raise BodyError(_placed(raw, Issue("", STRUCTURE, TOO_DEEP)))
    if _ESCAPES.search(raw) is not None and not _is_plain(value):
        raise BodyError(_placed(raw, Issue("", VALUE_OF_TEXT, CHARACTER)))
    return value


def _placed(raw: bytes, issue: Issue) -> Issue:
    """The issue with its place in the text."""
    misfit = misfit_in(raw.decode("utf-8-sig"))
    return issue if misfit is None else Issue(misfit.expression, issue.code, issue.description)


def read_exactly(raw: bytes) -> Any:
    """The value as orjson reads it, where that is all that the bytes say; None where it may not be, or they are no JSON."""
    if b"\n" in raw or _LONG_NUMBER.search(raw) is not None:
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # Another reader says what is wrong, in words that stay.
        return None
    return value if says_all(value, raw) else None


def says_all(value: Any, raw: bytes) -> bool:
    """True if the value, written again, is what it was read from.

    Then no key stood twice, and each number is given back as it was written. Blanks after commas and colons are passed over:
    they are dropped from both, within texts too, which makes nothing the same that has other members.
    """
    try:
        written = orjson.dumps(value)
    except (TypeError, ValueError):
        # A number that orjson does not write.
        return False
    return written == raw or _tight(written) == _tight(raw)


def _tight(raw: bytes) -> bytes:
    return raw.replace(b": ", b":").replace(b", ", b",")


def dump(value: Any) -> bytes:
    """The bytes of a body, compact, keys in the order they stand."""
    return orjson.dumps(value, default=_exact)


def canonical(value: Any) -> bytes:
    """The bytes of a value with sorted keys: equal content, equal bytes."""
    return orjson.dumps(value, default=_exact, option=orjson.OPT_SORT_KEYS)


VALUE_OF_TEXT: Final = "value"


def _exact(value: Any) -> Any:
    if isinstance(value, PreciseNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                # The name is the caller's own text, and may be long or anything; a short plain one helps to find it.
                name = key if key.isidentifier() and len(key) <= LONGEST_NUMBER else "a key"
                raise BodyError(Issue("", STRUCTURE, f"{name} stands twice in one object"))
            seen.add(key)
    return value


def _decimal(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise BodyError(Issue("", INVALID, "a number has more digits than can be meant"))
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BodyError(Issue("", INVALID, "a number is too large"))
    return value if repr(value) == text else PreciseNumber.of(text)


def _integer(text: str) -> int | float:
    # Minus nought is a decimal, and no integer (http://hl7.org/fhir/R4/datatypes.html#integer).
    return int(text) if len(text) <= _EXACT_DIGITS and text != "-0" else _decimal(text)


def _constant(text: str) -> Any:
    raise BodyError(Issue("", STRUCTURE, f"the body is not JSON: {text} is no number"))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
)


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        deepest = max(deepest, level)
        children = one.values() if isinstance(one, dict) else one
        waiting.extend((child, level + 1) for child in children if isinstance(child, dict | list))
    return deepest


def _is_plain(value: Any) -> bool:
    """False if a string holds a character that no string of FHIR holds."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if EXCLUDED.search(one) is not None:
                return False
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return True
