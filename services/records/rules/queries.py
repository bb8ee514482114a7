"""Searches: from the parameters of a query to conditions on the index.

Every parameter is either understood or refused by name; with `lenient` what is not understood is listed instead. What is
understood: token (`:not`), reference (`:Type`), date with its prefixes, string (`:exact`, `:contains`), uri, `_id`,
`_lastUpdated`, and the controls `_count`, `_sort`, `_total`, `_summary=count`, `_include`, `_revinclude`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from libs.errors import NhipError
from libs.fhir.definitions import is_resource_type
from libs.fhir.moments import Span, asked
from libs.fhir.primitives import is_id
from libs.fhir.references import parse_local
from libs.fhir.search_parameters import SearchParameter, normalized, parameters_of, principal_date
from services.records.rules import index_entries
from services.records.rules.errors import search_invalid

DEFAULT_COUNT: Final = 20
MAX_COUNT: Final = 1000
# A query with more alternatives than this is a list, and lists are read by their ids.
MAX_ALTERNATIVES: Final = 200
# Parameters that name the person whom a resource is about: answered by where it is filed, for all that is the person's.
OF_THE_PERSON: Final = frozenset({"patient", "subject", "beneficiary"})
_PREFIXES: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"})
_PREFIX_LENGTH = 2


@dataclass(frozen=True, slots=True)
class TokenCondition:
    """At least one of the hashes stands in the resource's tokens; or none, if negated."""

    hashes: tuple[int, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class PersonCondition:
    """Filed under one of the registrations, or under another of the same person."""

    registration_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdCondition:
    """One of the ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StringCondition:
    """A string of the parameter begins with, is, or contains one of the values."""

    parameter: str
    # prefix, exact, contains.
    mode: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DateCondition:
    """The span of the parameter stands to one of the spans as its prefix says."""

    # Empty for the time that the resource was recorded.
    parameter: str
    is_principal: bool
    spans: tuple[tuple[str, Span], ...]


Condition = TokenCondition | PersonCondition | IdCondition | StringCondition | DateCondition


@dataclass(frozen=True, slots=True)
class Inclusion:
    """`_include` (from the matches to what they refer to) or `_revinclude` (to the matches from what refers to them)."""

    source: str
    parameter: SearchParameter
    # Empty for any.
    target: str
    is_reverse: bool


@dataclass(slots=True)
class Query:
    """A search that is understood."""

    type: str
    conditions: list[Condition] = field(default_factory=list)
    # recorded, occurred or id.
    order: str = "recorded"
    is_descending: bool = True
    count: int = DEFAULT_COUNT
    wants_total: bool = False
    refuses_total: bool = False
    wants_matches: bool = True
    inclusions: list[Inclusion] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def parse_query(
    resource_type: str, parameters: Iterable[tuple[str, str]], *, page_size: int = 0, lenient: bool = False
) -> Query:
    """The search that the parameters, in the order of the query, ask for.

    Raises InvalidArgumentError, reason SEARCH_INVALID, with the name of the first parameter that is not understood.
    """
    query = Query(resource_type)
    if not is_resource_type(resource_type):
        raise search_invalid("type", "there is no such resource type in FHIR R4")
    if page_size:
        query.count = min(page_size, MAX_COUNT)
    for name, value in parameters:
        try:
            _read(query, name, value)
        except NhipError:
            if not lenient or name in _CONTROLS:
                raise
            query.ignored.append(name)
    return query


def _read(query: Query, name: str, value: str) -> None:
    if name in _CONTROLS:
        _CONTROLS[name](query, value)
        return
    base, _, modifier = name.partition(":")
    if base in {"_include", "_revinclude"}:
        raise search_invalid(name, "this modifier is not supported")
    parameter = parameters_of(query.type).get(base)
    if parameter is None:
        raise search_invalid(name, f"{query.type} has no such search parameter here")
    values = _alternatives(name, value)
    if base == "_id":
        query.conditions.append(IdCondition(_ids(name, modifier, values)))
        return
    reader = _READERS[parameter.kind]
    query.conditions.extend(reader(query.type, parameter, modifier, values, name))


def _alternatives(name: str, value: str) -> list[str]:
    """The values between commas; a comma after a backslash is part of one."""
    parts, current, escaped = [], "", False
    for character in value:
        if escaped:
            # Other escapes stay for whoever splits further.
            current += character if character == "," else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    if any(not part for part in parts):
        raise search_invalid(name, "a value is empty")
    if "\x00" in value:
        raise search_invalid(name, "a value holds a character that no resource holds")
    if len(parts) > MAX_ALTERNATIVES:
        raise search_invalid(name, f"more than {MAX_ALTERNATIVES} alternatives")
    return parts


def _unescaped(value: str) -> str:
    return value.replace("\\|", "|").replace("\\$", "$").replace("\\\\", "\\")


def _ids(name: str, modifier: str, values: Sequence[str]) -> tuple[str, ...]:
    if modifier:
        raise search_invalid(name, "this modifier is not supported")
    # What cannot be an id is no resource's.
    return tuple(value for value in values if is_id(value))


def _token(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier not in {"", "not"}:
        raise search_invalid(name, "this modifier is not supported")
    hashes = []
    for value in values:
        # A bar that belongs to the code is escaped.
        system, bar, code = value.replace("\\|", "\x00").partition("|")
        system, code = (_unescaped(part.replace("\x00", "|")) for part in (system, code))
        if not bar:
            hashes.append(index_entries.any_system(resource_type, parameter.name, system))
        elif code:
            hashes.append(index_entries.with_system(resource_type, parameter.name, system, code))
        elif parameter.name == "identifier" and system:
            hashes.append(index_entries.system_only(resource_type, parameter.name, system))
        else:
            raise search_invalid(name, "a system without a code is supported for identifier only")
    return [TokenCondition(tuple(hashes), is_negated=modifier == "not")]


def _reference(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier and not (is_resource_type(modifier) and (not parameter.targets or modifier in parameter.targets)):
        raise search_invalid(name, "this modifier is not supported, or the reference is never to this type")
    targets = (modifier,) if modifier else parameter.targets
    texts = [text for value in values for text in _reference_texts(value, targets, name)]
    patients = [text.removeprefix("Patient/") for text in texts if text.startswith("Patient/")]
    if parameter.name in OF_THE_PERSON and patients:
        if len(patients) == len(texts) or parameter.targets == ("Patient",) or _are_bare(values):
            marker = index_entries.any_patient(resource_type, parameter.name)
            return [TokenCondition((marker,)), PersonCondition(tuple(dict.fromkeys(patients)))]
        raise search_invalid(name, "people and other subjects cannot be asked for in one value list")
    return [TokenCondition(tuple(index_entries.reference(resource_type, parameter.name, text) for text in texts))]


def _are_bare(values: Sequence[str]) -> bool:
    """`subject=123` could be of any type; a person is meant."""
    return all("/" not in value for value in values)


def _reference_texts(value: str, targets: Sequence[str], name: str) -> list[str]:
    text = _unescaped(value)
    local = parse_local(text)
    if local is not None:
        return [str(local)] if not targets or local.type in targets else [text]
    if ":" in text:
        return [text]
    if is_id(text):
        if not targets:
            raise search_invalid(name, "the reference needs its type: Type/id")
        return [f"{target}/{text}" for target in targets]
    raise search_invalid(name, "the value is no reference")


def _string(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    del resource_type
    modes = {"": "prefix", "exact": "exact", "contains": "contains"}
    if modifier not in modes:
        raise search_invalid(name, "this modifier is not supported")
    wanted = [normalized(_unescaped(value))[: index_entries.MAX_STRING] for value in values]
    if any(not one for one in wanted):
        raise search_invalid(name, "a value is empty")
    return [StringCondition(parameter.name, modes[modifier], tuple(wanted))]


def _date(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier:
        raise search_invalid(name, "this modifier is not supported")
    spans = []
    for value in values:
        has_prefix = value[:_PREFIX_LENGTH].isalpha()
        prefix, rest = (value[:_PREFIX_LENGTH], value[_PREFIX_LENGTH:]) if has_prefix else ("eq", value)
        span = asked(rest)
        if prefix not in _PREFIXES or span is None:
            raise search_invalid(name, "the value is no date with one of the prefixes eq, ne, gt, lt, ge, le, sa, eb")
        spans.append((prefix, span))
    if parameter.name == "_lastUpdated":
        return [DateCondition("", is_principal=False, spans=tuple(spans))]
    is_principal = parameter.name == principal_date(resource_type)
    return [DateCondition(parameter.name, is_principal, tuple(spans))]


def _uri(
    resource_type: str, parameter: SearchParameter, modifier: str, values: Sequence[str], name: str
) -> list[Condition]:
    if modifier:
        raise search_invalid(name, "this modifier is not supported")
    hashes = [index_entries.uri(resource_type, parameter.name, _unescaped(value)) for value in values]
    return [TokenCondition(tuple(hashes))]


Read = Callable[[str, SearchParameter, str, Sequence[str], str], list[Condition]]
_READERS: Final[dict[str, Read]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "date": _date,
    "uri": _uri,
}


def _count(query: Query, value: str) -> None:
    if not value.isascii() or not value.isdigit() or len(value) > len(str(2**31)):
        raise search_invalid("_count", "the value is a number of results")
    query.count = min(int(value), MAX_COUNT)
    if query.count == 0:
        query.wants_matches, query.wants_total = False, True


def _sort(query: Query, value: str) -> None:
    name = value.removeprefix("-")
    query.is_descending = value.startswith("-")
    if name == "_id":
        query.order = "id"
    elif name == "_lastUpdated":
        query.order = "recorded"
    elif name and name == principal_date(query.type):
        query.order = "occurred"
    else:
        known = ", ".join(one for one in ("_id", "_lastUpdated", principal_date(query.type)) if one)
        raise search_invalid("_sort", f"{query.type} is sorted by one of {known}")


def _total(query: Query, value: str) -> None:
    if value not in {"none", "estimate", "accurate"}:
        raise search_invalid("_total", "the value is none, estimate or accurate")
    query.wants_total = query.wants_total or value != "none"
    query.refuses_total = value == "none"


def _summary(query: Query, value: str) -> None:
    if value not in {"count", "false"}:
        raise search_invalid("_summary", "the value is count or false")
    if value == "count":
        query.wants_matches, query.wants_total = False, True


def _inclusion(query: Query, value: str, name: str, *, is_reverse: bool) -> None:
    source, _, rest = value.partition(":")
    parameter_name, _, target = rest.partition(":")
    parameter = parameters_of(source).get(parameter_name) if is_resource_type(source) else None
    if parameter is None or parameter.kind != "reference" or (target and not is_resource_type(target)):
        raise search_invalid(name, "the value is Type:parameter or Type:parameter:Target, of a reference")
    if not is_reverse and source != query.type:
        raise search_invalid(name, f"the matches are {query.type}")
    if is_reverse and target not in {"", query.type}:
        raise search_invalid(name, f"the matches are {query.type}")
    query.inclusions.append(Inclusion(source, parameter, target, is_reverse))


_CONTROLS: Final[dict[str, Callable[[Query, str], None]]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_summary": _summary,
    "_include": lambda query, value: _inclusion(query, value, "_include", is_reverse=False),
    "_revinclude": lambda query, value: _inclusion(query, value, "_revinclude", is_reverse=True),
}


def simple_token(query: Query) -> int | None:
    """The one hash of a query that asks for one token and nothing else; None for any other query."""
    if len(query.conditions) != 1 or query.inclusions or query.ignored:
        return None
    only = query.conditions[0]
    is_one = isinstance(only, TokenCondition) and not only.is_negated and len(only.hashes) == 1
    return only.hashes[0] if is_one and isinstance(only, TokenCondition) else None
