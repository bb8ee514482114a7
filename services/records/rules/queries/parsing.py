"""From the parameters of a query to a search that is understood."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from libs.errors import NhipError
from libs.fhir.definitions import definitions, is_resource_type
from libs.fhir.search_parameters import SearchParameter, parameters_of, principal_date
from services.records.rules import index_entries as index
from services.records.rules.errors import search_invalid
from services.records.rules.queries.conditions import (
    MAX_COUNT,
    AllCondition,
    AnyCondition,
    ChainCondition,
    Condition,
    HasCondition,
    Inclusion,
    ListCondition,
    PersonCondition,
    Query,
    Sort,
    TextCondition,
    TokenCondition,
    TypeCondition,
)
from services.records.rules.queries.values import OF_THE_PERSON, alternatives, condition_of, ids, one_of

# Chains deeper than this nobody means.
MAX_DEPTH: Final = 8
_SUMMARIES: Final = frozenset({"true", "text", "data", "count", "false"})


def parse_query(
    resource_type: str,
    parameters: Iterable[tuple[str, str]],
    *,
    page_size: int = 0,
    lenient: bool = False,
    types: Sequence[str] = (),
) -> Query:
    """The search that the parameters, in the order of the query, ask for; of `types`, where they are several.

    Raises InvalidArgumentError, reason SEARCH_INVALID, with the name of the first parameter that is not understood.
    """
    query = Query(resource_type, tuple(types) or (resource_type,))
    for one in query.types:
        if not is_resource_type(one):
            raise search_invalid("_type" if types else "type", "there is no such resource type in FHIR R4")
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
    base, _, modifier = name.partition(":")
    if base in {"_include", "_revinclude"}:
        if modifier not in {"", "iterate", "recurse"}:
            raise search_invalid(name, "this modifier is not supported")
        _inclusion(query, value, name, is_reverse=base == "_revinclude", iterates=bool(modifier))
        return
    if name in _CONTROLS:
        _CONTROLS[name](query, value)
        return
    if base == "_list":
        lists = alternatives(name, value)
        if modifier:
            raise search_invalid(name, "this modifier is not supported")
        query.conditions.append(ListCondition(tuple(one.removeprefix("List/") for one in lists)))
        return
    found = [conditions_of(one, name, value, MAX_DEPTH) for one in query.types]
    query.conditions.extend(found[0] if len(found) == 1 else [_merged(one) for one in zip(*found, strict=True)])


def _merged(conditions: Sequence[Condition]) -> Condition:
    """What is asked of each type, as one condition: each type's hashes are its own."""
    first = conditions[0]
    if isinstance(first, TokenCondition):
        hashes = (hashed for one in conditions if isinstance(one, TokenCondition) for hashed in one.hashes)
        return TokenCondition(tuple(dict.fromkeys(hashes)), first.is_negated)
    if isinstance(first, TextCondition):
        places = (place for one in conditions if isinstance(one, TextCondition) for place in one.places)
        return TextCondition(tuple(dict.fromkeys(places)), first.mode, first.values)
    return first if all(one == first for one in conditions) else AnyCondition(tuple(conditions))


def conditions_of(resource_type: str, name: str, value: str, depth: int) -> list[Condition]:
    """The conditions of one parameter on resources of a type: plain, chained (`a.b`, `a:T.b`) or reverse (`_has:…`).

    Raises InvalidArgumentError, reason SEARCH_INVALID.
    """
    if depth == 0:
        raise search_invalid(name, f"chains of more than {MAX_DEPTH} links are not followed")
    if name.startswith("_has:"):
        return [_has(resource_type, name, value, depth)]
    link, dot, rest = name.partition(".")
    base, _, modifier = link.partition(":")
    parameter = parameters_of(resource_type).get(base)
    if parameter is None:
        raise search_invalid(name, f"{resource_type} has no such search parameter here")
    if dot:
        return [_chain(resource_type, parameter, modifier, rest, value, name, depth)]
    values = alternatives(name, value)
    if base == "_id":
        return [ids(name, modifier, values)]
    return condition_of(resource_type, parameter, modifier, values, name)


def is_of_codes(types: Sequence[str], name: str) -> bool:
    """True if what a parameter asks for in the end, chained or not, are codes."""
    if name.startswith("_has:"):
        parts = name.split(":", 3)
        return len(parts) == 4 and is_of_codes(parts[1:2], parts[3])  # noqa: PLR2004 _has:Type:reference:parameter
    link, dot, rest = name.partition(".")
    base, _, modifier = link.partition(":")
    found = [parameter for one in types if (parameter := parameters_of(one).get(base)) is not None]
    if not dot:
        return any(one.kind == "token" for one in found)
    targets = (modifier,) if modifier else tuple({target for one in found for target in one.targets})
    return bool(found) and is_of_codes(targets or tuple(definitions().resource_types), rest)


def _chain(
    resource_type: str, parameter: SearchParameter, modifier: str, rest: str, value: str, name: str, depth: int
) -> Condition:
    if parameter.kind != "reference" or (modifier and not is_resource_type(modifier)):
        raise search_invalid(name, "a chain goes by references, as in subject:Patient.name")
    if modifier and parameter.targets and modifier not in parameter.targets:
        raise search_invalid(name, f"{parameter.name} never refers to a {modifier}")
    known = parameter.targets or tuple(sorted(definitions().resource_types))
    targets = (modifier,) if modifier else known
    found, refusal = [], None
    for target in targets:
        try:
            conditions = tuple(conditions_of(target, rest, value, depth - 1))
        except NhipError as error:
            refusal = refusal or error
            continue
        is_person = parameter.name in OF_THE_PERSON and target == "Patient"
        found.append(
            ChainCondition(
                tuple(index.place(resource_type, path, index.REFERENCE) for path in parameter.paths),
                tuple(index.any_patient(resource_type, path) for path in parameter.paths) if is_person else (),
                target,
                conditions,
            )
        )
    if not found:
        # Named as the caller wrote it, whichever link it is that was not understood.
        raise search_invalid(
            name, refusal.fields[0].description if refusal and refusal.fields else "nothing is chained"
        )
    return one_of(found)


def _has(resource_type: str, name: str, value: str, depth: int) -> Condition:
    parts = name.split(":", 3)
    if len(parts) < 4 or not is_resource_type(parts[1]):  # noqa: PLR2004 _has:Type:reference:parameter
        raise search_invalid(name, "a reverse chain is _has:Type:reference:parameter")
    source, reference, rest = parts[1:]
    parameter = parameters_of(source).get(reference)
    is_possible = parameter is not None and (not parameter.targets or resource_type in parameter.targets)
    if parameter is None or parameter.kind != "reference" or not is_possible:
        raise search_invalid(name, f"{source} has no reference {reference} to a {resource_type}")
    try:
        conditions = tuple(conditions_of(source, rest, value, depth - 1))
    except NhipError as error:
        description = error.fields[0].description if error.fields else "this is not understood"
        raise search_invalid(name, description) from None
    is_person = resource_type == "Patient" and reference in OF_THE_PERSON
    markers = tuple(index.any_patient(source, path) for path in parameter.paths) if is_person else ()
    json_paths = tuple(walk.json_path for walk in parameter.walks)
    return HasCondition(resource_type, source, json_paths, markers, conditions)


def compartment_of(kind: str, resource_id: str, resource_type: str, parameters: Sequence[str]) -> Condition:
    """In the compartment of `kind/id`, by one of the parameters of the type."""
    text = f"{kind}/{resource_id}"
    known = parameters_of(resource_type)
    found: list[Condition] = []
    if resource_type == kind == "Patient":
        found.append(AllCondition((TypeCondition("Patient"), PersonCondition((resource_id,)))))
    found += [
        AllCondition(tuple(condition_of(resource_type, known[name], "", [text], name)))
        for name in parameters
        if name in known
    ]
    return one_of(found) if found else TokenCondition(())


def _count(query: Query, value: str) -> None:
    if not value.isascii() or not value.isdigit() or len(value) > len(str(2**31)):
        raise search_invalid("_count", "the value is a number of results")
    query.count = min(int(value), MAX_COUNT)
    if query.count == 0:
        query.wants_matches, query.wants_total = False, True


def _sort(query: Query, value: str) -> None:
    sorts = tuple(_sort_key(query, one.strip()) for one in value.split(","))
    if len(sorts) == 1 and sorts[0].kind in {"id", "recorded", "occurred"}:
        query.order, query.is_descending = sorts[0].kind, sorts[0].is_descending
    else:
        query.order, query.sorts = "keys", sorts


def _sort_key(query: Query, text: str) -> Sort:
    name = text.removeprefix("-")
    is_descending = text.startswith("-")
    if name == "_id":
        return Sort("id", is_descending)
    if name == "_lastUpdated":
        return Sort("recorded", is_descending)
    if name and len(query.types) == 1 and name == principal_date(query.type):
        return Sort("occurred", is_descending)
    parameter = parameters_of(query.type).get(name)
    if parameter is None or not parameter.walks or parameter.kind in {"composite", "special"}:
        raise search_invalid("_sort", f"{query.type} cannot be sorted by {name or 'nothing'}")
    return Sort(
        parameter.kind,
        is_descending,
        parameter.paths,
        tuple(walk.json_path for walk in parameter.walks),
        tuple(index.number_place(query.type, path) for path in parameter.paths),
    )


def _total(query: Query, value: str) -> None:
    if value not in {"none", "estimate", "accurate"}:
        raise search_invalid("_total", "the value is none, estimate or accurate")
    query.wants_total = query.wants_total or value != "none"
    query.refuses_total = value == "none"


def _summary(query: Query, value: str) -> None:
    if value not in _SUMMARIES:
        raise search_invalid("_summary", "the value is true, text, data, count or false")
    query.summary = value
    if value == "count":
        query.wants_matches, query.wants_total = False, True


def _elements(query: Query, value: str) -> None:
    names = tuple(one.strip() for one in value.split(","))
    if not all(one and all(part.isidentifier() for part in one.split(".")) for one in names):
        raise search_invalid("_elements", "the value is a list of elements")
    query.elements = names


def _contained(query: Query, value: str) -> None:
    del query
    if value != "false":
        raise search_invalid("_contained", "contained resources are not found by themselves")


def _explain(query: Query, value: str) -> None:
    if value not in {"true", "false"}:
        raise search_invalid("_explain", "the value is true or false")
    query.explains = value == "true"


def _inclusion(query: Query, value: str, name: str, *, is_reverse: bool, iterates: bool) -> None:
    if value == "*" and not is_reverse:
        query.inclusions += [Inclusion(one, None, "", is_reverse=False, iterates=iterates) for one in query.types]
        return
    source, _, rest = value.partition(":")
    parameter_name, _, target = rest.partition(":")
    is_known = is_resource_type(source) and (not target or is_resource_type(target))
    parameter = parameters_of(source).get(parameter_name) if is_known else None
    is_any = is_known and parameter_name == "*"
    if not is_any and (parameter is None or parameter.kind != "reference"):
        raise search_invalid(name, "the value is Type:parameter or Type:parameter:Target, of a reference")
    if not iterates and not is_reverse and source not in query.types:
        raise search_invalid(name, f"the matches are {query.type}")
    if not iterates and is_reverse and target and target not in query.types:
        raise search_invalid(name, f"the matches are {query.type}")
    query.inclusions.append(Inclusion(source, parameter, target, is_reverse, iterates))


_CONTROLS: Final[dict[str, Callable[[Query, str], None]]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_contained": _contained,
    "_explain": _explain,
}


def simple_token(query: Query) -> int | None:
    """The one hash of a query that asks for one token and nothing else; None for any other query."""
    if len(query.conditions) != 1 or query.inclusions or query.ignored or len(query.types) != 1:
        return None
    only = query.conditions[0]
    is_one = isinstance(only, TokenCondition) and not only.is_negated and len(only.hashes) == 1
    return only.hashes[0] if is_one and isinstance(only, TokenCondition) else None
