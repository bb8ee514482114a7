"""`_include` and `_revinclude`: http://hl7.org/fhir/R4/search.html#include.

Each step is a statement for each direction. What was reached once is not gone to again, so that references in a circle end;
a page takes at most MAX_INCLUDED along.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import orjson

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.fhir.definitions import definitions
from libs.fhir.references import LocalReference, local_references, parse_local
from libs.fhir.search_parameters import SearchParameter, parameters_of
from libs.fhir.search_values import references_of
from services.records.model import Stored
from services.records.rules import index_entries
from services.records.rules.queries import Inclusion, Query
from services.records.store import searching
from services.records.store.searching import MAX_INCLUDED, may_see

# So many links from a match nobody means.
MAX_STEPS = 16


async def included_with(
    reader: Reader, caller: Caller, seen_at: datetime, query: Query, matches: Sequence[Stored]
) -> list[Stored]:
    """What the matches refer to and what refers to them, as far as the caller may see it; step by step where iterated."""
    if not matches or not query.inclusions:
        return []
    known = {one.key for one in matches}
    found: dict[str, Stored] = {}
    inclusions: Sequence[Inclusion] = query.inclusions
    frontier: Sequence[Stored] = matches
    for _ in range(MAX_STEPS):
        reached = await _step(reader, caller, seen_at, inclusions, frontier)
        frontier = [one for one in reached if one.key not in known]
        known.update(one.key for one in frontier)
        found.update((one.key, one) for one in frontier)
        inclusions = [one for one in query.inclusions if one.iterates]
        if not frontier or not inclusions or len(found) >= MAX_INCLUDED:
            break
    return list(found.values())[:MAX_INCLUDED]


async def _step(
    reader: Reader, caller: Caller, seen_at: datetime, inclusions: Sequence[Inclusion], sources: Sequence[Stored]
) -> list[Stored]:
    forward = list(_forward(caller, [one for one in inclusions if not one.is_reverse], sources))
    found: dict[str, Stored] = {}
    if forward:
        found.update((one.key, one) for one in await searching.included(reader, caller, seen_at, forward))
    reverse = [one for one in inclusions if one.is_reverse and may_see(caller, one.source)]
    hashes = list(_reverse(reverse, sources))
    if hashes:
        types = sorted({one.source for one in reverse})
        found.update((one.key, one) for one in await searching.referring(reader, caller, seen_at, types, hashes))
    return list(found.values())


def _references(source: str) -> Iterable[SearchParameter]:
    return [one for one in parameters_of(source).values() if one.kind == "reference"]


def _reverse(inclusions: Sequence[Inclusion], sources: Sequence[Stored]) -> Iterator[int]:
    for inclusion in inclusions:
        parameters = _references(inclusion.source) if inclusion.parameter is None else [inclusion.parameter]
        paths = {path for one in parameters for path in one.paths}
        for source in sources:
            if inclusion.target in {"", source.type}:
                yield from (index_entries.reference(inclusion.source, path, source.key) for path in sorted(paths))


def _forward(caller: Caller, inclusions: Sequence[Inclusion], sources: Sequence[Stored]) -> dict[LocalReference, None]:
    wanted: dict[LocalReference, None] = {}
    if not inclusions:
        return wanted
    for source in sources:
        asked = [one for one in inclusions if one.source == source.type]
        if not asked:
            continue
        body = orjson.loads(source.body)
        for inclusion in asked:
            for local in _referred(body, inclusion):
                if inclusion.target in {"", local.type} and may_see(caller, local.type):
                    wanted[LocalReference(local.type, local.id)] = None
    return wanted


def _referred(body: dict[str, object], inclusion: Inclusion) -> Iterator[LocalReference]:
    if inclusion.parameter is None:
        yield from (local for _, local in local_references(body))
        return
    for walk in inclusion.parameter.walks:
        for value in walk.values(body):
            for text in references_of(value):
                local = parse_local(text)
                if local is not None and local.type in definitions().resource_types:
                    yield local
