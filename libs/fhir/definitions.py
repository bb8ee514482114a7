"""The specification's definitions, read once: elements, required codes, search parameters, the patient compartment.

The table is made by `tools/fhir_definitions.py` from HL7's published bundles.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

import orjson

CHOICE = "[x]"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a type, as the specification defines it."""

    # Without `[x]`: `value` of `Observation.value[x]`.
    name: str
    is_required: bool
    is_list: bool
    is_choice: bool
    # Type names; `@Observation.component` is the structure of that path.
    types: tuple[str, ...]
    # The value set that its code must be of; empty where any may stand.
    value_set: str
    # Types that a reference may point at; empty means any.
    targets: frozenset[str]

    @property
    def path_name(self) -> str:
        """As paths of the specification have it: `value[x]`."""
        return self.name + CHOICE if self.is_choice else self.name

    def json_names(self) -> dict[str, str]:
        """The JSON names that it may have → the type that each means."""
        if self.is_choice:
            return {self.name + one[0].upper() + one[1:]: one for one in self.types}
        return {self.name: self.types[0]}


@dataclass(frozen=True, slots=True)
class SearchRow:
    """A search parameter of one resource type, as the specification defines it."""

    name: str
    # token, reference, date, string, number, quantity, uri, composite, special.
    kind: str
    expression: str
    targets: tuple[str, ...]
    # Of a composite: (kind, expression from its own element) of each part.
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant of the specification."""

    key: str
    text: str
    # FHIRPath, true of every element at the path.
    expression: str
    is_warning: bool


@dataclass(frozen=True, slots=True)
class Definitions:
    """The table."""

    version: str
    resource_types: frozenset[str]
    # Type name or backbone path → its elements.
    structures: Mapping[str, tuple[Element, ...]]
    # Value set → system → codes.
    value_sets: Mapping[str, Mapping[str, frozenset[str]]]
    # Resource type or backbone path → the elements that a summary shows, as they are named there.
    summaries: Mapping[str, frozenset[str]]
    # Resource type → its search parameters, without those that all types have.
    searches: Mapping[str, tuple[SearchRow, ...]]
    # Resource type → the search parameters that place it in a patient's compartment.
    patient_compartment: Mapping[str, tuple[str, ...]]


@functools.cache
def definitions() -> Definitions:
    """The definitions of FHIR R4; about 30 ms the first time."""
    table = orjson.loads(resources.files(__package__).joinpath("data/r4.json").read_bytes())
    return Definitions(
        version=table["version"],
        resource_types=frozenset(table["resources"]),
        structures=MappingProxyType(
            {name: tuple(_element(row) for row in rows) for name, rows in table["structures"].items()}
        ),
        value_sets=MappingProxyType(
            {
                name: {system: frozenset(codes) for system, codes in systems.items()}
                for name, systems in table["codes"].items()
            }
        ),
        summaries=MappingProxyType({name: frozenset(names) for name, names in table["summaries"].items()}),
        searches=MappingProxyType(
            {name: tuple(_search(row) for row in rows) for name, rows in table["searches"].items()}
        ),
        patient_compartment=MappingProxyType(
            {name: tuple(parameters) for name, parameters in table["patient_compartment"].items()}
        ),
    )


@functools.cache
def rules() -> Mapping[str, tuple[Rule, ...]]:
    """Path of a type or an element, such as `Observation.referenceRange`, → its invariants."""
    table = orjson.loads(resources.files(__package__).joinpath("data/r4_invariants.json").read_bytes())
    return MappingProxyType(
        {
            path: tuple(Rule(row[0], row[1], row[2], is_warning=len(row) > 3) for row in rows)  # noqa: PLR2004 the fourth says so
            for path, rows in table["invariants"].items()
        }
    )


def _search(row: Sequence[Any]) -> SearchRow:
    name, kind, expression, *rest = row
    parts = rest[1] if len(rest) > 1 else ()
    return SearchRow(name, kind, expression, tuple(rest[0]) if rest else (), tuple((one[0], one[1]) for one in parts))


def _element(row: Sequence[Any]) -> Element:
    name, least, is_list, types, *rest = row
    value_set: str = rest[0] if rest else ""
    targets: Sequence[str] = rest[1] if len(rest) > 1 else ()
    return Element(
        name=name.removesuffix(CHOICE),
        is_required=least > 0,
        is_list=is_list,
        is_choice=name.endswith(CHOICE),
        types=tuple(types),
        value_set=value_set,
        targets=frozenset(targets),
    )


def is_resource_type(name: str) -> bool:
    """True for a concrete FHIR R4 resource type."""
    return name in definitions().resource_types
