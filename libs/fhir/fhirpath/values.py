"""How FHIRPath compares: equality, order with what is unknown, types, and what lies below an element."""

import re
from collections.abc import Iterator
from typing import Any, Final

from libs.fhir.definitions import definitions
from libs.fhir.json_patch import is_equal
from libs.fhir.moments import span_of

_DATE: Final = re.compile(r"\d{4}(-\d\d(-\d\d(T.*)?)?)?", re.ASCII)
_TEXTS: Final = frozenset({"string", "code", "id", "uri", "url", "canonical", "markdown", "oid", "uuid"})


class Bare:
    """A primitive element without a value: it has an id or extensions alone."""

    __slots__ = ("sibling",)

    def __init__(self, sibling: Any) -> None:
        """`sibling` is what stands under the name with the underscore."""
        self.sibling = sibling


def equal(left: list[Any], right: list[Any]) -> bool | None:
    """`=`: None where one side is empty."""
    if not left or not right:
        return None
    return len(left) == len(right) and all(map(is_equal, left, right))


def precedes(left: list[Any], right: list[Any], *, or_equals: bool) -> bool | None:
    """`<` or `<=`; None where it cannot be told, as of dates of different precision and quantities of different units."""
    if len(left) != 1 or len(right) != 1:
        return None
    one, other = left[0], right[0]
    if type(one) is dict and type(other) is dict:
        return _quantities(one, other, or_equals=or_equals)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one <= other if or_equals else one < other
    if type(one) is not str or type(other) is not str:
        return None
    if _DATE.fullmatch(one) and _DATE.fullmatch(other):
        return _dates(one, other, or_equals=or_equals)
    return one <= other if or_equals else one < other


def _quantities(one: dict[str, Any], other: dict[str, Any], *, or_equals: bool) -> bool | None:
    if one.get("code", one.get("unit")) != other.get("code", other.get("unit")):
        return None
    return precedes([one.get("value")], [other.get("value")], or_equals=or_equals)


def _dates(one: str, other: str, *, or_equals: bool) -> bool | None:
    if one == other:
        return or_equals
    left, right = span_of(one), span_of(other)
    if left is None or right is None:
        return None
    if left.high <= right.low:
        return True
    return False if right.high <= left.low else None


def is_of(value: Any, type_name: str, known: str = "") -> bool:
    """Whether a value is of a type; `known` is its type where the name it stood under says so."""
    wanted = (
        type_name[0].lower() + type_name[1:] if type_name in {"Boolean", "String", "Integer", "Decimal"} else type_name
    )
    if known:
        return known == wanted or (wanted == "string" and known in _TEXTS)
    if type(value) is dict:
        found = value.get("resourceType")
        return found == wanted or (wanted in {"Resource", "DomainResource"} and found is not None)
    if type(value) is bool:
        return wanted == "boolean"
    if isinstance(value, int | float):
        return wanted == "decimal" or (wanted in {"integer", "positiveInt", "unsignedInt"} and type(value) is int)
    return wanted in _TEXTS


def children(value: Any) -> Iterator[Any]:
    """The elements right below one."""
    if type(value) is Bare:
        value = value.sibling
    if type(value) is not dict:
        return
    for key, child in value.items():
        if key == "resourceType":
            continue
        if key.startswith("_"):
            if key[1:] not in value and child is not None:
                yield Bare(child)
        elif type(child) is list:
            yield from (one for one in child if one is not None)
        elif child is not None:
            yield child


def descendants(values: list[Any]) -> list[Any]:
    """All elements below some."""
    found: list[Any] = []
    waiting = [child for value in values for child in children(value)]
    while waiting:
        found.extend(waiting)
        waiting = [child for value in waiting for child in children(value)]
    return found


def distinct(values: list[Any]) -> list[Any]:
    """Each value once."""
    found: list[Any] = []
    for value in values:
        if not any(is_equal(value, one) for one in found):
            found.append(value)
    return found


def choices_of() -> dict[str, dict[str, str]]:
    """Name of a choice element (`value`) → its JSON names (`valueQuantity`) with the type that each means."""
    found: dict[str, dict[str, str]] = {}
    for elements in definitions().structures.values():
        for element in elements:
            if element.is_choice:
                found.setdefault(element.name, {}).update(element.json_names())
    return found
