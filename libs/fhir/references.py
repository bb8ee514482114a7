"""References: the forms they have, where they stand in a body, and their rewriting.

http://hl7.org/fhir/R4/references.html
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from libs.fhir.definitions import is_resource_type

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(\S+)")
_FRAGMENT = re.compile(r"#[A-Za-z0-9.-]{0,64}")


class LocalReference(NamedTuple):
    """A reference to a resource of this server: `Patient/123`."""

    type: str
    id: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def parse_local(text: str) -> LocalReference | None:
    """The reference as a local one; None for an absolute URL, a fragment, or what is none."""
    match = _LOCAL.fullmatch(text)
    if match is None or not is_resource_type(match[1]):
        return None
    return LocalReference(match[1], match[2], match[3] or "")


def parse_conditional(text: str) -> tuple[str, str] | None:
    """Resource type and query of a conditional reference (`Patient?identifier=…`), which a transaction may hold."""
    match = _CONDITIONAL.fullmatch(text)
    return (match[1], match[2]) if match is not None and is_resource_type(match[1]) else None


def without_base(text: str, base: str) -> str:
    """A reference under the server's own address (`https://host/fhir/R4/Patient/1`) as the local one that it is."""
    return text[len(base) + 1 :] if base and text.startswith(base + "/") else text


def is_well_formed(text: str) -> bool:
    """True for a local reference, an absolute URL, a URN, or a fragment."""
    return parse_local(text) is not None or bool(_ABSOLUTE.fullmatch(text) or _FRAGMENT.fullmatch(text))


def local_references(body: Any) -> Iterator[tuple[str, LocalReference]]:
    """Every local reference of a body with its expression (`subject`, `participant[0].individual`), in their order."""
    for expression, holder in _holders(body, ""):
        local = parse_local(holder["reference"])
        if local is not None:
            yield expression, local


def reference_texts(body: Any) -> Iterator[tuple[str, str]]:
    """Every reference's text with its expression."""
    for expression, holder in _holders(body, ""):
        yield expression, holder["reference"]


def rewrite(body: Any, replace: Callable[[str, str], str]) -> None:
    """Replaces, in place, every reference's text by what `replace(expression, text)` answers."""
    for expression, holder in _holders(body, ""):
        holder["reference"] = replace(expression, holder["reference"])


def _holders(body: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
    """Every object with a reference, with its expression, in their order."""
    found: list[tuple[str, dict[str, Any]]] = []
    if type(body) is dict:
        _collect(body, path, found)
    return found


def _collect(value: dict[str, Any], path: str, found: list[tuple[str, dict[str, Any]]]) -> None:
    if type(value.get("reference")) is str:
        found.append((path, value))
    for key, child in value.items():
        if type(child) is dict:
            _collect(child, f"{path}.{key}" if path else key, found)
        elif type(child) is list:
            for index, one in enumerate(child):
                if type(one) is dict:
                    _collect(one, f"{path}.{key}[{index}]" if path else f"{key}[{index}]", found)
