"""Search: http://hl7.org/fhir/R4/search.html."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from nhip.records.v1 import service_pb2

from libs.errors import PermissionDeniedError
from libs.fhir.body import dump, parse
from libs.fhir.definitions import definitions
from libs.fhir.subsets import summarized, with_elements
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.coded import Asked, spelled_out
from services.records.api.ground import UseCases, seen_by
from services.records.api.including import included_with
from services.records.model import Stored
from services.records.rules import errors
from services.records.rules.queries import AnyCondition, Query, compartment_of, parse_query
from services.records.store import reindexing, searching
from services.records.store.searching import Position, State, may_see

# An explanation counts rows that the caller may not see.
EXPLAINERS = frozenset({"audit.read"})

__all__ = ["Searching", "may_see"]


@dataclass(frozen=True, slots=True)
class _Found:
    """What both RPCs answer."""

    matches: list[Stored]
    included: list[Stored]
    next_page_token: str
    total: int | None
    ignored: list[str]
    explanation: str

    def fields(self) -> dict[str, Any]:
        return {
            "matches": [wire.stored_message(one) for one in self.matches],
            "included": [wire.stored_message(one) for one in self.included],
            "next_page_token": self.next_page_token,
            "total": self.total,
            "ignored_parameters": self.ignored,
            "explanation": self.explanation,
        }


class Searching(UseCases):
    """Finding resources, and what belongs to them."""

    async def SearchResources(
        self, request: service_pb2.SearchResourcesRequest, call: Call
    ) -> service_pb2.SearchResourcesResponse:
        """A page of matches with what they include; all of it only what the caller may see."""
        asked = [(one.name, one.value) for one in request.parameters]
        spelled = await self._spelled((request.type,), asked, call, lenient=request.lenient)
        query = parse_query(request.type, spelled, page_size=request.page_size, lenient=request.lenient)
        found = await self._found(query, asked, request.compartment, request.page_token, call)
        return service_pb2.SearchResourcesResponse(**found.fields())

    async def SearchSystem(
        self, request: service_pb2.SearchSystemRequest, call: Call
    ) -> service_pb2.SearchSystemResponse:
        """As SearchResources, of several types."""
        types = _granted(request.types, call)
        asked = [(one.name, one.value) for one in request.parameters]
        spelled = await self._spelled(types, asked, call, lenient=request.lenient)
        query = parse_query(types[0], spelled, page_size=request.page_size, lenient=request.lenient, types=types)
        found = await self._found(query, asked, request.compartment, request.page_token, call)
        return service_pb2.SearchSystemResponse(**found.fields())

    async def _spelled(self, types: Sequence[str], asked: Asked, call: Call, *, lenient: bool) -> Asked:
        return await spelled_out(self.database, call.caller, self.clock(), types, asked, lenient=lenient)

    async def _found(
        self, query: Query, asked: Sequence[tuple[str, str]], compartment: str, page_token: str, call: Call
    ) -> _Found:
        binding = ("search", query.types, compartment, tuple(asked), *seen_by(call.caller))
        place = self.pages.read(page_token, *binding)
        after = _position(place)
        if compartment:
            query.conditions.append(_within(compartment, query.types))
        if query.explains and not call.caller.scopes.has_any(EXPLAINERS):
            raise PermissionDeniedError("SCOPE_MISSING", "_explain is for those who operate: scope audit.read")
        seen_at = self.clock()
        # A snapshot only where several statements must see one state.
        plans_once = searching.is_led_whatever_its_values(query)
        async with self.database.reading(snapshot=bool(query.inclusions), plans_once=plans_once) as reader:
            await reindexing.require_indexed(reader, query.types, self.indexed)
            page = await searching.search(reader, call.caller, seen_at, query, after)
            included = await included_with(reader, call.caller, seen_at, query, page.matches)
            explanation = ""
            if query.explains:
                explanation = orjson.dumps(await searching.explain(reader, page.built)).decode()
        for stored in (*page.matches, *included):
            filing.touch(call, stored)
        # Counted once: what a walk shows later is of the state of its first page.
        total = place[3] if place is not None else page.total
        token = self.pages.write(_place(page.last, total), *binding) if page.last is not None else ""
        return _Found(
            [_shown(one, query) for one in page.matches],
            [_shown(one, query) for one in included],
            token,
            _total(query, page, after, total),
            query.ignored,
            explanation,
        )


def _granted(wanted: Sequence[str], call: Call) -> tuple[str, ...]:
    """The types that are searched. Raises PermissionDeniedError, reason SCOPE_MISSING."""
    scopes = call.caller.scopes
    for one in wanted:
        if not scopes.allow_fhir(one, "s"):
            raise PermissionDeniedError("SCOPE_MISSING", f"the token does not grant {one}.s")
    types = tuple(dict.fromkeys(wanted)) or tuple(
        one for one in sorted(definitions().resource_types) if scopes.allow_fhir(one, "s")
    )
    if not types:
        raise PermissionDeniedError("SCOPE_MISSING", "the token grants searching no type")
    return types


def _within(compartment: str, types: Sequence[str]) -> Any:
    """The condition of being in a compartment. Raises InvalidArgumentError, reason SEARCH_INVALID."""
    kind, _, resource_id = compartment.partition("/")
    if kind != "Patient":
        raise errors.search_invalid("compartment", "the compartments here are those of Patients")
    known = definitions().patient_compartment
    if len(types) == 1 and types[0] not in known:
        raise errors.search_invalid("compartment", f"{types[0]} is in no Patient's compartment")
    parts = [compartment_of(kind, resource_id, one, known[one]) for one in types if one in known]
    return parts[0] if len(parts) == 1 else AnyCondition(tuple(parts))


def _total(query: Query, page: searching.Page, after: Position | None, counted: int | None) -> int | None:
    """The number that was counted, or that a first page without a next one shows for nothing."""
    is_whole = query.wants_matches and not query.refuses_total and after is None and page.last is None
    return len(page.matches) if counted is None and is_whole else counted


def _position(place: Any) -> Position | None:
    if place is None:
        return None
    values, resource_id, state, _ = place
    return Position(
        tuple(_moment(one) for one in values), resource_id, State(state[0], datetime.fromisoformat(state[1]))
    )


def _moment(value: Any) -> Any:
    return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value


def _place(position: Position, total: int | None) -> list[Any]:
    values = [{"at": one.isoformat()} if isinstance(one, datetime) else one for one in position.values]
    return [values, position.id, [position.state.snapshot, position.state.taken_at.isoformat()], total]


def _shown(stored: Stored, query: Query) -> Stored:
    """The resource, or the part of it that is asked for."""
    if query.elements:
        return replace(stored, body=dump(with_elements(parse(stored.body), query.elements)))
    if query.summary in {"true", "text", "data"}:
        return replace(stored, body=dump(summarized(parse(stored.body), query.summary)))
    return stored
