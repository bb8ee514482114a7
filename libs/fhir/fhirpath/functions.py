"""Functions of FHIRPath that look at nothing but the collection that they are called on."""

from collections.abc import Callable
from typing import Any, Final

from libs.fhir.fhirpath import values
from libs.fhir.fhirpath.operators import List
from libs.fhir.fhirpath.values import Bare


def _plain(compute: Callable[[list[Any]], list[Any]]) -> Callable[..., List]:
    return lambda *_: lambda focus, _: compute(focus)


def _to_integer(focus: list[Any]) -> list[Any]:
    if not focus or type(focus[0]) is bool or type(focus[0]) is Bare:
        return []
    try:
        return [int(str(focus[0]))]
    except ValueError:
        return []


def _to_string(focus: list[Any]) -> list[Any]:
    if not focus or type(focus[0]) in {dict, Bare}:
        return []
    one = focus[0]
    return [str(one).lower() if type(one) is bool else str(getattr(one, "text", one))]


PLAIN: Final[dict[str, Callable[..., List]]] = {
    "trace": _plain(lambda focus: focus),
    "count": _plain(lambda focus: [len(focus)]),
    "length": _plain(lambda focus: [len(focus[0])] if focus and type(focus[0]) is str else []),
    "first": _plain(lambda focus: focus[:1]),
    "last": _plain(lambda focus: focus[-1:]),
    "tail": _plain(lambda focus: focus[1:]),
    "single": _plain(lambda focus: focus[:1] if len(focus) == 1 else []),
    "distinct": _plain(values.distinct),
    "children": _plain(lambda focus: [child for one in focus for child in values.children(one)]),
    "descendants": _plain(values.descendants),
    "toInteger": _plain(_to_integer),
    "toString": _plain(_to_string),
}
