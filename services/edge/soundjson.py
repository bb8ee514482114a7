"""JSON read strictly: UTF-8, no duplicate keys, no NaN, no half characters, errors by line and column.

Also finds where a value stands in the text, so that a resource inside of a Bundle goes on byte by byte as it came:
parsing and writing it anew would lose the digits of its decimals.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.body import read_exactly
from libs.fhir.misfits import CHARACTER, TWICE, misfit_in

# Above this, parsing takes longer than other requests should wait (about 10 ms).
LARGE_BYTES = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class _MisfitError(ValueError):
    """The text holds what no document may hold; where, nobody has looked yet."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _MisfitError
    return found


def _no_constant(_: str) -> NoReturn:
    raise _MisfitError


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def decode_text(body: bytes) -> str:
    """The body as text. Raises InvalidArgumentError, reason JSON_MALFORMED, with the place."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        column = error.start - body.rfind(b"\n", 0, error.start)
        raise _malformed("the body is not UTF-8", line, column) from None


def parse_text(text: str) -> Any:
    """The value of a JSON text. Raises InvalidArgumentError, reasons JSON_MALFORMED, JSON_DUPLICATE_KEY, CHARACTER_REFUSED."""
    try:
        return _sound(text)
    except _MisfitError:
        raise _refusal(text) from None


def parse(body: bytes) -> Any:
    """The value of a JSON document. Raises as `parse_text`."""
    value = _read_fast(body)
    return parse_text(decode_text(body)) if value is None else value


async def parse_aside(body: bytes) -> Any:
    """As `parse`; neither a large document, nor the search for what is wrong with one, holds up other requests."""
    if len(body) > LARGE_BYTES:
        return await asyncio.to_thread(parse, body)
    value = _read_fast(body)
    if value is not None:
        return value
    text = decode_text(body)
    try:
        return _sound(text)
    except _MisfitError:
        raise await asyncio.to_thread(_refusal, text) from None


def _read_fast(body: bytes) -> Any:
    # An escape may stand for what is refused.
    return None if b"\\u" in body else read_exactly(body)


def _sound(text: str) -> Any:
    """The value. Raises _MisfitError, or InvalidArgumentError for what is not JSON at all."""
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error.msg, error.lineno, error.colno) from None
    except (RecursionError, ValueError):
        # Nested too deeply, or a number of thousands of digits.
        raise _MisfitError from None
    if "\\u0000" in text:
        _refuse_nul(value)
    if _HALF.search(text) is not None:
        _refuse_halves(value)
    return value


def members(text: str, start: int) -> Iterator[tuple[str, Any, int, int]]:
    """Name, value, begin and end of each member of the object that begins at `start`; `text` has been parsed before."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        name, at = _decoder.raw_decode(text, at)
        begin = _skip(text, _skip(text, at) + 1)
        value, end = _decoder.raw_decode(text, begin)
        yield name, value, begin, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def elements(text: str, start: int) -> Iterator[int]:
    """Where each element of the array that begins at `start` begins; `text` has been parsed before."""
    at = _skip(text, start + 1)
    while text[at] != "]":
        yield at
        _, at = _decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def first(text: str) -> int:
    """Where the document's value begins."""
    return _skip(text, 0)


def with_member(text: str, name: str, value: str) -> str:
    """The object's text with one string member set; everything else stays as it was written."""
    start = first(text)
    written = json.dumps(value)
    for found, _, begin, end in members(text, start):
        if found == name:
            return text[:begin] + written + text[end:]
    is_empty = text[_skip(text, start + 1)] == "}"
    return f"{text[: start + 1]}{json.dumps(name)}:{written}{'' if is_empty else ','}{text[start + 1 :]}"


def pretty(body: bytes) -> bytes:
    """The same document over many lines; every number and string stays as it was written."""
    pieces: list[str] = []
    depth = 0
    previous = ""
    for match in _PIECES.finditer(body.decode("utf-8")):
        piece = match[0]
        if piece in "}]" and previous not in "{[":
            depth -= 1
            pieces.append("\n" + "  " * depth)
        elif piece in "}]":
            depth -= 1
        elif previous and previous in "{[,":
            pieces.append("\n" + "  " * depth)
        if piece in "{[":
            depth += 1
        pieces.append(": " if piece == ":" else piece)
        previous = piece
    return "".join([*pieces, "\n"]).encode()


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _malformed(what: str, line: int, column: int) -> InvalidArgumentError:
    place = f"line {line}, column {column}"
    violation = FieldViolation(place, "JSON_MALFORMED", what)
    return InvalidArgumentError("JSON_MALFORMED", f"the body is not JSON: {place}: {what}", fields=[violation])


def _refusal(text: str) -> InvalidArgumentError:
    """What is wrong with a text that was refused, and where."""
    misfit = misfit_in(text)
    if misfit is None:
        return InvalidArgumentError("JSON_MALFORMED", "the body is not JSON that can be read")
    reason = {TWICE: "JSON_DUPLICATE_KEY", CHARACTER: "CHARACTER_REFUSED"}.get(misfit.what, "JSON_MALFORMED")
    place = f"line {misfit.line}, column {misfit.column}"
    violation = FieldViolation(misfit.expression or place, reason, f"{misfit.what}, at {place}")
    return InvalidArgumentError(reason, f"{place}: {misfit.what}", fields=[violation])


def _refuse_nul(value: Any) -> None:
    # A backslash that is text stands doubled; what is left before u0000 is an escape.
    if "\\u0000" in json.dumps(value, ensure_ascii=False).replace("\\\\", ""):
        raise _MisfitError


def _refuse_halves(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _MisfitError from None
