"""What a resource is found by: the values that the search parameters of its type look at, each with its path."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from libs.fhir.definitions import definitions
from libs.fhir.moments import Span, span_of_value
from libs.fhir.paths import Walk
from libs.fhir.readable import narrative_of, readable
from libs.fhir.references import parse_local
from libs.fhir.search_numbers import Number, Token, is_number, number_of
from libs.fhir.search_parameters import OF_THE_ROW, OF_THE_TEXT, SearchParameter, parameters_of


@dataclass(slots=True)
class Values:
    """What the parameters of a type find in one resource."""

    tokens: set[tuple[str, Token]] = field(default_factory=set)
    # What codes and identifiers are called.
    token_texts: set[tuple[str, str]] = field(default_factory=set)
    # Identifiers with the type of the number: path, system and code of the type, value.
    typed: set[tuple[str, str, str, str]] = field(default_factory=set)
    # `Type/id` for a resource of this server, or an absolute address.
    references: set[tuple[str, str]] = field(default_factory=set)
    # Identifiers that references carry.
    identified: set[tuple[str, Token]] = field(default_factory=set)
    uris: set[tuple[str, str]] = field(default_factory=set)
    # As they are written.
    strings: set[tuple[str, str]] = field(default_factory=set)
    dates: set[tuple[str, Span]] = field(default_factory=set)
    numbers: set[Number] = field(default_factory=set)
    # Two parts of one element: the composite's path, the token, and the other as a token (a reference has no system).
    pairs: set[tuple[str, Token, Token]] = field(default_factory=set)
    # What a reader reads: of the narrative, and of the whole resource.
    narrative: str = ""
    content: str = ""


Collect = Callable[[Any, "_Place", Values], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """A walk, and what to do with what it finds."""

    path: str
    walk: Walk
    collect: Collect


@functools.cache
def _by_first_key(resource_type: str) -> Mapping[str, tuple[_Place, ...]]:
    """First JSON name of a walk → what to look for under it, so that a resource costs by what it holds."""
    known = parameters_of(resource_type)
    paired = {
        f"{base.path}.{walk.path}" if base.path else walk.path
        for parameter in known.values()
        if parameter.kind == "composite"
        for base in parameter.walks
        for part in parameter.parts
        if part.kind in {"quantity", "number"}
        for walk in part.walks
    }
    places: dict[tuple[str, str, str], _Place] = {}
    for parameter in known.values():
        collect = _COLLECT.get(parameter.kind)
        if parameter.is_existence or parameter.name in OF_THE_ROW | OF_THE_TEXT or collect is None:
            continue
        for walk in parameter.walks:
            if parameter.kind == "quantity" and walk.path in paired:
                # Found with the code beside it.
                continue
            if parameter.kind == "reference":
                # Whichever type it points at: the type is part of what is found.
                walk = _anywhere(walk)  # noqa: PLW2901 the same walk, asking less
            places.setdefault((parameter.kind, walk.path, walk.type), _Place(walk.path, walk, collect))
    found: dict[str, list[_Place]] = {}
    for place in places.values():
        found.setdefault(place.walk.steps[0].key, []).append(place)
    return MappingProxyType({key: tuple(sorted(one, key=lambda place: place.path)) for key, one in found.items()})


def _anywhere(walk: Walk) -> Walk:
    """The walk without a condition on what a reference points at."""
    if not any(step.condition is not None and not step.condition.name for step in walk.steps):
        return walk
    steps = tuple(
        type(step)(
            step.key, None if step.condition is not None and not step.condition.name else step.condition, step.index
        )
        for step in walk.steps
    )
    return Walk(steps, walk.type, walk.value_set)


@dataclass(frozen=True, slots=True)
class _Pairing:
    """A base of a composite, and what is together there, with what need not be worked out for each resource."""

    parameter: SearchParameter
    base: Walk
    # JSON names of which one must stand in the resource, or there is no pair.
    needed: frozenset[str]
    # For each walk of the second part, the path of the number; and the path of the pair.
    number_paths: tuple[str, ...]
    path: str


@functools.cache
def _pairings(resource_type: str) -> tuple[_Pairing, ...]:
    known = parameters_of(resource_type).values()
    composites = sorted((one for one in known if one.kind == "composite"), key=lambda one: one.name)
    return tuple(_pairing(one, base) for one in composites for base in one.walks if _is_together(one, base))


def _is_together(parameter: SearchParameter, base: Walk) -> bool:
    """False where the base is the resource: it has one root, so that its parts are together wherever they stand."""
    return bool(base.steps) or parameter.parts[1].kind in {"quantity", "number"}


def _pairing(parameter: SearchParameter, base: Walk) -> _Pairing:
    walks = parameter.parts[1].walks
    first = {base.steps[0].key} if base.steps else {walk.steps[0].key for walk in walks}
    paths = tuple(f"{base.path}.{walk.path}" if base.path else walk.path for walk in walks)
    return _Pairing(parameter, base, frozenset(first), paths, pair_path(base, parameter))


@functools.cache
def _existences(resource_type: str) -> tuple[SearchParameter, ...]:
    return tuple(one for one in parameters_of(resource_type).values() if one.is_existence)


def values_of(resource: Mapping[str, Any], resource_type: str) -> Values:
    """What the parameters of its type find in a valid resource."""
    values = Values()
    body: dict[str, Any] = resource if type(resource) is dict else dict(resource)
    places = _by_first_key(resource_type)
    for key in body:
        for place in places.get(key, ()):
            for value in place.walk.values(body):
                place.collect(value, place, values)
    for parameter in _existences(resource_type):
        found = [value for walk in parameter.walks for value in walk.values(body)]
        token = Token("", "true" if any(value is not False for value in found) else "false")
        values.tokens.update((path, token) for path in parameter.paths)
    for pairing in _pairings(resource_type):
        if not pairing.needed.isdisjoint(body):
            _pair(body, pairing, values)
    values.narrative = narrative_of(body)
    values.content = "\n".join(dict.fromkeys(readable(body)))
    return values


def _collect_token(value: Any, place: _Place, values: Values) -> None:
    path = place.path
    for token in tokens_of(value, place.walk):
        values.tokens.add((path, token))
    if type(value) is dict:
        for text in _token_texts(value, place.walk.type):
            values.token_texts.add((path, text))
        if place.walk.type == "Identifier" and type(value.get("value")) is str:
            for coding in (value.get("type") or {}).get("coding", ()):
                if type(coding.get("code")) is str:
                    values.typed.add((path, coding.get("system", ""), coding["code"], value["value"]))


def _collect_reference(value: Any, place: _Place, values: Values) -> None:
    for text in references_of(value):
        values.references.add((place.path, text))
    if type(value) is dict:
        number = value.get("identifier")
        if type(number) is dict and type(number.get("value")) is str:
            values.identified.add((place.path, Token(number.get("system", ""), number["value"])))


def _collect_uri(value: Any, place: _Place, values: Values) -> None:
    if type(value) is str:
        values.uris.add((place.path, value))


def _collect_string(value: Any, place: _Place, values: Values) -> None:
    for text in _strings(value):
        values.strings.add((place.path, text))


def _collect_date(value: Any, place: _Place, values: Values) -> None:
    span = span_of_value(value, place.walk.type)
    if span is not None:
        values.dates.add((place.path, span))


def _collect_number(value: Any, place: _Place, values: Values) -> None:
    number = number_of(value, place.path, place.walk.type)
    if number is not None:
        values.numbers.add(number)


_COLLECT: Final[Mapping[str, Collect]] = MappingProxyType(
    {
        "token": _collect_token,
        "reference": _collect_reference,
        "uri": _collect_uri,
        "string": _collect_string,
        "date": _collect_date,
        "number": _collect_number,
        "quantity": _collect_number,
        "special": _collect_number,
    }
)


def pair_path(base: Walk, parameter: SearchParameter) -> str:
    """The path under which a composite's pairs of one base are found."""
    return f"{base.path}:{'$'.join('|'.join(walk.path for walk in part.walks) for part in parameter.parts)}"


def _pair(body: dict[str, Any], pairing: _Pairing, values: Values) -> None:
    first, *others = pairing.parameter.parts
    for element in pairing.base.values(body):
        tokens = tuple(
            token
            for walk in first.walks
            for value in walk.values(body if first.is_of_resource else element)
            for token in tokens_of(value, walk)
        )
        if len(others) > 1:
            low, high = (next(iter(part.walks[0].values(element)), None) for part in others)
            if is_number(low) and is_number(high):
                values.numbers.add(Number(pairing.path, float(low), float(high), about=tokens))
            continue
        kind = others[0].kind
        for walk, path in zip(others[0].walks, pairing.number_paths, strict=True):
            for value in walk.values(element):
                if kind in {"quantity", "number"}:
                    number = number_of(value, path, walk.type, tokens)
                    if number is not None:
                        values.numbers.add(number)
                else:
                    seconds = tokens_of(value, walk) if kind == "token" else map(_untyped, references_of(value))
                    values.pairs.update((pairing.path, token, second) for second in seconds for token in tokens)


def _untyped(text: str) -> Token:
    return Token("", text)


def tokens_of(value: Any, walk: Walk) -> Iterator[Token]:
    """The tokens of an element of one of the types that tokens are of."""
    if type(value) is bool:
        yield Token("", "true" if value else "false")
    elif type(value) is str:
        yield Token(_implied_system(walk.value_set, value) if walk.value_set else "", value)
    elif type(value) is dict:
        kind = walk.type
        if kind == "CodeableConcept":
            for coding in value.get("coding", ()):
                if type(coding) is dict and type(coding.get("code")) is str:
                    yield Token(coding.get("system", ""), coding["code"])
        elif kind == "Coding":
            if type(value.get("code")) is str:
                yield Token(value.get("system", ""), value["code"])
        elif kind in {"Identifier", "ContactPoint"} and type(value.get("value")) is str:
            yield Token(value.get("system", "") if kind == "Identifier" else "", value["value"])


def _token_texts(value: Mapping[str, Any], type_name: str) -> Iterator[str]:
    if type_name == "CodeableConcept":
        if type(value.get("text")) is str:
            yield value["text"]
        yield from (one["display"] for one in value.get("coding", ()) if type(one.get("display")) is str)
    elif type_name == "Coding" and type(value.get("display")) is str:
        yield value["display"]
    elif type_name == "Identifier" and type((value.get("type") or {}).get("text")) is str:
        yield value["type"]["text"]


@functools.lru_cache(maxsize=4096)
def _implied_system(value_set: str, code: str) -> str:
    """The system of a bare code, from the value set that it must be of."""
    systems = definitions().value_sets[value_set]
    return next((system for system, codes in systems.items() if code in codes), "")


def references_of(value: Any) -> Iterator[str]:
    """What a Reference, a canonical, a URI or an attachment points at: `Type/id`, or an absolute address."""
    if type(value) is dict:
        if "resourceType" in value:
            # A resource that stands there itself: the first of a document.
            if type(value.get("id")) is str:
                yield f"{value['resourceType']}/{value['id']}"
            return
        text = value.get("reference") or value.get("url")
    else:
        text = value
    if type(text) is str and not text.startswith("#"):
        local = parse_local(text)
        yield str(local) if local is not None else text
        if local is None and "|" in text:
            # Of a canonical also without its version.
            yield text.partition("|")[0]


_PARTS = ("text", "family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country")


def _strings(value: Any) -> Iterator[str]:
    if type(value) is str:
        yield value
    elif type(value) is dict:
        for part in _PARTS:
            found = value.get(part)
            if type(found) is str:
                yield found
            elif type(found) is list:
                yield from (one for one in found if type(one) is str)
