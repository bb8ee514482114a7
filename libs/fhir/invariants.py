"""Invariants of the specification, by type or element, each under its key there.

They are compiled from the specification's own FHIRPath. Those of the types that are met most are written out besides: a plain
function is quicker, and names the element within that is to blame. Tests hold the two equal.

What is not checked, and why: `UNCHECKED`.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from libs.fhir.definitions import Rule, rules
from libs.fhir.fhirpath import Environment, compile_boolean
from libs.fhir.issues import ERROR, INVARIANT, WARNING, Issue

Json = dict[str, Any]
Invariant = Callable[[Any], Issue | None]

_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"


def _broken(expression: str, key: str, rule: str) -> Issue:
    return Issue(expression, INVARIANT, f"{key}: {rule}")


def _has_code(concept: Any, system: str, code: str) -> bool:
    if type(concept) is not dict:
        return False
    codings = concept.get("coding", ())
    return type(codings) is list and any(
        type(one) is dict and one.get("system") == system and one.get("code") == code for one in codings
    )


def _extension(value: Json) -> Issue | None:
    has_value = any(key.startswith(("value", "_value")) for key in value)
    if has_value == ("extension" in value):
        return _broken("", "ext-1", "an extension has either extensions or a value")
    return None


def _period(value: Json) -> Issue | None:
    start, end = value.get("start"), value.get("end")
    if type(start) is str and type(end) is str:
        # Instants of different precision or zone are compared as far as both are written, on whole days.
        shared = min(len(start), len(end), 10)
        if start[:shared] > end[:shared]:
            return _broken("", "per-1", "a period does not end before it starts")
    return None


def _quantity(value: Json) -> Issue | None:
    if "code" in value and "system" not in value:
        return _broken("", "qty-3", "a coded unit names its system")
    return None


def _reference(value: Json) -> Issue | None:
    if not value.keys() & {"reference", "identifier", "display", "extension", "_reference", "_display"}:
        return Issue("", INVARIANT, "a reference says to what it refers")
    return None


def _contained(value: Json) -> Issue | None:
    """Each contained resource has an id, and has it for itself: nothing else could refer to it."""
    ids = set()
    for index, one in enumerate(value["contained"]):
        if type(one) is not dict:
            continue
        if type(one.get("id")) is not str or one["id"] in ids:
            return _broken(f"contained[{index}].id", "dom-3", "a contained resource has an id of its own")
        ids.add(one["id"])
    return None


def _observation(value: Json) -> Issue | None:
    has_value = any(key.startswith("value") for key in value)
    if has_value and "dataAbsentReason" in value:
        return _broken("dataAbsentReason", "obs-6", "a reason for absence stands only where there is no value")
    components = value.get("component")
    if has_value and type(components) is list:
        codes = [_codings(one.get("code")) for one in components if type(one) is dict]
        if any(_codings(value.get("code")) & one for one in codes):
            return _broken("component", "obs-7", "a component does not repeat the code of the observation's own value")
    return None


def _codings(concept: Any) -> set[tuple[Any, Any]]:
    codings = concept.get("coding") if type(concept) is dict else None
    if type(codings) is not list:
        return set()
    return {
        (one.get("system"), one.get("code")) for one in codings if type(one) is dict and type(one.get("code")) is str
    }


def _condition(value: Json) -> Issue | None:
    is_mistake = _has_code(value.get("verificationStatus"), _VERIFICATION, "entered-in-error")
    if is_mistake and "clinicalStatus" in value:
        return _broken("clinicalStatus", "con-5", "what was entered in error has no clinical status")
    has_ended = any(key.startswith("abatement") for key in value)
    states = ("inactive", "resolved", "remission")
    clinical = value.get("clinicalStatus")
    if has_ended and not any(_has_code(clinical, _CLINICAL, state) for state in states):
        return _broken("clinicalStatus", "con-4", "what has abated is inactive, resolved or in remission")
    return None


def _allergy(value: Json) -> Issue | None:
    is_mistake = _has_code(value.get("verificationStatus"), _ALLERGY_VERIFICATION, "entered-in-error")
    if is_mistake and "clinicalStatus" in value:
        return _broken("clinicalStatus", "ait-2", "what was entered in error has no clinical status")
    if not is_mistake and "clinicalStatus" not in value and "_clinicalStatus" not in value:
        return _broken("clinicalStatus", "ait-1", "a clinical status is given")
    return None


def _contact(value: Json) -> Issue | None:
    if not value.keys() & {"name", "telecom", "address", "organization"}:
        return _broken("", "pat-1", "a contact has a name, a way to reach it, an address or an organisation")
    return None


def _point(value: Json) -> Issue | None:
    if "value" in value and "system" not in value:
        return _broken("system", "cpt-2", "a number or address names its system")
    return None


def _organization(value: Json) -> Issue | None:
    if not value.keys() & {"identifier", "name"}:
        return _broken("", "org-1", "an organisation has an identifier or a name")
    return None


INVARIANTS: Final[Mapping[str, tuple[Invariant, ...]]] = {
    "Extension": (_extension,),
    "Period": (_period,),
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), (_quantity,)),
    "Reference": (_reference,),
    "Observation": (_observation,),
    "Condition": (_condition,),
    "AllergyIntolerance": (_allergy,),
    "Patient.contact": (_contact,),
    "ContactPoint": (_point,),
    "Organization": (_organization,),
}

# Keys of the rules that the functions above state.
WRITTEN: Final = frozenset(
    {"ext-1", "per-1", "qty-3", "obs-6", "obs-7", "con-4", "con-5", "ait-1", "ait-2", "pat-1", "cpt-2", "org-1"}
)
# Key → why it is not evaluated.
UNCHECKED: Final[Mapping[str, str]] = {
    "ctm-1": "it follows a reference to a resource that validation does not read",
    "ele-1": "an element with neither value nor children is refused by its structure",
    "ref-1": "references to contained resources are checked where references are",
    "txt-1": "narratives are checked as a format",
    "txt-2": "narratives are checked as a format",
}


class Scene(threading.local):
    """Which resource is being validated, for rules that look beyond their own element."""

    def __init__(self) -> None:
        self.environment = Environment(None, None)
        self.wants_warnings = False


scene = Scene()


@functools.cache
def invariants_at(path: str) -> tuple[tuple[Invariant, ...], tuple[Invariant, ...]]:
    """The rules of a type or an element: those that must hold, and those that had better."""
    compiled: dict[str, list[Invariant]] = {ERROR: [], WARNING: []}
    for rule in rules().get(path, ()):
        if rule.key not in WRITTEN and rule.key not in UNCHECKED:
            compiled[WARNING if rule.is_warning else ERROR].append(_compiled(rule))
    return (*INVARIANTS.get(path, ()), *compiled[ERROR]), tuple(compiled[WARNING])


def _compiled(rule: Rule) -> Invariant:
    holds = compile_boolean(rule.expression)
    broken = Issue("", INVARIANT, f"{rule.key}: {rule.text}", WARNING if rule.is_warning else ERROR)

    def invariant(value: Any) -> Issue | None:
        environment = scene.environment
        environment.context = environment.this = value
        # What is unknown, as the order of a year and a month of it, is not held against anybody.
        return broken if holds([value], environment) is False else None

    return invariant


CONTAINED: Final[Invariant] = _contained
