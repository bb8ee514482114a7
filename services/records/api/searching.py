"""Search: http://hl7.org/fhir/R4/search.html."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from nhip.records.v1 import service_pb2

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.fhir.references import LocalReference, parse_local
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.ground import UseCases, seen_by
from services.records.model import Stored
from services.records.rules import index_entries
from services.records.rules.queries import Inclusion, Query, parse_query
from services.records.store import searching
from services.records.store.searching import Position


class Searching(UseCases):
    """Finding resources of one type, and what belongs to them."""

    async def SearchResources(
        self, request: service_pb2.SearchResourcesRequest, call: Call
    ) -> service_pb2.SearchResourcesResponse:
        """A page of matches with what they include; all of it only what the caller may see."""
        asked = [(one.name, one.value) for one in request.parameters]
        query = parse_query(request.type, asked, page_size=request.page_size, lenient=request.lenient)
        binding = ("search", request.type, tuple(asked), *seen_by(call.caller))
        after = _position(query, self.pages.read(request.page_token, *binding))
        seen_at = self.clock()
        # A snapshot only where several statements must see one state.
        async with self.database.reading(snapshot=bool(query.inclusions)) as reader:
            page = await searching.search(reader, call.caller, seen_at, query, after)
            included = await _included(reader, call.caller, seen_at, query, page.matches)
        for stored in (*page.matches, *included):
            filing.touch(call, stored)
        return service_pb2.SearchResourcesResponse(
            matches=[wire.stored_message(one) for one in page.matches],
            included=[wire.stored_message(one) for one in included],
            next_page_token=self.pages.write(_place(page.last), *binding) if page.last is not None else "",
            total=_total(query, page, after),
            ignored_parameters=query.ignored,
        )


def _total(query: Query, page: searching.Page, after: Position | None) -> int | None:
    """The number that was counted, or that a first page without a next one shows for nothing."""
    is_whole = query.wants_matches and not query.refuses_total and after is None and page.last is None
    return len(page.matches) if page.total is None and is_whole else page.total


def _position(query: Query, place: Any) -> Position | None:
    if place is None:
        return None
    value, resource_id = place
    return Position(value if query.order == "id" else datetime.fromisoformat(value), resource_id)


def _place(position: Position) -> list[str]:
    value = position.value
    return [value.isoformat() if isinstance(value, datetime) else value, position.id]


async def _included(
    reader: Reader, caller: Caller, seen_at: datetime, query: Query, matches: Sequence[Stored]
) -> list[Stored]:
    """What the matches refer to, and what refers to them: a statement for each direction."""
    if not matches or not query.inclusions:
        return []
    found: dict[str, Stored] = {}
    forward = _forward(caller, [one for one in query.inclusions if not one.is_reverse], matches)
    if forward:
        found.update((one.key, one) for one in await searching.included(reader, caller, seen_at, forward))
    reverse = [one for one in query.inclusions if one.is_reverse and may_see(caller, one.source)]
    hashes = [
        index_entries.reference(one.source, one.parameter.name, match.key) for one in reverse for match in matches
    ]
    if hashes:
        types = sorted({one.source for one in reverse})
        referring = await searching.referring(reader, caller, seen_at, types, hashes)
        found.update((one.key, one) for one in referring)
    for match in matches:
        found.pop(match.key, None)
    return list(found.values())


def _forward(caller: Caller, inclusions: Sequence[Inclusion], matches: Sequence[Stored]) -> list[LocalReference]:
    if not inclusions:
        return []
    wanted: dict[LocalReference, None] = {}
    for match in matches:
        body = orjson.loads(match.body)
        for inclusion in inclusions:
            for walk in inclusion.parameter.walks:
                for value in walk.values(body):
                    text = value.get("reference") if isinstance(value, dict) else None
                    local = parse_local(text) if isinstance(text, str) else None
                    if local is not None and inclusion.target in {"", local.type} and may_see(caller, local.type):
                        wanted[LocalReference(local.type, local.id)] = None
    return list(wanted)


def may_see(caller: Caller, resource_type: str) -> bool:
    """True if the caller's scopes let them read or search the type."""
    return caller.scopes.allow_fhir(resource_type, "r") or caller.scopes.allow_fhir(resource_type, "s")
