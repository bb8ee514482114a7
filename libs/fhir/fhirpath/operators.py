"""The operators of FHIRPath over what its operands compile to; logic is of three values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from libs.fhir.fhirpath import values
from libs.fhir.json_patch import is_equal

List = Callable[[list[Any], "Environment"], list[Any]]
Truth = Callable[[list[Any], "Environment"], bool | None]


@dataclass(slots=True)
class Environment:
    """What an expression may name besides its focus."""

    # The resource that the focus is in; and the one that contains that, or itself.
    resource: Any
    root: Any
    context: Any = None
    this: Any = None
    index: int = 0


def _implies(left: Truth, right: Truth) -> Truth:
    def implies(focus: list[Any], environment: Environment) -> bool | None:
        known = left(focus, environment)
        if known is False:
            return True
        then = right(focus, environment)
        return then if known else (True if then else None)

    return implies


def _or(left: Truth, right: Truth) -> Truth:
    def either(focus: list[Any], environment: Environment) -> bool | None:
        one = left(focus, environment)
        if one:
            return True
        other = right(focus, environment)
        return True if other else (None if one is None or other is None else False)

    return either


def _and(left: Truth, right: Truth) -> Truth:
    def both(focus: list[Any], environment: Environment) -> bool | None:
        one = left(focus, environment)
        if one is False:
            return False
        other = right(focus, environment)
        return False if other is False else (None if one is None or other is None else True)

    return both


def _xor(left: Truth, right: Truth) -> Truth:
    def one_of_two(focus: list[Any], environment: Environment) -> bool | None:
        one, other = left(focus, environment), right(focus, environment)
        return None if one is None or other is None else one is not other

    return one_of_two


def _in(left: List, right: List) -> Truth:
    def member(focus: list[Any], environment: Environment) -> bool | None:
        some = left(focus, environment)
        return any(is_equal(some[0], one) for one in right(focus, environment)) if some else None

    return member


def _equals(left: List, right: List) -> Truth:
    return lambda focus, environment: values.equal(left(focus, environment), right(focus, environment))


def _differs(left: List, right: List) -> Truth:
    def differs(focus: list[Any], environment: Environment) -> bool | None:
        found = values.equal(left(focus, environment), right(focus, environment))
        return None if found is None else not found

    return differs


def _ordered(*, is_swapped: bool, or_equals: bool) -> Callable[[List, List], Truth]:
    def compiled(left: List, right: List) -> Truth:
        one, other = (right, left) if is_swapped else (left, right)
        return lambda focus, environment: values.precedes(
            one(focus, environment), other(focus, environment), or_equals=or_equals
        )

    return compiled


def _joined(left: List, right: List) -> List:
    def joined(focus: list[Any], environment: Environment) -> list[Any]:
        texts = [str(one[0]) if one else "" for one in (left(focus, environment), right(focus, environment))]
        return ["".join(texts)]

    return joined


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[List, List], List]:
    def compiled(left: List, right: List) -> List:
        def result(focus: list[Any], environment: Environment) -> list[Any]:
            one, other = left(focus, environment), right(focus, environment)
            if len(one) != 1 or len(other) != 1:
                return []
            try:
                return [compute(one[0], other[0])]
            except (TypeError, ZeroDivisionError):
                return []

        return result

    return compiled


def _union(left: List, right: List) -> List:
    return lambda focus, environment: values.distinct([*left(focus, environment), *right(focus, environment)])


LOGIC: Final = {"implies": _implies, "or": _or, "and": _and, "xor": _xor}
COMPARISONS: Final[dict[str, Callable[[List, List], Truth]]] = {
    "=": _equals,
    "~": _equals,
    "!=": _differs,
    "!~": _differs,
    "<": _ordered(is_swapped=False, or_equals=False),
    "<=": _ordered(is_swapped=False, or_equals=True),
    ">": _ordered(is_swapped=True, or_equals=False),
    ">=": _ordered(is_swapped=True, or_equals=True),
    "in": _in,
    "contains": lambda left, right: _in(right, left),
}
LIST_OPERATORS: Final[dict[str, Callable[[List, List], List]]] = {
    "|": _union,
    "&": _joined,
    "+": _arithmetic(lambda one, other: one + other),
    "-": _arithmetic(lambda one, other: one - other),
    "*": _arithmetic(lambda one, other: one * other),
    "/": _arithmetic(lambda one, other: one / other),
    "div": _arithmetic(lambda one, other: one // other),
    "mod": _arithmetic(lambda one, other: one % other),
}
