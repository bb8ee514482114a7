"""Transactions: http://hl7.org/fhir/R4/http.html#transaction. All entries, or none, in one commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nhip.records.v1 import service_pb2

from libs.database.transactions import Reader
from libs.errors import PermissionDeniedError
from libs.fhir.body import BodyError, Json, parse
from libs.fhir.references import LocalReference
from libs.ids import new_id
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.ground import UseCases, require_organization
from services.records.api.reading import require_seen
from services.records.api.writing import condition_locks, parse_condition, read_existing, require_own_id
from services.records.model import Decision, Intent, Operation, Outcome, Stored
from services.records.rules import errors
from services.records.rules.bundles import (
    LETTERS,
    Asked,
    FullUrls,
    asked,
    bundle_invalid,
    conditions_of,
    entry_place,
    require_object,
)
from services.records.rules.filing import require_id, require_valid, to_milliseconds
from services.records.rules.queries import parse_query, simple_token
from services.records.store import resources, searching

_OPERATIONS = {"POST": Operation.CREATE, "PUT": Operation.UPDATE, "DELETE": Operation.DELETE}


@dataclass(slots=True)
class _Entry:
    """An entry on its way."""

    index: int
    asked: Asked
    request: service_pb2.TransactionEntry
    key: str
    is_new_id: bool = False
    body: Json | None = None
    # What `if_none_exist` found instead of a creation.
    existing: Stored | None = None
    decision: Decision | None = None
    stored: Stored | None = None


@dataclass(slots=True)
class _Transaction:
    entries: list[_Entry]
    decisions: list[Decision] = field(default_factory=list)

    def locks(self) -> list[str]:
        """What must not change meanwhile: existing resources that are written, and conditions of creations."""
        keys = [one.key for one in self.entries if one.asked.method != "GET" and not one.is_new_id]
        for one in self.entries:
            keys += condition_locks(one.asked.type, one.request.if_none_exist)
        return keys


class Transacting(UseCases):
    """Every kind of statement once, however many entries."""

    async def ExecuteTransaction(
        self, request: service_pb2.ExecuteTransactionRequest, call: Call
    ) -> service_pb2.ExecuteTransactionResponse:
        """Reads and checks everything, then writes everything, then reads what is asked for."""
        transaction = _Transaction([_entry(index, one) for index, one in enumerate(request.entries)])
        _require_scopes(transaction, call)
        _require_distinct(transaction)
        now = to_milliseconds(self.clock())
        if request.validate_only:
            async with self.database.reading(snapshot=True) as reader:
                await self._decide(reader, call, transaction, now)
            planned = filing.planned(transaction.decisions, now, call.caller.organization_id)
            _settle(transaction, planned)
            return _response(transaction)
        async with self.database.writing(call) as writer:
            await writer.lock(*transaction.locks())
            await self._decide(writer, call, transaction, now)
            _settle(transaction, await filing.carry_out(writer, call, now, transaction.decisions))
            await _read(writer, call, transaction, now)
            return await writer.answer(_response(transaction))

    async def _decide(self, reader: Reader, call: Call, transaction: _Transaction, now: datetime) -> None:
        await _find_existing(reader, call, transaction.entries, now)
        await _resolve(reader, call, transaction.entries, now)
        writing = [one for one in transaction.entries if one.asked.method != "GET" and one.existing is None]
        if writing:
            require_organization(call.caller)
        intents = [_intent(one) for one in writing]
        decisions = await filing.decide_on(reader, call.caller, now, intents)
        filing.touch_attempts(call, decisions)
        filing.require_all(decisions)
        await filing.check_orders(reader, call.caller, now, decisions)
        for entry, decision in zip(writing, decisions, strict=True):
            entry.decision = decision
        transaction.decisions = decisions


def _entry(index: int, request: service_pb2.TransactionEntry) -> _Entry:
    address = asked(index, request.method, request.url)
    place = entry_place(index, "resource")
    if address.method in {"GET", "DELETE"}:
        return _Entry(index, address, request, f"{address.type}/{address.id}")
    require_object(index, request.body)
    try:
        body = parse(request.body)
    except BodyError as error:
        raise errors.resource_invalid([error.issue], place, address.type) from None
    if address.method == "PUT":
        if require_id(body, address.type, place) != address.id:
            raise bundle_invalid(f"{place}.id", "the id is not that of the address")
        return _Entry(index, address, request, f"{address.type}/{address.id}", body=body)
    require_own_id(address.type, request.id, place)
    body["id"] = request.id or new_id()
    key = f"{address.type}/{body['id']}"
    return _Entry(index, address, request, key, is_new_id=not request.id, body=body)


def _require_scopes(transaction: _Transaction, call: Call) -> None:
    for one in transaction.entries:
        letter = LETTERS[one.asked.method]
        if not call.caller.scopes.allow_fhir(one.asked.type, letter):
            where = entry_place(one.index)
            raise PermissionDeniedError("SCOPE_MISSING", f"{where}: the token does not grant {one.asked.type}.{letter}")


def _require_distinct(transaction: _Transaction) -> None:
    changed: set[str] = set()
    for one in transaction.entries:
        if one.asked.method == "GET":
            continue
        if one.key in changed:
            raise bundle_invalid(entry_place(one.index), "another entry changes the same resource", "duplicate")
        changed.add(one.key)


async def _find_existing(reader: Reader, call: Call, entries: Sequence[_Entry], now: datetime) -> None:
    """Conditional creations: where one matches, it stands for the entry."""
    conditional = [one for one in entries if one.asked.method == "POST" and one.request.if_none_exist]
    wanted = [
        (one.asked.type, one.request.if_none_exist, entry_place(one.index, "request.ifNoneExist"))
        for one in conditional
    ]
    matches = await _matches(reader, call, wanted, now)
    found = {one: ids[0] for one, ids in zip(range(len(wanted)), matches, strict=True) if ids}
    keys = [LocalReference(wanted[number][0], resource_id) for number, resource_id in found.items()]
    stored = await read_existing(reader, call.caller, now, keys)
    for number, resource_id in found.items():
        entry = conditional[number]
        entry.key = f"{entry.asked.type}/{resource_id}"
        entry.existing = stored[entry.key]
        filing.touch(call, entry.existing)


async def _resolve(reader: Reader, call: Call, entries: Sequence[_Entry], now: datetime) -> None:
    """References to entries, and conditional references, become references to ids; then the resources must be valid."""
    full_urls = FullUrls()
    for one in entries:
        full_urls.add(one.index, one.request.full_url, one.key)
    writing = [(one.index, one.body) for one in entries if one.body is not None and one.existing is None]
    conditions = conditions_of(writing)
    wanted = [(*condition, where) for condition, where in conditions.items()]
    matches = await _matches(reader, call, wanted, now)
    found: dict[tuple[str, str], str] = {}
    for (resource_type, query, where), ids in zip(wanted, matches, strict=True):
        if not ids:
            index, _, expression = where.partition(".resource.")
            raise errors.reference_unknown(f"{index}.resource", resource_type, expression)
        found[resource_type, query] = f"{resource_type}/{ids[0]}"
    for one in entries:
        if one.body is not None and one.existing is None:
            full_urls.rewritten(one.index, one.body, one.request.full_url, found)
            require_valid(one.body, one.asked.type, entry_place(one.index, "resource"))


async def _matches(
    reader: Reader, call: Call, wanted: Sequence[tuple[str, str, str]], now: datetime
) -> list[list[str]]:
    """For each (type, query, place) the ids that match; those of one token, as most are, by one statement for all.

    Raises FailedPreconditionError, reason MULTIPLE_MATCHES.
    """
    queries = [parse_query(resource_type, parse_condition(query, where)) for resource_type, query, where in wanted]
    tokens = [simple_token(query) for query in queries]
    simple = [number for number, token in enumerate(tokens) if token is not None]
    found: dict[int, list[str]] = {}
    if simple:
        asked_for = [(queries[number].type, tokens[number] or 0) for number in simple]
        found.update(zip(simple, await searching.by_tokens(reader, call.caller, now, asked_for), strict=True))
    for number, query in enumerate(queries):
        if number not in found:
            query.count, query.inclusions, query.wants_matches = 2, [], True
            page = await searching.search(reader, call.caller, now, query, None)
            found[number] = [one.id for one in page.matches]
    for number, ids in found.items():
        if len(ids) > 1:
            raise errors.multiple_matches(wanted[number][2])
    return [found[number] for number in range(len(wanted))]


def _intent(entry: _Entry) -> Intent:
    return Intent(
        _OPERATIONS[entry.asked.method],
        entry.asked.type,
        entry.key.partition("/")[2],
        entry.body,
        is_new_id=entry.is_new_id,
        if_match=entry.request.if_match,
        place=entry_place(entry.index, "resource" if entry.body is not None else "request"),
    )


def _settle(transaction: _Transaction, stored: Sequence[Stored]) -> None:
    after = {id(decision): one for decision, one in zip(transaction.decisions, stored, strict=True)}
    for entry in transaction.entries:
        if entry.decision is not None:
            entry.stored = after[id(entry.decision)]


async def _read(reader: Reader, call: Call, transaction: _Transaction, now: datetime) -> None:
    """Reads come last and see what the transaction wrote. Each is a read like any other, refusals included."""
    for entry in transaction.entries:
        if entry.asked.method != "GET":
            continue
        one = entry.asked
        if one.version:
            found = await resources.read_version(reader, call.caller, now, one.type, one.id, one.version)
        else:
            found = await resources.read(reader, call.caller, now, one.type, one.id)
        entry.stored = require_seen(found, call, one.type, entry_place(entry.index, "request.url"))


def _response(transaction: _Transaction) -> service_pb2.ExecuteTransactionResponse:
    results = []
    for entry in transaction.entries:
        result = service_pb2.TransactionResult()
        stored = entry.existing or entry.stored
        if stored is not None:
            result.resource.CopyFrom(wire.stored_message(stored))
        if entry.existing is not None:
            result.outcome = wire.outcome_number(Outcome.UNCHANGED)
        elif entry.decision is not None:
            result.outcome = wire.outcome_number(entry.decision.outcome)
        results.append(result)
    return service_pb2.ExecuteTransactionResponse(results=results)
