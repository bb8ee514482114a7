"""What a person reads of a resource: its narrative, and all words in it."""

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_TAG = re.compile(r"<[^<>]*>")
_ENTITIES = MappingProxyType({"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#160;": " ", "&nbsp;": " ", "&amp;": "&"})


def narrative_of(body: Mapping[str, Any]) -> str:
    """What the narrative says, without its markup; empty where there is none."""
    text = body.get("text")
    div = text.get("div") if type(text) is dict else None
    return _plain(div) if type(div) is str else ""


def _plain(markup: str) -> str:
    text = _TAG.sub(" ", markup)
    for name, character in _ENTITIES.items():
        if "&" not in text:
            break
        text = text.replace(name, character)
    return text


# What a reader would not read: numbers of things, addresses of things, codes that have a name beside them.
_UNREAD = frozenset(
    {
        *(
            "resourceType",
            "id",
            "meta",
            "system",
            "code",
            "reference",
            "url",
            "identifier",
            "status",
            "use",
            "language",
        ),
        *(
            "implicitRules",
            "versionId",
            "contentType",
            "data",
            "hash",
            "start",
            "end",
            "gender",
            "birthDate",
            "type",
            "unit",
        ),
        *(
            "comparator",
            "fullUrl",
            "uri",
            "rank",
            "mode",
            "intent",
            "priority",
            "criticality",
            "currency",
            "authoredOn",
        ),
        *(
            "recordedDate",
            "issued",
            "recorded",
            "date",
            "created",
            "sent",
            "received",
            "whenPrepared",
            "whenHandedOver",
        ),
    }
)
_UNREAD_ENDINGS = (
    "DateTime",
    "Date",
    "Code",
    "Uri",
    "Url",
    "Canonical",
    "Oid",
    "Uuid",
    "Base64Binary",
    "Instant",
    "Id",
)


def readable(value: Mapping[str, Any]) -> list[str]:
    """Every text of a resource that a reader would read, in its order."""
    found: list[str] = []
    _read(value, found)
    return found


@functools.lru_cache(maxsize=4096)
def _is_unread(key: str) -> bool:
    return key in _UNREAD or key.endswith(_UNREAD_ENDINGS)


def _read(value: Mapping[str, Any], found: list[str]) -> None:
    for key, child in value.items():
        kind = type(child)
        if kind is dict:
            if key not in {"meta", "identifier"}:
                _read(child, found)
        elif kind is list:
            if key != "identifier":
                for one in child:
                    if type(one) is dict:
                        _read(one, found)
                    elif type(one) is str and key not in _UNREAD:
                        found.append(one)
        elif kind is str and not _is_unread(key):
            found.append(_plain(child) if key == "div" else child)
