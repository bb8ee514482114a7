"""From the tree of an expression to closures.

Each node becomes a function of a collection, the environment and what `$this` is; where only its truth is asked for, one
that answers True, False or None, which spares most lists.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from libs.fhir.fhirpath import values
from libs.fhir.fhirpath.functions import PLAIN
from libs.fhir.fhirpath.operators import COMPARISONS, LIST_OPERATORS, LOGIC, Environment, List, Truth
from libs.fhir.fhirpath.syntax import FhirPathError, Node, parse_expression
from libs.fhir.fhirpath.values import Bare
from libs.fhir.json_patch import is_equal

_UCUM: Final = "http://unitsofmeasure.org"
_STRINGS: Final = {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org", "ucum": _UCUM}


def compile_list(expression: str) -> List:
    """The expression as a function from a focus to a collection. Raises FhirPathError."""
    return _list(parse_expression(expression))


def compile_boolean(expression: str) -> Truth:
    """The expression as a function from a focus to True, False or None for unknown. Raises FhirPathError."""
    return truth_of(parse_expression(expression))


def truth_of(node: Node) -> Truth:
    """A tree as `compile_boolean` compiles its text. Raises FhirPathError."""
    return _truth(node)


@functools.cache
def _choices() -> dict[str, dict[str, str]]:
    return values.choices_of()


def _list(node: Node) -> List:
    kind = node[0]
    if kind == "op" and node[1] in LIST_OPERATORS:
        return LIST_OPERATORS[node[1]](_list(node[2]), _list(node[3]))
    if kind in {"op", "is"}:
        return _boxed(_truth(node))
    if kind == "call" and node[1] in _TRUTHS:
        return _boxed(_truth(node))
    return _NODES[kind](node)


def _boxed(truth: Truth) -> List:
    def boxed(focus: list[Any], environment: Environment) -> list[Any]:
        found = truth(focus, environment)
        return [] if found is None else [found]

    return boxed


def _truth(node: Node) -> Truth:
    kind = node[0]
    if kind == "op" and node[1] in LOGIC:
        return LOGIC[node[1]](_truth(node[2]), _truth(node[3]))
    if kind == "op" and node[1] in COMPARISONS:
        return COMPARISONS[node[1]](_list(node[2]), _list(node[3]))
    if kind == "step" and node[2][0] == "call" and node[2][1] in _TRUTHS:
        return _piped(node[1], node[2])
    if kind == "call" and node[1] in _TRUTHS:
        return _TRUTHS[node[1]](node[2])
    if kind == "is":
        return _typed(node[1], node[2])
    found = _list(node)

    def truth(focus: list[Any], environment: Environment) -> bool | None:
        # One element that is no boolean is as good as true.
        some = found(focus, environment)
        return (some[0] if type(some[0]) is bool else True) if some else None

    return truth


def _piped(left: Node, call: Node) -> Truth:
    name, arguments = call[1], call[2]
    if name in {"is", "ofType"} and arguments:
        return _typed(left, _type_of(arguments[0]))
    if left[0] == "name" and not arguments and name in {"exists", "empty"} and left[1] not in _choices():
        return _presence(left[1], wanted=name == "exists")
    before, after = _list(left), _TRUTHS[name](arguments)
    return lambda focus, environment: after(before(focus, environment), environment)


def _presence(name: str, *, wanted: bool) -> Truth:
    """`name.exists()` and `name.empty()` of one object, as most invariants begin."""
    sibling, listed = "_" + name, _name(("name", name))

    def presence(focus: list[Any], environment: Environment) -> bool:
        if len(focus) == 1 and type(focus[0]) is dict:
            one = focus[0]
            return (name in one or sibling in one or one.get("resourceType") == name) is wanted
        return bool(listed(focus, environment)) is wanted

    return presence


def _name(node: Node) -> List:
    name = node[1]
    sibling, choices = "_" + name, frozenset(_choices().get(name, ()))

    def step(focus: list[Any], _: Environment) -> list[Any]:
        found: list[Any] = []
        for one in focus:
            # Below a primitive without a value stands what its sibling says.
            holder = one.sibling if type(one) is Bare else one
            if type(holder) is not dict:
                continue
            child = holder.get(name)
            if child is None:
                found.extend(_otherwise(holder, name, choices))
            elif type(child) is list:
                extended = holder.get(sibling, ())
                found.extend(
                    some if some is not None else Bare(extended[at] if at < len(extended) else None)
                    for at, some in enumerate(child)
                )
            else:
                found.append(child)
        return found

    return step


def _otherwise(holder: dict[str, Any], name: str, choices: frozenset[str]) -> list[Any]:
    """What a name means that no member has: a primitive's extensions, one type of a choice, the resource itself."""
    if "_" + name in holder:
        return [Bare(some) for some in _each(holder["_" + name])]
    for key, child in holder.items():
        if key in choices:
            return _each(child)
        if key[:1] == "_" and key[1:] in choices and key[1:] not in holder:
            return [Bare(some) for some in _each(child)]
    return [holder] if holder.get("resourceType") == name else []


def _each(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _step(node: Node) -> List:
    before, after = _list(node[1]), _list(node[2])
    return lambda focus, environment: after(before(focus, environment), environment)


def _literal(node: Node) -> List:
    value = [node[1]]
    return lambda _, __: value


def _variable(node: Node) -> List:
    name = node[1]
    if name in {"resource", "context", "rootResource"}:
        attribute = {"resource": "resource", "context": "context", "rootResource": "root"}[name]
        return lambda _, environment: [getattr(environment, attribute)]
    if name in _STRINGS:
        return _literal(("literal", _STRINGS[name]))
    raise FhirPathError(f"there is no %{name}")


def _at(node: Node) -> List:
    before, number = _list(node[1]), _list(node[2])

    def one_of(focus: list[Any], environment: Environment) -> list[Any]:
        found, numbers = before(focus, environment), number(focus, environment)
        at = numbers[0] if len(numbers) == 1 and type(numbers[0]) is int else -1
        return [found[at]] if 0 <= at < len(found) else []

    return one_of


def _minus(node: Node) -> List:
    inner = _list(node[1])
    return lambda focus, environment: [-one for one in inner(focus, environment) if isinstance(one, int | float)]


def _as(node: Node) -> List:
    return _of_type(node[1], node[2])


def _of_type(left: Node, type_name: str) -> List:
    """Of a choice the element under the type's own name; of anything else what is of the type."""
    last = left[2] if left[0] == "step" else left
    if last[0] == "name" and last[1] in _choices():
        keys = {key for key, one in _choices()[last[1]].items() if values.is_of(None, type_name, one)}
        before = _list(left[1]) if left[0] == "step" else None

        def chosen(focus: list[Any], environment: Environment) -> list[Any]:
            some = before(focus, environment) if before is not None else focus
            return [one[key] for one in some if type(one) is dict for key in one if key in keys]

        return chosen
    found = _list(left)
    return lambda focus, environment: [one for one in found(focus, environment) if values.is_of(one, type_name)]


def _typed(left: Node, type_name: str) -> Truth:
    of_type, found = _of_type(left, type_name), _list(left)

    def typed(focus: list[Any], environment: Environment) -> bool | None:
        return bool(of_type(focus, environment)) if found(focus, environment) else None

    return typed


def _type_of(node: Node) -> str:
    if node[0] == "name":
        return str(node[1])
    if node[0] == "step" and node[2][0] == "name":
        return str(node[2][1])
    raise FhirPathError("a type is named here")


def _call(node: Node) -> List:
    name, arguments = node[1], node[2]
    if name in {"as", "ofType"} and len(arguments) == 1:
        return _of_type(("this_focus",), _type_of(arguments[0]))
    if name not in _FUNCTIONS:
        raise FhirPathError(f"the function {name} is not understood")
    return _FUNCTIONS[name](*arguments)


_NODES: Final[dict[str, Callable[[Node], List]]] = {
    "name": _name,
    "literal": _literal,
    "empty": lambda _: lambda _, __: [],
    "variable": _variable,
    "this": lambda _: lambda _, environment: [environment.this],
    "this_focus": lambda _: lambda focus, _: focus,
    "index": lambda _: lambda _, environment: [environment.index],
    "step": lambda node: (
        _of_type(node[1], _type_of(node[2][2][0]))
        if node[2][0] == "call" and node[2][1] in {"as", "ofType"} and node[2][2]
        else _step(node)
    ),
    "call": _call,
    "at": _at,
    "minus": _minus,
    "as": _as,
}


def _each_holds(criteria: Truth, focus: list[Any], environment: Environment) -> list[bool | None]:
    before = environment.this, environment.index
    found = []
    for index, one in enumerate(focus):
        environment.this, environment.index = one, index
        found.append(criteria([one], environment))
    environment.this, environment.index = before
    return found


def _exists(arguments: Sequence[Node]) -> Truth:
    if not arguments:
        return lambda focus, _: bool(focus)
    criteria = _truth(arguments[0])
    return lambda focus, environment: any(_each_holds(criteria, focus, environment))


def _all(arguments: Sequence[Node]) -> Truth:
    criteria = _truth(arguments[0])
    return lambda focus, environment: all(_each_holds(criteria, focus, environment))


def _not(_: Sequence[Node]) -> Truth:
    def negated(focus: list[Any], __: Environment) -> bool | None:
        return (focus[0] is False) if focus else None

    return negated


def _on_text(test: Callable[[str, str], bool]) -> Callable[[Sequence[Node]], Truth]:
    def compiled(arguments: Sequence[Node]) -> Truth:
        wanted = _list(arguments[0])

        def holds(focus: list[Any], environment: Environment) -> bool | None:
            if not focus or type(focus[0]) is not str:
                return None
            texts = wanted(focus, environment)
            return test(focus[0], texts[0]) if texts else None

        return holds

    return compiled


def _is_call(arguments: Sequence[Node]) -> Truth:
    return _typed(("this_focus",), _type_of(arguments[0]))


@functools.lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


_TRUTHS: Final[dict[str, Callable[[Sequence[Node]], Truth]]] = {
    "exists": _exists,
    "empty": lambda _: lambda focus, _: not focus,
    "all": _all,
    "not": _not,
    "hasValue": lambda _: lambda focus, _: len(focus) == 1 and type(focus[0]) not in {dict, Bare},
    "isDistinct": lambda _: lambda focus, _: len(values.distinct(focus)) == len(focus),
    "allFalse": lambda _: lambda focus, _: all(one is False for one in focus),
    "allTrue": lambda _: lambda focus, _: all(one is True for one in focus),
    "anyTrue": lambda _: lambda focus, _: any(one is True for one in focus),
    "startsWith": _on_text(lambda text, wanted: text.startswith(wanted)),
    "endsWith": _on_text(lambda text, wanted: text.endswith(wanted)),
    "contains": _on_text(lambda text, wanted: wanted in text),
    "matches": _on_text(lambda text, wanted: _pattern(wanted).search(text) is not None),
    "is": _is_call,
    # Narratives are held against their rules where their format is.
    "htmlChecks": lambda _: lambda _, __: True,
}


def _where(criteria: Node) -> List:
    holds = _truth(criteria)

    def chosen(focus: list[Any], environment: Environment) -> list[Any]:
        return [one for one, does in zip(focus, _each_holds(holds, focus, environment), strict=True) if does]

    return chosen


def _select(projection: Node) -> List:
    project = _list(projection)

    def projected(focus: list[Any], environment: Environment) -> list[Any]:
        before = environment.this, environment.index
        found: list[Any] = []
        for index, one in enumerate(focus):
            environment.this, environment.index = one, index
            found.extend(project([one], environment))
        environment.this, environment.index = before
        return found

    return projected


def _iif(condition: Node, then: Node, otherwise: Node = ("empty",)) -> List:
    asked, one, other = _truth(condition), _list(then), _list(otherwise)
    return lambda focus, environment: (one if asked(focus, environment) else other)(focus, environment)


def _with_other(combine: Callable[[list[Any], list[Any]], list[Any]]) -> Callable[[Node], List]:
    def compiled(argument: Node) -> List:
        other = _list(argument)

        def combined(focus: list[Any], environment: Environment) -> list[Any]:
            # An argument is of the expression's own focus, not of the collection that the function is called on.
            return combine(focus, other([environment.this], environment))

        return combined

    return compiled


def _substring(start: Node, length: Node = ("empty",)) -> List:
    begin, count = _list(start), _list(length)

    def part(focus: list[Any], environment: Environment) -> list[Any]:
        at, long = begin(focus, environment), count(focus, environment)
        if not focus or type(focus[0]) is not str or not at or not 0 <= at[0] < max(len(focus[0]), 1):
            return []
        return [focus[0][at[0] :][: long[0] if long else None]]

    return part


def _replaced(pattern: Node, text: Node) -> List:
    old, new = _list(pattern), _list(text)

    def replaced(focus: list[Any], environment: Environment) -> list[Any]:
        if not focus or type(focus[0]) is not str:
            return []
        return [_pattern(old(focus, environment)[0]).sub(new(focus, environment)[0], focus[0])]

    return replaced


_FUNCTIONS: Final[dict[str, Callable[..., List]]] = {
    "where": _where,
    "select": _select,
    "iif": _iif,
    "substring": _substring,
    "replaceMatches": _replaced,
    "intersect": _with_other(
        lambda one, other: values.distinct([a for a in one if any(is_equal(a, b) for b in other)])
    ),
    "combine": _with_other(lambda one, other: [*one, *other]),
    "union": _with_other(lambda one, other: values.distinct([*one, *other])),
    "exclude": _with_other(lambda one, other: [a for a in one if not any(is_equal(a, b) for b in other)]),
    **PLAIN,
}
