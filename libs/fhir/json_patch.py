"""JSON Patch (RFC 6902) on resources: the operations in their order, all of them or none.

A mistake is told with the operation that it is in, and a number keeps the digits that it was written with; libraries of the
kind do neither, and take true for 1.
"""

import copy
import re
from collections.abc import Callable
from typing import Any, Final

from libs.fhir.issues import INVALID, PROCESSING, REQUIRED, STRUCTURE, VALUE, Issue

MAX_OPERATIONS: Final = 1000
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_WANTED: Final = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}


class PatchError(ValueError):
    """A patch cannot be carried out; `issue` says where in the patch, and why."""

    def __init__(self, issue: Issue, *, is_malformed: bool) -> None:
        """`is_malformed` tells a patch that is none from one that does not fit the resource."""
        super().__init__(issue.description)
        self.issue = issue
        self.is_malformed = is_malformed


def malformed(expression: str, code: str, description: str) -> PatchError:
    """The patch itself is wrong."""
    return PatchError(Issue(expression, code, description), is_malformed=True)


def unfit(expression: str, description: str) -> PatchError:
    """The patch is one, but not for this resource as it is."""
    return PatchError(Issue(expression, PROCESSING, description), is_malformed=False)


def apply(document: Any, operations: Any) -> Any:
    """The patched copy of a document; the document itself stays as it is. Raises PatchError."""
    if type(operations) is not list or len(operations) > MAX_OPERATIONS:
        raise malformed("", STRUCTURE, f"a JSON Patch is an array of at most {MAX_OPERATIONS} operations")
    patched = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        patched = _carry_out(patched, operation, f"operation[{number}]")
    return patched


def _carry_out(document: Any, operation: Any, place: str) -> Any:
    kind = operation.get("op") if type(operation) is dict else None
    wanted = _WANTED.get(kind) if type(kind) is str else None
    if wanted is None or type(kind) is not str:
        raise malformed(f"{place}.op", VALUE, "an operation is one of add, remove, replace, move, copy and test")
    for name in wanted:
        if name not in operation:
            raise malformed(f"{place}.{name}", REQUIRED, f"{kind} has {' and '.join(wanted)}")
    path = _pointer(operation["path"], f"{place}.path")
    if kind in {"move", "copy"}:
        return _transfer(document, operation["from"], path, place, is_move=kind == "move")
    if kind == "remove":
        return _removed(document, path, f"{place}.path")
    return _WITH_VALUE[kind](document, path, operation["value"], place)


def _transfer(document: Any, pointer: Any, path: list[str], place: str, *, is_move: bool) -> Any:
    source = _pointer(pointer, f"{place}.from")
    value = _value_at(document, source, f"{place}.from")
    if not is_move:
        return _added(document, path, copy.deepcopy(value), f"{place}.path")
    if path[: len(source)] == source and path != source:
        raise malformed(f"{place}.path", INVALID, "nothing is moved into itself")
    return _added(_removed(document, source, f"{place}.from"), path, value, f"{place}.path")


def _add(document: Any, path: list[str], value: Any, place: str) -> Any:
    return _added(document, path, copy.deepcopy(value), f"{place}.path")


def _replace(document: Any, path: list[str], value: Any, place: str) -> Any:
    if not path:
        return copy.deepcopy(value)
    _value_at(document, path, f"{place}.path")
    parent = _value_at(document, path[:-1], f"{place}.path")
    parent[int(path[-1]) if type(parent) is list else path[-1]] = copy.deepcopy(value)
    return document


def _test(document: Any, path: list[str], value: Any, place: str) -> Any:
    if not is_equal(_value_at(document, path, f"{place}.path"), value):
        raise unfit(f"{place}.value", "the test failed: another value stands there")
    return document


_WITH_VALUE: Final[dict[str, Callable[[Any, list[str], Any, str], Any]]] = {
    "add": _add,
    "replace": _replace,
    "test": _test,
}


def is_equal(one: Any, other: Any) -> bool:
    """Equality as JSON has it: true is not 1, but 1.0 is."""
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(is_equal(one[name], other[name]) for name in one)
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(is_equal, one, other))
    if type(one) is bool or type(other) is bool:
        return one is other
    return bool(one == other)


def _pointer(text: Any, place: str) -> list[str]:
    """The steps of a JSON Pointer (RFC 6901)."""
    if type(text) is not str or (text and not text.startswith("/")) or re.search(r"~(?![01])", text):
        raise malformed(place, VALUE, "a JSON Pointer begins with / or is empty")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _value_at(document: Any, path: list[str], place: str) -> Any:
    found = document
    for step in path:
        if type(found) is dict and step in found:
            found = found[step]
        elif type(found) is list and _INDEX.fullmatch(step) and int(step) < len(found):
            found = found[int(step)]
        else:
            raise unfit(place, "the path leads to nothing in the resource")
    return found


def _added(document: Any, path: list[str], value: Any, place: str) -> Any:
    if not path:
        return value
    parent, last = _value_at(document, path[:-1], place), path[-1]
    if type(parent) is dict:
        parent[last] = value
    elif type(parent) is list and last == "-":
        parent.append(value)
    elif type(parent) is list and _INDEX.fullmatch(last) and int(last) <= len(parent):
        parent.insert(int(last), value)
    else:
        raise unfit(place, "the path leads to nothing in the resource")
    return document


def _removed(document: Any, path: list[str], place: str) -> Any:
    if not path:
        raise malformed(place, INVALID, "the whole resource is not removed by a patch")
    _value_at(document, path, place)
    parent = _value_at(document, path[:-1], place)
    del parent[int(path[-1]) if type(parent) is list else path[-1]]
    return document
