"""What a line says of itself, as far as exchange must know: what it is, by which id, whom and what it refers to.

Whether it is a sound resource is for records to say, which is sent the line as it came.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from libs.access.caller import Scopes
from libs.fhir.definitions import is_resource_type
from libs.fhir.references import parse_local, without_base
from services.exchange.formats.ndjson.lines import Line
from services.exchange.model import Rejection

# What an import needs of a type.
CREATE_AND_UPDATE = "cu"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
# A quote within a string has a backslash before it, so that this meets members only; other ways to write one are rare, and
# a reference that is missed here is one that records does not find.
_REFERENCE = re.compile(rb'"reference"\s*:\s*"([^"\\]{1,512})"')
_INVALID, _STRUCTURE, _FORBIDDEN, _TOO_LONG = "invalid", "structure", "forbidden", "too-long"


@dataclass(frozen=True, slots=True)
class Item:
    """A line that is a resource."""

    line: Line
    type: str
    # The source's own id; empty for none.
    source_id: str
    data: bytes = field(repr=False)
    # When the source wrote it.
    updated_at: datetime | None = None
    # What it refers to at its source, as it is written there, but for the source's own address.
    references: Sequence[str] = ()

    @property
    def key(self) -> str:
        """`Type/id` at its source; empty for none."""
        return f"{self.type}/{self.source_id}" if self.source_id else ""

    @property
    def subject(self) -> str:
        """The Patient whom it is about, as far as a glance tells: those of one Patient refer to each other."""
        if self.type == "Patient":
            return self.key
        return next((one for one in self.references if one.startswith("Patient/")), "")

    def parsed(self) -> dict[str, Any]:
        """The resource, for who must look into it."""
        found: dict[str, Any] = orjson.loads(self.data)
        return found


def read_line(  # noqa: PLR0911 an answer for each way to be none
    line: Line, declared: str, source: str, scopes: Scopes
) -> Item | Rejection:
    """The line as an item, or why it is none. `declared` is what the lines of the input are; empty for anything."""
    if line.data is None:
        return refused(line.number, "LINE_TOO_LONG", "", _TOO_LONG, "the line is longer than any resource may be")
    try:
        found = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        return refused(line.number, "JSON_INVALID", "", _STRUCTURE, _why(error, line.data))
    if not isinstance(found, dict):
        return refused(line.number, "JSON_INVALID", "", _STRUCTURE, "a line is a JSON object")
    kind = found.get("resourceType")
    if not isinstance(kind, str) or not is_resource_type(kind):
        return refused(line.number, "TYPE_UNKNOWN", "resourceType", _INVALID, "a resource type of FHIR R4 belongs here")
    if declared not in ("", kind):
        return refused(line.number, "TYPE_MISMATCH", kind, _INVALID, f"the lines of this input are {declared}")
    if not scopes.allow_fhir(kind, CREATE_AND_UPDATE):
        message = f"the scopes of the import do not grant {kind}.{CREATE_AND_UPDATE}"
        return refused(line.number, "SCOPE_MISSING", kind, _FORBIDDEN, message)
    own = found.get("id", "")
    if own and not (isinstance(own, str) and _ID.fullmatch(own)):
        return refused(line.number, "RESOURCE_INVALID", f"{kind}.id", "value", "an id has up to 64 of A-Z a-z 0-9 - .")
    return Item(line, kind, own, line.data, _updated_at(found), references_of(line.data, source))


def refused(line: int, reason: str, expression: str, code: str, message: str) -> Rejection:
    """A line that is not sent."""
    return Rejection(line, expression, reason, message, issues=[(expression, code, message)])


def references_of(data: bytes, source: str) -> list[str]:
    """The local references of a resource's bytes, each once, without the source's own address."""
    found: dict[str, None] = {}
    for text in _REFERENCE.findall(data):
        local = without_base(text.decode("utf-8", "replace"), source)
        if local not in found and parse_local(local) is not None:
            found[local] = None
    return list(found)


def _why(error: orjson.JSONDecodeError, data: bytes) -> str:
    # Lines hold no line breaks, so that a column is a place in the line.
    if error.pos >= len(data.decode("utf-8", "replace")):
        return f"the line is no JSON: it is cut off after character {error.pos}"
    what = str(error.msg).partition(": line")[0]
    return f"the line is no JSON: {what}, at character {error.pos + 1}"


def _updated_at(found: dict[str, Any]) -> datetime | None:
    meta = found.get("meta")
    text = meta.get("lastUpdated") if isinstance(meta, dict) else None
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # Records says what is wrong with it.
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else None
