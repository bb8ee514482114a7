"""Conditions that name a resource by a search instead of by its id: http://hl7.org/fhir/R4/http.html#ccreate and after."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qsl

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.errors import InvalidArgumentError, PermissionDeniedError
from services.records.model import Stored
from services.records.rules import errors
from services.records.rules.queries import Query, parse_query, simple_token
from services.records.store import searching
from services.records.store.reindexing import require_indexed

# More than this a conditional deletion does not delete at once.
MAX_MATCHES = 1000


def require_seeing(caller: Caller, resource_type: str, where: str, why: str = "a condition asks about") -> None:
    """Whether a condition is met, or what a patch makes, tells of what is stored: that is for who may read or search it.

    Raises PermissionDeniedError, reason SCOPE_MISSING.
    """
    if not searching.may_see(caller, resource_type):
        message = f"{where}: {why} {resource_type}, which the token grants neither to read nor to search"
        raise PermissionDeniedError("SCOPE_MISSING", message)


def condition_locks(resource_type: str, condition: str) -> list[str]:
    """Two creations under one condition wait for each other, or both would find nothing."""
    return [f"condition/{resource_type}?{condition}"] if condition else []


async def find_existing(
    reader: Reader, caller: Caller, seen_at: datetime, resource_type: str, condition: str, where: str
) -> Stored | None:
    """The one resource that meets a condition; None for no condition, or none that meets it.

    Raises FailedPreconditionError, reason MULTIPLE_MATCHES; InvalidArgumentError, reason SEARCH_INVALID;
    PermissionDeniedError, reason SCOPE_MISSING.
    """
    if not condition:
        return None
    require_seeing(caller, resource_type, where)
    query = query_of(resource_type, condition, where)
    query.count, query.inclusions, query.wants_matches = 2, [], True
    # What is not in the index yet must not be made a second time.
    await require_indexed(reader, query.types, set())
    page = await searching.search(reader, caller, seen_at, query, None)
    if len(page.matches) > 1:
        raise errors.multiple_matches(where)
    return page.matches[0] if page.matches else None


def query_of(resource_type: str, condition: str, where: str) -> Query:
    """The search that a condition is. Raises InvalidArgumentError, reason SEARCH_INVALID, at the place of the condition."""
    try:
        return parse_query(resource_type, parse_condition(condition, where))
    except InvalidArgumentError as error:
        said = [f"{one.field}: {one.description}" if one.field != where else one.description for one in error.fields]
        raise errors.search_invalid(where, "; ".join(said)) from None


def parse_condition(condition: str, where: str) -> list[tuple[str, str]]:
    """The parameters of a query string. Raises InvalidArgumentError, reason SEARCH_INVALID, where there are none."""
    parameters = parse_qsl(condition.lstrip("?"), keep_blank_values=True)
    if not parameters:
        raise errors.search_invalid(where, "the condition names no search parameter")
    return parameters


async def find_ids(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[tuple[str, str, str]], *, many: bool = False
) -> list[list[str]]:
    """For each (type, query, place) the ids that match; those of one token, as most are, by one statement for all.

    Raises FailedPreconditionError, reason MULTIPLE_MATCHES, for more than one match, or with `many` for more than
    MAX_MATCHES; PermissionDeniedError, reason SCOPE_MISSING.
    """
    for resource_type, _, where in wanted:
        require_seeing(caller, resource_type, where)
    most = MAX_MATCHES if many else 1
    queries = [query_of(*one) for one in wanted]
    await require_indexed(reader, sorted({one for query in queries for one in query.types}), set())
    tokens = [None if many else simple_token(query) for query in queries]
    simple = [number for number, token in enumerate(tokens) if token is not None]
    found: dict[int, list[str]] = {}
    if simple:
        asked_for = [(queries[number].type, tokens[number] or 0) for number in simple]
        found.update(zip(simple, await searching.by_tokens(reader, caller, seen_at, asked_for), strict=True))
    for number, query in enumerate(queries):
        if number not in found:
            query.count, query.inclusions, query.wants_matches = most + 1, [], True
            page = await searching.search(reader, caller, seen_at, query, None)
            # A page that was cut off has more to come.
            found[number] = [one.id for one in page.matches]
    for number, ids in found.items():
        if len(ids) > most:
            raise errors.multiple_matches(wanted[number][2])
    return [found[number] for number in range(len(wanted))]
