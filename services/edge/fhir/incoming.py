"""A Bundle that came in, taken apart: each entry with the bytes of its resource as they were written."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.body import says_all
from services.edge import soundjson
from services.edge.asgi import Request
from services.edge.fhir.interaction import base_url, parse_etag
from services.edge.fhir.media import JSON_PATCH
from services.edge.fhir.single import query_in

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_WITH_RESOURCE = frozenset({"POST", "PUT", "PATCH"})
MAX_ENTRIES = 5000
# Of so many mistakes the caller is told.
MAX_VIOLATIONS = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One Bundle.entry of a transaction or batch."""

    index: int
    full_url: str
    method: str
    # Relative to the base: `Observation/1`, `Observation?code=…`.
    url: str
    # What Bundle.entry.resource says, and its bytes; None and empty without one. The bytes of a JSON Patch, which comes
    # in a Binary, are those of the patch.
    resource: dict[str, Any] | None
    body: bytes
    if_none_exist: str
    if_match: int
    if_none_match: str
    if_modified_since: str = ""

    @property
    def place(self) -> str:
        """FHIRPath of the entry."""
        return f"Bundle.entry[{self.index}]"


class _EntryError(InvalidArgumentError):
    """One entry is no entry."""

    def __init__(self, place: str, reason: str, description: str) -> None:
        super().__init__(reason, description, fields=[FieldViolation(place, reason, description)])


class _Reader:
    """Reads entries under a base."""

    def __init__(self, base: str) -> None:
        self._base = base

    def entry(self, text: str, at: int, index: int) -> Entry:
        """The entry that begins in the text there."""
        if text[at] != "{":
            raise _EntryError(f"Bundle.entry[{index}]", "ENTRY_MALFORMED", "an entry is an object")
        told: dict[str, Any] = {}
        body = ""
        for name, value, begin, end in soundjson.members(text, at):
            told[name] = value
            if name == "resource":
                body = text[begin:end]
        return self._made(index, told, body.encode)

    def written(self, told: Any, index: int) -> Entry:
        """The entry of a document that says all that its text says."""
        if not isinstance(told, dict):
            raise _EntryError(f"Bundle.entry[{index}]", "ENTRY_MALFORMED", "an entry is an object")
        return self._made(index, told, lambda: orjson.dumps(told["resource"]))

    def _made(self, index: int, told: dict[str, Any], body: Callable[[], bytes]) -> Entry:
        """`body` tells the resource's bytes, of an entry that has one."""
        place = f"Bundle.entry[{index}]"
        full_url, request, resource = told.get("fullUrl", ""), told.get("request"), told.get("resource")
        if not isinstance(request, dict):
            raise _EntryError(f"{place}.request", "REQUEST_MISSING", "each entry says what to do")
        if not isinstance(full_url, str):
            raise _EntryError(f"{place}.fullUrl", "ENTRY_MALFORMED", "a URI belongs here")
        method, url = _what(request, place)
        sent = b""
        if method not in _WITH_RESOURCE:
            resource = None
        elif not isinstance(resource, dict):
            raise _EntryError(f"{place}.resource", "RESOURCE_MISSING", f"{method} comes with a resource")
        else:
            sent = _patch_in(resource, body(), place) if method == "PATCH" else body()
        held = self._string(request, "ifMatch", place)
        return Entry(
            index=index,
            full_url=full_url,
            method=method,
            url=self._relative(url),
            resource=resource,
            body=sent,
            if_none_exist=query_in(self._string(request, "ifNoneExist", place)),
            if_match=parse_etag(held, f"{place}.request.ifMatch") if held else 0,
            if_none_match=self._string(request, "ifNoneMatch", place),
            if_modified_since=_http_date(self._string(request, "ifModifiedSince", place), place),
        )

    def _relative(self, url: str) -> str:
        return url.removeprefix(self._base).removeprefix(urlsplit(self._base).path).removeprefix("/")

    @staticmethod
    def _string(request: dict[str, Any], name: str, place: str) -> str:
        value = request.get(name, "")
        if isinstance(value, str):
            return value
        raise _EntryError(f"{place}.request.{name}", "ENTRY_MALFORMED", "a string belongs here")


def _what(request: dict[str, Any], place: str) -> tuple[str, str]:
    """Method and URL of Bundle.entry.request."""
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in METHODS:
        raise _EntryError(f"{place}.request.method", "METHOD_UNKNOWN", "GET, HEAD, POST, PUT, PATCH or DELETE")
    if not isinstance(url, str) or not url:
        raise _EntryError(f"{place}.request.url", "URL_MISSING", "a URL relative to the base belongs here")
    return method, url


def _patch_in(resource: dict[str, Any], body: bytes, place: str) -> bytes:
    """Parameters as they were written, or the JSON Patch within a Binary (https://hl7.org/fhir/R4/http.html#jsonpatch)."""
    kind = resource.get("resourceType")
    if kind == "Parameters":
        return body
    if kind == "Binary" and str(resource.get("contentType", "")).partition(";")[0] == JSON_PATCH:
        try:
            return base64.b64decode(str(resource.get("data", "")), validate=True)
        except binascii.Error:
            raise _EntryError(f"{place}.resource.data", "ENTRY_MALFORMED", "base64 belongs here") from None
    raise _EntryError(f"{place}.resource", "PATCH_MISSING", f"a patch is Parameters, or a Binary of {JSON_PATCH}")


def _http_date(text: str, place: str) -> str:
    """An instant as headers have it; empty for none."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _EntryError(f"{place}.request.ifModifiedSince", "ENTRY_MALFORMED", "an instant belongs here") from None
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def entries_of(request: Request, body: bytes, document: dict[str, Any]) -> list[Entry]:
    """The entries of a Bundle in their order. Raises InvalidArgumentError, reason BUNDLE_INVALID, naming each mistake."""
    listed = document.get("entry", [])
    if not isinstance(listed, list) or len(listed) > MAX_ENTRIES:
        violation = FieldViolation("Bundle.entry", "BUNDLE_INVALID", f"a list of at most {MAX_ENTRIES} entries")
        raise InvalidArgumentError("BUNDLE_INVALID", "Bundle.entry is no list, or too long", fields=[violation])
    if not listed:
        return []
    reader = _Reader(base_url(request))
    found: list[Entry] = []
    violations: list[FieldViolation] = []
    for index, read in enumerate(_readings(reader, body, document)):
        try:
            found.append(read(index))
        except InvalidArgumentError as error:
            violations.extend(error.fields)
    if violations:
        first = violations[0]
        raise InvalidArgumentError(
            "BUNDLE_INVALID", f"{first.field}: {first.description}", fields=violations[:MAX_VIOLATIONS]
        )
    return found


def _readings(reader: _Reader, body: bytes, document: dict[str, Any]) -> Iterator[Callable[[int], Entry]]:
    """For each entry, what reads it by its number."""
    if says_all(document, body):
        yield from (partial(reader.written, told) for told in document["entry"])
        return
    # Read anew from the text: a resource goes on byte by byte as it came.
    text = soundjson.decode_text(body)
    for name, _, begin, _ in soundjson.members(text, soundjson.first(text)):
        if name == "entry":
            yield from (partial(reader.entry, text, at) for at in soundjson.elements(text, begin))
