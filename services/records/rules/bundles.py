"""Transactions: what each entry asks for, and references among entries.

http://hl7.org/fhir/R4/http.html#transaction: deletions first, then creations, then updates, then reads; every reference to
the fullUrl of an entry becomes a reference to the id that the entry was given, also where it is relative to the same base.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from libs.errors import FieldViolation, InvalidArgumentError
from libs.fhir.body import Json
from libs.fhir.definitions import is_resource_type
from libs.fhir.issues import INVALID, NOT_SUPPORTED, REQUIRED
from libs.fhir.references import parse_conditional, rewrite, without_base

_URL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})(?:/([A-Za-z0-9.-]{1,64})(?:/_history/([0-9]{1,18}))?)?")
_RESTFUL: Final = re.compile(r"(https?://\S*/)[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}")
# The letter of the scope that each method needs.
LETTERS: Final = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d", "GET": "r"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of an entry says."""

    method: str
    type: str
    # Empty for a creation, and where a condition says which resource is meant.
    id: str
    version: int
    # A search query; empty for none.
    condition: str = ""


def entry_place(index: int, part: str = "") -> str:
    """`Bundle.entry[3].resource`."""
    return f"Bundle.entry[{index}].{part}" if part else f"Bundle.entry[{index}]"


def bundle_invalid(where: str, description: str, code: str = INVALID) -> InvalidArgumentError:
    """A transaction that is wrong in itself."""
    field = FieldViolation(where, code, description)
    return InvalidArgumentError("BUNDLE_INVALID", f"{where}: {description}", fields=[field])


def asked(index: int, method: str, url: str) -> Asked:
    """Reads the address of an entry. Raises InvalidArgumentError, reason BUNDLE_INVALID."""
    where = entry_place(index, "request.url")
    path, mark, condition = url.partition("?")
    match = _URL.fullmatch(path.strip("/"))
    if match is None or not is_resource_type(match[1]):
        raise bundle_invalid(where, "the address is Type or Type/id, of a FHIR R4 resource type")
    resource_id, version = match[2] or "", int(match[3] or 0)
    if mark:
        return _conditional(where, method, match[1], resource_id, condition)
    if (method == "POST") == bool(resource_id):
        wanted = "only a type" if method == "POST" else "a type and an id"
        raise bundle_invalid(where, f"{method} has {wanted}")
    if version and method != "GET":
        raise bundle_invalid(where, "only GET has a version")
    return Asked(method, match[1], resource_id, version)


def _conditional(where: str, method: str, resource_type: str, resource_id: str, condition: str) -> Asked:
    if method not in {"PUT", "PATCH", "DELETE"}:
        raise bundle_invalid(where, f"{method} has no condition in its address", NOT_SUPPORTED)
    if resource_id:
        raise bundle_invalid(where, "the address has an id or a condition, not both")
    return Asked(method, resource_type, "", 0, condition)


class FullUrls:
    """The addresses of entries, and the resources that they stand for."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def add(self, index: int, full_url: str, key: str) -> None:
        """Notes the address of an entry. Raises InvalidArgumentError, reason BUNDLE_INVALID, for one that is taken."""
        if not full_url:
            return
        if full_url in self._keys:
            raise bundle_invalid(entry_place(index, "fullUrl"), "another entry has the same fullUrl", "duplicate")
        self._keys[full_url] = key

    def rewritten(
        self,
        index: int,
        body: Json,
        full_url: str,
        conditions: Mapping[tuple[str, str], str],
        *,
        own_base: str = "",
        may_dangle: bool = False,
    ) -> None:
        """Replaces, in place, references to entries and conditional references by `Type/id`, `own_base` by nothing.

        Raises InvalidArgumentError, reason BUNDLE_INVALID, for a `urn:uuid:` or `urn:oid:` that is no entry's address.
        """
        base = match[1] if (match := _RESTFUL.fullmatch(full_url)) else ""

        def replace(expression: str, text: str) -> str:
            address, mark, fragment = text.partition("#")
            if not address:
                return text
            key = self._keys.get(address) or (self._keys.get(base + address) if base else None)
            if key is not None:
                return key + mark + fragment
            text = without_base(text, own_base)
            condition = parse_conditional(text)
            if condition is not None:
                return conditions.get(condition, text)
            if text.startswith(("urn:uuid:", "urn:oid:")) and not may_dangle:
                where = entry_place(index, f"resource.{expression}.reference")
                raise bundle_invalid(where, "no entry of the transaction has this fullUrl", "not-found")
            return text

        rewrite(body, replace)


def conditions_of(bodies: Sequence[tuple[int, Json]], own_base: str = "") -> dict[tuple[str, str], str]:
    """Every conditional reference (type, query) of the entries, with the expression of the first that makes it."""
    found: dict[tuple[str, str], str] = {}
    for index, body in bodies:
        rewrite(body, _noting(index, found, own_base))
    return found


def _noting(index: int, found: dict[tuple[str, str], str], own_base: str) -> Callable[[str, str], str]:
    def note(expression: str, text: str) -> str:
        condition = parse_conditional(without_base(text, own_base))
        if condition is not None:
            found.setdefault(condition, entry_place(index, f"resource.{expression}.reference"))
        return text

    return note


def require_object(index: int, value: Any) -> None:
    """Raises InvalidArgumentError, reason BUNDLE_INVALID, for a POST or PUT without a resource."""
    if not value:
        raise bundle_invalid(entry_place(index, "resource"), "the entry needs a resource", REQUIRED)
