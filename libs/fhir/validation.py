"""Validation of resources against the specification's definitions.

Each type is compiled once into tables of checks. A check answers None for what is right, so that a right resource costs
no more than a look at each of its elements; paths are put together only on the way back from a defect.

What is checked: known elements, JSON types, cardinality, choice, formats, null and emptiness, primitive extensions,
required codes, references' form and target types, contained resources, the invariants of the specification.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from libs.fhir.definitions import Element, definitions
from libs.fhir.fhirpath import Environment
from libs.fhir.invariants import CONTAINED, Invariant, invariants_at, scene
from libs.fhir.issues import CODE_INVALID, INVALID, INVARIANT, NOT_SUPPORTED, REQUIRED, STRUCTURE, VALUE, Issue
from libs.fhir.primitives import TESTS
from libs.fhir.references import is_well_formed, parse_local

Json = dict[str, Any]
Check = Callable[[Any], list[Issue] | None]
# A resource with more defects than this is not read to its end by anyone.
MAX_ISSUES = 50


class _Entry(NamedTuple):
    """What may stand under one JSON name."""

    check: Check
    is_list: bool
    is_primitive: bool
    # `value.ofType(Quantity)` for `valueQuantity`.
    segment: str
    # The choice that it is one of; empty for none.
    choice: str


class _Structure:
    """A compiled type."""

    __slots__ = (
        "_hints",
        "_invariants",
        "_known",
        "_of_containers",
        "_required",
        "_required_choices",
        "is_resource",
        "name",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_resource = name in definitions().resource_types
        elements = definitions().structures[name]
        self._known: Mapping[str, _Entry] = {
            key: _Entry(
                _ruled(_check_of(element, type_name), f"{name}.{element.path_name}", type_name),
                element.is_list,
                type_name in TESTS,
                f"{element.name}.ofType({type_name})" if element.is_choice else element.name,
                element.name if element.is_choice else "",
            )
            for element in elements
            for key, type_name in element.json_names().items()
        }
        self._required = frozenset(one.name for one in elements if one.is_required and not one.is_choice)
        self._required_choices = tuple(one for one in elements if one.is_required and one.is_choice)
        self._invariants, self._hints = invariants_at(name)
        self._of_containers: tuple[Invariant, ...] = ()
        if "contained" in self._known:
            of_all, hints = invariants_at("DomainResource")
            self._of_containers = (CONTAINED, *of_all)
            self._hints = (*self._hints, *hints)

    def check(self, value: Any) -> list[Issue] | None:  # noqa: C901, PLR0912 one loop over the elements; a call for each would cost more than the checks
        """What is wrong with an object of this type; None for nothing."""
        if type(value) is not dict:
            return [Issue("", STRUCTURE, f"{_shown(self.name)} is an object")]
        if not value:
            return [Issue("", STRUCTURE, "an object is not empty")]
        issues: list[Issue] = []
        known = self._known
        choices: set[str] | None = None
        for key, item in value.items():
            entry = known.get(key)
            if entry is None:
                if key == "resourceType" and self.is_resource:
                    continue
                issues += self._sibling(key, item, value)
                continue
            if entry.choice:
                choices = choices or set()
                if entry.choice in choices:
                    issues.append(Issue(entry.choice, STRUCTURE, "only one type of a choice may stand"))
                choices.add(entry.choice)
            if not entry.is_list:
                more = entry.check(item)
                if more:
                    issues.extend(one.within(entry.segment) for one in more)
            elif type(item) is not list or not item:
                text = "an array is not empty" if item == [] else "more than one may stand here: an array is expected"
                issues.append(Issue(entry.segment, STRUCTURE, text))
            else:
                check = entry.check
                for index, one in enumerate(item):
                    if one is None and entry.is_primitive and _is_extended(value.get("_" + key), index):
                        continue
                    more = check(one)
                    if more:
                        issues.extend(issue.within(f"{entry.segment}[{index}]") for issue in more)
        if not self._required <= value.keys():
            for name in sorted(self._required - value.keys()):
                if not (known[name].is_primitive and "_" + name in value):
                    issues.append(Issue(name, REQUIRED, "the element is required"))
        for element in self._required_choices:
            if not any(key in value or "_" + key in value for key in element.json_names()):
                issues.append(Issue(element.name, REQUIRED, "the element is required"))
        if type(value.get("contained")) is list:
            issues += _broken_of(self._of_containers if not issues else (CONTAINED,), value)
        # Rules take for granted that the elements are what they should be.
        if not issues:
            for invariant in self._invariants:
                broken = invariant(value)
                if broken is not None:
                    issues.append(broken)
        if scene.wants_warnings:
            issues += _broken_of(self._hints, value)
        return issues[:MAX_ISSUES] if issues else None

    def _sibling(self, key: str, item: Any, value: Json) -> list[Issue]:
        """`_birthDate` beside `birthDate`: id and extensions of a primitive."""
        entry = self._known.get(key[1:]) if key.startswith("_") else None
        if entry is None or not entry.is_primitive:
            # An unknown name is the caller's own text; only one that could be a name is repeated.
            place = key if key.isidentifier() and len(key) <= 64 else ""  # noqa: PLR2004 longer than any name in FHIR
            return [Issue(place, STRUCTURE, f"{_shown(self.name)} has no such element")]
        check = _structure("Element").check
        if not entry.is_list:
            return [one.within(entry.segment) for one in check(item) or ()]
        values = value.get(key[1:])
        if type(item) is not list or (values is not None and type(values) is list and len(values) != len(item)):
            return [Issue(entry.segment, STRUCTURE, "the extensions of an array are an array of the same length")]
        return [
            issue.within(f"{entry.segment}[{index}]")
            for index, one in enumerate(item)
            if one is not None
            for issue in check(one) or ()
        ]


def _broken_of(invariants: tuple[Invariant, ...], value: Json) -> list[Issue]:
    return [broken for invariant in invariants if (broken := invariant(value)) is not None]


def _ruled(check: Check, path: str, type_name: str) -> Check:
    """A check with the rules of the element itself; those of a backbone are its structure's."""
    if type_name.startswith("@"):
        return check
    invariants, _ = invariants_at(path)
    if not invariants:
        return check

    def ruled(value: Any) -> list[Issue] | None:
        return check(value) or _broken_of(invariants, value) or None

    return ruled


def _is_extended(siblings: Any, index: int) -> bool:
    return type(siblings) is list and index < len(siblings) and siblings[index] is not None


@functools.cache
def _structure(name: str) -> _Structure:
    return _Structure(name)


def _shown(name: str) -> str:
    return name.rpartition(".")[2] if "." in name else name


def _check_of(element: Element, type_name: str) -> Check:
    if type_name in TESTS:
        return _primitive(type_name, element.value_set)
    if type_name == "Resource":
        return _check_contained if element.name == "contained" else _check_inner
    if type_name == "Reference":
        return _reference(element.targets)
    if element.value_set and type_name in {"CodeableConcept", "Coding"}:
        return _coded(type_name, element.value_set)
    return _deferred(type_name.removeprefix("@"))


def _deferred(name: str) -> Check:
    """The check of a type that is compiled when it is first met: types hold each other."""
    found: list[Check] = []

    def check(value: Any) -> list[Issue] | None:
        if not found:
            found.append(_structure(name).check)
        return found[0](value)

    return check


def _primitive(type_name: str, value_set: str) -> Check:
    test = TESTS[type_name]
    article = "an" if type_name[0] in "aeiou" else "a"
    wrong = [Issue("", VALUE, f"the value is not {article} {type_name}")]
    missing = [Issue("", STRUCTURE, "null stands for nothing here")]
    if type_name != "code" or not value_set:
        return lambda value: None if test(value) else (missing if value is None else wrong)
    codes = frozenset().union(*definitions().value_sets[value_set].values())
    unknown = [Issue("", CODE_INVALID, f"the code is not in value set {value_set}")]
    return lambda value: (
        None
        if type(value) is str and value in codes
        else (unknown if test(value) else missing if value is None else wrong)
    )


def _coded(type_name: str, value_set: str) -> Check:
    systems = definitions().value_sets[value_set]
    inner = _deferred(type_name)
    unknown = [Issue("", CODE_INVALID, f"none of the codes is in value set {value_set}")]

    def is_member(coding: Any) -> bool:
        return type(coding) is dict and coding.get("code") in systems.get(coding.get("system", ""), ())

    def check(value: Any) -> list[Issue] | None:
        issues = inner(value)
        if issues:
            return issues
        codings = [value] if type_name == "Coding" else value.get("coding", ())
        return None if any(is_member(coding) for coding in codings) else unknown

    return check


def _reference(targets: frozenset[str]) -> Check:
    inner = _deferred("Reference")
    malformed = [Issue("reference", VALUE, "a reference is Type/id, an absolute URL, a URN or #id")]
    dangling = [Issue("reference", INVARIANT, "ref-1: no contained resource has this id")]
    elsewhere = [Issue("reference", VALUE, f"the reference may only be to {', '.join(sorted(targets))}")]

    def check(value: Any) -> list[Issue] | None:
        issues = inner(value)
        if issues:
            return issues
        text = value.get("reference")
        if text is None:
            return None
        local = parse_local(text)
        if local is None:
            is_lost = text[:1] == "#" and not _is_contained(text[1:])
            return dangling if is_lost else None if is_well_formed(text) else malformed
        if targets and local.type not in targets:
            return elsewhere
        if value.get("type", local.type) != local.type:
            return [Issue("type", INVALID, "the type is not that of the reference")]
        return None

    return check


def _is_contained(resource_id: str) -> bool:
    """True for the id of a resource that is contained; # alone is the one that contains."""
    root = scene.environment.root
    contained = root.get("contained") if type(root) is dict else None
    if type(contained) is not list:
        return not resource_id
    return not resource_id or any(type(one) is dict and one.get("id") == resource_id for one in contained)


def _check_inner(value: Any) -> list[Issue] | None:
    """A resource inside another that stands for itself, as in a Bundle."""
    return _checked(value, value)


def _check_contained(value: Any) -> list[Issue] | None:
    """A resource that is part of another."""
    return _checked(value, scene.environment.root)


def _checked(value: Any, root: Any) -> list[Issue] | None:
    if type(value) is not dict:
        return [Issue("", STRUCTURE, "a resource is an object")]
    name = value.get("resourceType")
    if type(name) is not str or name not in definitions().resource_types:
        return [Issue("resourceType", STRUCTURE, "there is no such resource type in FHIR R4")]
    before = scene.environment
    scene.environment = Environment(value, root)
    try:
        return _structure(name).check(value)
    finally:
        scene.environment = before


def validate(value: Json, resource_type: str, *, with_warnings: bool = False) -> list[Issue]:
    """What is wrong with a resource that should be of a type; empty for nothing. Expressions begin with the type.

    With `with_warnings` also what had better be otherwise.
    """
    if resource_type not in definitions().resource_types:
        return [Issue("", NOT_SUPPORTED, "there is no such resource type in FHIR R4")]
    if value.get("resourceType") != resource_type:
        return [Issue(f"{resource_type}.resourceType", STRUCTURE, f"the resource is no {resource_type}")]
    scene.wants_warnings = with_warnings
    try:
        return [one.within(resource_type) for one in _check_inner(value) or ()]
    finally:
        scene.wants_warnings = False
