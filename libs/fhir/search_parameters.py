"""The search parameters that are understood, from the specification's own table, and the values that they find.

A parameter is understood when its kind is one of KINDS and its expression one that `libs.fhir.paths` compiles. Everything
else is unknown here, and a search that names it is refused: nothing is silently ignored.
"""

import functools
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from libs.fhir.definitions import SearchRow, definitions
from libs.fhir.moments import Span, span_of_value
from libs.fhir.paths import PathError, Walk, compile_path
from libs.fhir.references import parse_local

KINDS: Final = frozenset({"token", "reference", "date", "string", "uri"})
# Answered from the row itself; they have no values in the body that the index would keep.
OF_THE_ROW: Final = frozenset({"_id", "_lastUpdated"})
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
class SearchParameter:
    """A search parameter of one resource type."""

    name: str
    kind: str
    # Types that a reference may point at; empty means any.
    targets: tuple[str, ...]
    walks: tuple[Walk, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A code with its system; the system is empty where none is stated."""

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Values:
    """What the parameters of a type find in one resource: (parameter, value), each once."""

    tokens: frozenset[tuple[str, Token]]
    # `Type/id` for a resource of this server, or an absolute address.
    references: frozenset[tuple[str, str]]
    uris: frozenset[tuple[str, str]]
    strings: frozenset[tuple[str, str]]
    dates: Mapping[str, Span]


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


def _compiled(row: SearchRow, resource_type: str) -> SearchParameter | None:
    if row.kind not in KINDS or not row.expression:
        return None
    try:
        walks = compile_path(row.expression, resource_type)
    except PathError:
        return None
    return SearchParameter(row.name, row.kind, row.targets, walks)


@functools.cache
def _by_first_key(resource_type: str) -> Mapping[str, tuple[tuple[SearchParameter, Walk], ...]]:
    """First JSON name of a walk → what to look for under it, so that a resource costs by what it holds."""
    found: dict[str, list[tuple[SearchParameter, Walk]]] = {}
    for parameter in parameters_of(resource_type).values():
        if parameter.name in OF_THE_ROW:
            continue
        for walk in parameter.walks:
            found.setdefault(walk.steps[0].key, []).append((parameter, walk))
    return MappingProxyType({key: tuple(walks) for key, walks in found.items()})


def values_of(resource: Mapping[str, Any], resource_type: str) -> Values:
    """What the parameters of its type find in a valid resource."""
    tokens: set[tuple[str, Token]] = set()
    references: set[tuple[str, str]] = set()
    uris: set[tuple[str, str]] = set()
    strings: set[tuple[str, str]] = set()
    dates: dict[str, Span] = {}
    walks = _by_first_key(resource_type)
    for key in resource:
        for parameter, walk in walks.get(key, ()):
            name, kind = parameter.name, parameter.kind
            for value in walk.values(resource):  # type: ignore[arg-type]  # a mapping that is read like a dict
                if kind == "token":
                    tokens.update((name, token) for token in _tokens(value, walk))
                elif kind == "reference":
                    references.update((name, text) for text in _references(value))
                elif kind == "date":
                    span = span_of_value(value, walk.type)
                    if span is not None:
                        known = dates.get(name, span)
                        dates[name] = Span(min(known.low, span.low), max(known.high, span.high))
                elif kind == "string":
                    strings.update((name, text) for part in _strings(value) if (text := normalized(part)))
                elif isinstance(value, str):
                    uris.add((name, value))
    return Values(frozenset(tokens), frozenset(references), frozenset(uris), frozenset(strings), dates)


def normalized(text: str) -> str:
    """Text as string searches compare it: no case, no accents of Latin letters, single spaces.

    Thai vowels and tone marks are combining characters too and stay: without them words would become each other.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    composed = unicodedata.normalize("NFKC", text).casefold()
    plain = "".join(_plain_letter(character) for character in composed)
    return " ".join(plain.split())


_COMBINING = range(0x0300, 0x0370)
# Beyond Latin Extended Additional no letter is Latin with an accent.
_LATIN_END = 0x1F00


def _plain_letter(character: str) -> str:
    if ord(character) >= _LATIN_END or 0x0370 <= ord(character) < 0x1E00:  # noqa: PLR2004 Greek up to Latin Extended Additional
        return character
    return "".join(one for one in unicodedata.normalize("NFD", character) if ord(one) not in _COMBINING)


def _tokens(value: Any, walk: Walk) -> Iterator[Token]:
    if isinstance(value, bool):
        yield Token("", "true" if value else "false")
    elif isinstance(value, str):
        yield Token(_implied_system(walk.value_set, value) if walk.value_set else "", value)
    elif isinstance(value, dict):
        if walk.type == "CodeableConcept":
            for coding in value.get("coding", ()):
                if isinstance(coding, dict):
                    yield from _token(coding, "code")
        elif walk.type == "Coding":
            yield from _token(value, "code")
        elif walk.type in {"Identifier", "ContactPoint"}:
            yield from _token(value, "value", has_system=walk.type == "Identifier")


def _token(value: Mapping[str, Any], key: str, *, has_system: bool = True) -> Iterator[Token]:
    code = value.get(key)
    if isinstance(code, str):
        yield Token(value.get("system", "") if has_system else "", code)


def _implied_system(value_set: str, code: str) -> str:
    """The system of a bare code, from the value set that it must be of."""
    systems = definitions().value_sets[value_set]
    return next((system for system, codes in systems.items() if code in codes), "")


def _references(value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else value.get("reference") if isinstance(value, dict) else None
    if isinstance(text, str) and not text.startswith("#"):
        local = parse_local(text)
        yield str(local) if local is not None else text


_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in dict.fromkeys((*_NAME_PARTS, *_ADDRESS_PARTS)):
            found = value.get(part)
            if isinstance(found, str):
                yield found
            elif isinstance(found, list):
                yield from (one for one in found if isinstance(one, str))
