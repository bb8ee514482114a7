"""How a value set is put together: http://hl7.org/fhir/R4/valueset.html#compositions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from libs.fhir.body import Json
from libs.fhir.search_parameters import normalized
from services.records.rules.terminology.concepts import Concept, Filter, Selection, filter_of

_IMPLICIT = "?fhir_vs"


@dataclass(frozen=True, slots=True)
class Part:
    """An include or exclude: what is in the system's selection and in each of the value sets."""

    # Empty where value sets alone are named.
    system: str
    version: str
    selection: Selection
    value_sets: tuple[str, ...]
    # What the value set calls concepts that it lists.
    displays: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Composition:
    """A value set: the parts that it includes, less those that it excludes."""

    url: str
    version: str
    title: str
    includes: tuple[Part, ...]
    excludes: tuple[Part, ...]


def composition_of(resource: Json) -> Composition:
    """What a ValueSet says. One with an expansion only is the list of it.

    Raises InvalidArgumentError, reason FILTER_UNSUPPORTED.
    """
    compose = resource.get("compose") or {"include": list(_expanded(resource))}
    return Composition(
        resource.get("url", ""),
        resource.get("version", ""),
        resource.get("title") or resource.get("name", ""),
        tuple(_parts(compose, "include")),
        tuple(_parts(compose, "exclude")),
    )


def implicit(canonical: str) -> Composition | None:
    """The value set that a code system has by itself: `system?fhir_vs`, `?fhir_vs=isa/code`; None for another URL."""
    system, mark, asked = canonical.partition(_IMPLICIT)
    if not mark:
        return None
    kind, slash, code = unquote(asked).removeprefix("=").partition("/")
    filters = (Filter("concept", "is-a", code),) if kind == "isa" and slash else ()
    if asked and not filters:
        return None
    part = Part(system, "", Selection(filters=filters), ())
    return Composition(canonical, "", "", (part,), ())


def narrowed(selection: Selection, words: tuple[str, ...], *, active_only: bool) -> Selection:
    """The selection, of what has these words."""
    return replace(selection, words=words, active_only=active_only or selection.active_only)


def renamed(part: Part, concept: Concept) -> Concept:
    """The concept as the value set calls it."""
    display = dict(part.displays).get(concept.code)
    return replace(concept, display=display) if display else concept


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text filter; Thai, which writes without blanks, is one word."""
    return tuple(normalized(text).split())


def _parts(compose: Json, name: str) -> Iterator[Part]:
    for index, part in enumerate(compose.get(name, ())):
        place = f"ValueSet.compose.{name}[{index}].filter"
        concepts = part.get("concept")
        yield Part(
            part.get("system", ""),
            part.get("version", ""),
            Selection(
                codes=tuple(one["code"] for one in concepts) if concepts is not None else None,
                filters=tuple(filter_of(one, place) for one in part.get("filter", ())),
            ),
            tuple(part.get("valueSet", ())),
            tuple((one["code"], one["display"]) for one in concepts or () if one.get("display")),
        )


def _expanded(resource: Json) -> Iterator[Json]:
    by_system: dict[str, list[Json]] = {}
    waiting = list(resource.get("expansion", {}).get("contains", ()))
    while waiting:
        one = waiting.pop(0)
        if "code" in one and not one.get("abstract"):
            by_system.setdefault(one.get("system", ""), []).append(
                {"code": one["code"], "display": one.get("display", "")}
            )
        waiting[:0] = one.get("contains", ())
    for system, concepts in by_system.items():
        yield {"system": system, "concept": concepts}
