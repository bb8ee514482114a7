"""FHIRPath Patch (http://hl7.org/fhir/R4/fhirpatch.html): Parameters whose operations name elements by FHIRPath.

A path is read as a patch needs it: it leads to places, not to values. What stands before a function such as `where(…)` or
`first()` is walked, and the function chooses among the places.
"""

import copy
from dataclasses import dataclass
from typing import Any, Final

from libs.fhir.definitions import Element, definitions
from libs.fhir.fhirpath import Environment, FhirPathError, parse_expression
from libs.fhir.fhirpath.compiling import truth_of
from libs.fhir.fhirpath.syntax import Node
from libs.fhir.issues import NOT_SUPPORTED, REQUIRED, STRUCTURE, VALUE
from libs.fhir.json_patch import MAX_OPERATIONS, malformed, unfit

Json = dict[str, Any]
_KINDS: Final = {
    "add": ("path", "name", "value"),
    "insert": ("path", "value", "index"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
# A pattern of the caller's can take for ever.
_REFUSED: Final = frozenset({"matches", "replaceMatches"})


@dataclass(slots=True)
class _Place:
    """An element: under a JSON name of an object, at an index where it is of a list."""

    holder: Json
    key: str
    at: int | None
    value: Any
    # The structure that the element is of.
    type: str


def apply(document: Json, parameters: Json) -> Json:
    """The patched copy of a resource; the resource itself stays as it is. Raises PatchError."""
    operations = parameters.get("parameter")
    if parameters.get("resourceType") != "Parameters" or type(operations) is not list or not operations:
        raise malformed("", STRUCTURE, "a FHIRPath Patch is Parameters with operations")
    if len(operations) > MAX_OPERATIONS:
        raise malformed("", STRUCTURE, f"a patch has at most {MAX_OPERATIONS} operations")
    patched = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        _Operation(patched, operation, f"parameter[{number}]").carry_out()
    return patched


class _Operation:
    def __init__(self, document: Json, operation: Any, place: str) -> None:
        if type(operation) is not dict or operation.get("name") != "operation":
            raise malformed(f"{place}.name", VALUE, "each parameter is an operation")
        listed = operation.get("part")
        self._parts: dict[str, Json] = {
            str(one.get("name")): one for one in (listed if type(listed) is list else ()) if type(one) is dict
        }
        self._document = document
        self._place = place

    def carry_out(self) -> None:
        kind = self._text("type")
        if kind not in _KINDS:
            raise malformed(self._at("type"), VALUE, "an operation is one of add, insert, delete, replace and move")
        for name in _KINDS[kind]:
            if name not in self._parts:
                raise malformed(self._place, REQUIRED, f"{kind} has the parts {', '.join(_KINDS[kind])}")
        getattr(self, f"_{kind}")()

    def _add(self) -> None:
        name = self._text("name")
        target = self._one(self._places())
        if type(target.value) is not dict:
            raise unfit(self._at("path"), "the element has nothing below it")
        element = next((one for one in definitions().structures[target.type] if one.name == name), None)
        if element is None:
            raise unfit(self._at("name"), "the element has no such element below it")
        key, value = self._named_value(element)
        if element.is_list:
            target.value.setdefault(key, []).append(value)
        elif any(one in target.value for one in element.json_names()):
            raise unfit(self._at("name"), "the element is there already, and no list")
        else:
            target.value[key] = value

    def _insert(self) -> None:
        holder, key, type_name = self._list()
        values, at = holder[key], self._index("index")
        if at > len(values):
            raise unfit(self._at("index"), "the list is shorter")
        values.insert(at, self._value(type_name))

    def _delete(self) -> None:
        places = self._places()
        if len(places) > 1:
            raise unfit(self._at("path"), "the path leads to more than one element")
        for one in places:
            if not one.key:
                raise unfit(self._at("path"), "the whole resource is not removed by a patch")
            if one.at is None:
                del one.holder[one.key]
            else:
                del one.holder[one.key][one.at]
                if not one.holder[one.key]:
                    del one.holder[one.key]

    def _replace(self) -> None:
        target = self._one(self._places())
        if not target.key:
            raise unfit(self._at("path"), "the whole resource is not replaced by a patch")
        if target.at is not None:
            target.holder[target.key][target.at] = self._value(target.type)
            return
        key = _renamed(target.key, self._type_of_value())
        found = {(key if name == target.key else name): value for name, value in target.holder.items()}
        target.holder.clear()
        target.holder.update(found)
        target.holder[key] = self._value(target.type)

    def _move(self) -> None:
        holder, key, _ = self._list()
        values, source, destination = holder[key], self._index("source"), self._index("destination")
        if max(source, destination) >= len(values):
            raise unfit(self._at("source"), "the list is shorter")
        values.insert(destination, values.pop(source))

    # --- parts ---

    def _at(self, part: str) -> str:
        return f"{self._place}.part.where(name='{part}')"

    def _text(self, part: str) -> str:
        found = self._parts.get(part, {})
        value = next((found[key] for key in ("valueString", "valueCode") if key in found), None)
        if type(value) is not str:
            raise malformed(self._at(part), REQUIRED, "a string belongs here")
        return value

    def _index(self, part: str) -> int:
        value = self._parts[part].get("valueInteger")
        if type(value) is not int or value < 0:
            raise malformed(self._at(part), VALUE, "a number from 0 belongs here")
        return value

    def _value(self, type_name: str) -> Any:
        """The value of the part: of one type, or an object put together from parts within."""
        part = self._parts["value"]
        for key, value in part.items():
            if key.startswith("value"):
                return copy.deepcopy(value)
        if "resource" in part:
            return copy.deepcopy(part["resource"])
        built = _built(part.get("part"), type_name)
        if not built:
            raise malformed(self._at("value"), REQUIRED, "the value is missing")
        return built

    def _type_of_value(self) -> str:
        return next((key.removeprefix("value") for key in self._parts["value"] if key.startswith("value")), "")

    def _named_value(self, element: Element) -> tuple[str, Any]:
        if not element.is_choice:
            return element.name, self._value(element.types[0].removeprefix("@"))
        key = element.name + self._type_of_value()
        if key not in element.json_names():
            raise unfit(self._at("value"), "the element has no such type")
        return key, self._value("")

    # --- places ---

    def _one(self, places: list[_Place]) -> _Place:
        if len(places) != 1:
            many = "more than one element" if places else "nothing in the resource"
            raise unfit(self._at("path"), f"the path leads to {many}")
        return places[0]

    def _list(self) -> tuple[Json, str, str]:
        places = self._places()
        holders = {(id(one.holder), one.key) for one in places}
        if len(holders) != 1 or places[0].at is None:
            raise unfit(self._at("path"), "the path leads to no one list")
        return places[0].holder, places[0].key, places[0].type

    def _places(self) -> list[_Place]:
        try:
            tree = parse_expression(self._text("path"))
            return self._walk(tree)
        except FhirPathError as error:
            raise malformed(self._at("path"), VALUE, str(error)) from None

    def _walk(self, node: Node) -> list[_Place]:
        root = _Place({}, "", None, self._document, str(self._document["resourceType"]))
        if node[0] == "name":
            return [root] if node[1] == root.type else _below([root], node[1])
        if node[0] == "at" and node[2][0] == "literal" and type(node[2][1]) is int:
            return self._walk(node[1])[node[2][1] : node[2][1] + 1]
        if node[0] == "step" and node[2][0] == "name":
            return _below(self._walk(node[1]), node[2][1])
        if node[0] == "step" and node[2][0] == "call":
            return self._chosen(self._walk(node[1]), node[2][1], node[2][2])
        raise FhirPathError("a path is made of names, indexes, where(), first(), last() and ofType()")

    def _chosen(self, places: list[_Place], function: str, arguments: tuple[Node, ...]) -> list[_Place]:
        if function in {"first", "last", "single"} and not arguments:
            if function == "single" and len(places) > 1:
                return []
            return places[:1] if function != "last" else places[-1:]
        if function in {"ofType", "as"} and len(arguments) == 1 and arguments[0][0] == "name":
            suffix = arguments[0][1]
            return [one for one in places if one.key.endswith(suffix[:1].upper() + suffix[1:]) or one.type == suffix]
        if function != "where" or len(arguments) != 1:
            raise FhirPathError(f"a path has no {function}() here")
        if _mentions(arguments[0], _REFUSED):
            raise malformed(self._at("path"), NOT_SUPPORTED, "patterns are not understood in a patch")
        holds = truth_of(arguments[0])
        chosen = []
        for index, one in enumerate(places):
            around = Environment(self._document, self._document, this=one.value, index=index)
            if holds([one.value], around):
                chosen.append(one)
        return chosen


def _below(places: list[_Place], name: str) -> list[_Place]:
    """The elements under a name: each of a list, or the one type of a choice."""
    found = []
    for one in places:
        element = next((some for some in definitions().structures.get(one.type, ()) if some.name == name), None)
        if element is None or type(one.value) is not dict:
            continue
        for key, kind in element.json_names().items():
            value, type_name = one.value.get(key), kind.removeprefix("@")
            if type(value) is list:
                found += [_Place(one.value, key, at, some, _actual(some, type_name)) for at, some in enumerate(value)]
            elif value is not None:
                found.append(_Place(one.value, key, None, value, _actual(value, type_name)))
    return found


def _actual(value: Any, type_name: str) -> str:
    """Of a resource within another its own type."""
    return str(value.get("resourceType", type_name)) if type(value) is dict else type_name


def _renamed(key: str, type_name: str) -> str:
    """The name of a choice with another type: `valueString` as `valueQuantity`."""
    for elements in definitions().structures.values():
        for element in elements:
            names = element.json_names()
            if element.is_choice and key in names and element.name + type_name in names:
                return element.name + type_name
    return key


def _built(parts: Any, type_name: str) -> Json:
    """An object of a type, of parts: each a member, a list where the type has one."""
    built: Json = {}
    elements = {one.name: one for one in definitions().structures.get(type_name, ())}
    for part in parts if type(parts) is list else ():
        element = elements.get(str(part.get("name"))) if type(part) is dict else None
        if element is None:
            continue
        given, value = next(((key, one) for key, one in part.items() if key.startswith("value")), ("", None))
        if value is None:
            value = _built(part.get("part"), element.types[0].removeprefix("@"))
        key = element.name + given.removeprefix("value") if element.is_choice else element.name
        if element.is_list:
            built.setdefault(key, []).append(copy.deepcopy(value))
        else:
            built[key] = copy.deepcopy(value)
    return built


def _mentions(node: Any, names: frozenset[str]) -> bool:
    return type(node) is tuple and (
        (len(node) > 1 and node[0] == "call" and node[1] in names) or any(_mentions(one, names) for one in node)
    )
