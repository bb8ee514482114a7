"""The search parameters of the specification, compiled: what each looks at in a resource.

What a parameter looks at is named by its path, the JSON names from the resource to the element; parameters that look at the
same elements (`code` and `combo-code`, `patient` and `subject`) share them, and so an index that is kept by path holds each
value once. A parameter whose expression is not understood is unknown here, and a search that names it is refused: nothing
is silently ignored.
"""

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from libs.fhir.definitions import SearchRow, definitions, is_resource_type
from libs.fhir.paths import PathError, Walk, compile_path

# Answered from the row itself; they have no values in the body that an index would keep.
OF_THE_ROW: Final = frozenset({"_id", "_lastUpdated"})
# Searched in all that a reader would read; there is no expression.
OF_THE_TEXT: Final = frozenset({"_text", "_content"})
# The path of what `_text` and `_content` search, and of what `near` measures from.
NARRATIVE_PATH: Final = "text.div"
CONTENT_PATH: Final = "*"
# The one expression that is no walk: true where the element is there and not false.
_EXISTENCE: Final = MappingProxyType({("Patient", "deceased"): "Patient.deceased"})
# The date that matters for a type, where it is not the parameter called `date`: for sorting, and for a person's summary.
_PRINCIPAL_DATES: Final = MappingProxyType(
    {
        "Condition": "recorded-date",
        "MedicationRequest": "authoredon",
        "MedicationDispense": "whenhandedover",
        "MedicationStatement": "effective",
        "MedicationAdministration": "effective-time",
        "ServiceRequest": "authored",
        "Task": "authored-on",
        "Claim": "created",
        "ExplanationOfBenefit": "created",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a composite: what it looks at from the composite's element, or from the resource."""

    kind: str
    walks: tuple[Walk, ...]
    is_of_resource: bool


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter of one resource type."""

    name: str
    kind: str
    # Types that a reference may point at; empty means any.
    targets: tuple[str, ...]
    walks: tuple[Walk, ...]
    # Of a composite; its walks lead to the elements that the parts begin at.
    parts: tuple[Part, ...] = ()
    # True if what is found is whether there is something and it is not false.
    is_existence: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that the parameter looks at, each once."""
        return _paths_of(self.walks)


@functools.cache
def _paths_of(walks: tuple[Walk, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(walk.path for walk in walks))


@functools.cache
def parameters_of(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters that are understood for a type, by name, those of all types included."""
    table = definitions().searches
    rows = (*table.get("Resource", ()), *table.get("DomainResource", ()), *table.get(resource_type, ()))
    found = {row.name: parameter for row in rows if (parameter := _compiled(row, resource_type)) is not None}
    return MappingProxyType(found)


def supported(resource_type: str) -> tuple[tuple[str, str], ...]:
    """(name, kind) of each parameter that is understood, in order: what a CapabilityStatement lists."""
    return tuple(sorted((one.name, one.kind) for one in parameters_of(resource_type).values()))


@functools.cache
def principal_date(resource_type: str) -> str:
    """The name of the date parameter that a type is sorted by; empty where it has none."""
    dates = sorted(one.name for one in parameters_of(resource_type).values() if one.kind == "date")
    chosen = _PRINCIPAL_DATES.get(resource_type, "date")
    rest = [name for name in dates if name not in OF_THE_ROW]
    return chosen if chosen in rest else next(iter(rest), "")


# A code that very many resources of its type carry is searched over all people, newest first.
_CODES: Final = ("code", "vaccine-code", "ingredient-code", "code-value", "type", "category")


@functools.cache
def principal_code(resource_type: str) -> str:
    """The name of the parameter that says what a resource of the type is about; empty where none is.

    Only types that have a date that matters have one: it is what an index by code and date is kept for.
    """
    known = parameters_of(resource_type)
    if not principal_date(resource_type) or not is_resource_type(resource_type):
        return ""
    return next((name for name in _CODES if name in known and known[name].kind == "token"), "")


def _compiled(row: SearchRow, resource_type: str) -> SearchParameter | None:
    if row.name in OF_THE_TEXT:
        return SearchParameter(row.name, row.kind, (), ())
    is_existence = (resource_type, row.name) in _EXISTENCE
    expression = _EXISTENCE[resource_type, row.name] if is_existence else row.expression
    if not expression:
        return None
    try:
        walks = compile_path(expression, resource_type)
        parts = tuple(_part(kind, inner, resource_type, walks[0]) for kind, inner in row.parts)
    except PathError:
        return None
    return SearchParameter(row.name, row.kind, row.targets, walks, parts, is_existence=is_existence)


def _part(kind: str, expression: str, resource_type: str, base: Walk) -> Part:
    walks = compile_path(expression, resource_type, base)
    return Part(kind, walks, is_of_resource=expression.startswith("%resource"))


def normalized(text: str) -> str:
    """Text as string searches compare it: no case, no accents of Latin letters, single spaces.

    Thai vowels and tone marks are combining characters too and stay: without them words would become each other.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    composed = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_ACCENTED.sub(_plain_letter, composed).split())


_COMBINING = range(0x0300, 0x0370)
# Where Latin letters with accents are, and accents that stand alone.
_ACCENTED = re.compile("[\u0080-\u036f\u1e00-\u1eff]")


def _plain_letter(found: re.Match[str]) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", found[0]) if ord(one) not in _COMBINING)
