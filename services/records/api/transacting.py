"""Transactions: http://hl7.org/fhir/R4/http.html#transaction. All entries, or none, in one commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nhip.records.v1 import service_pb2

from libs.database.transactions import Reader, Writer
from libs.errors import PermissionDeniedError
from libs.fhir.body import BodyError, Json, parse
from libs.fhir.issues import VALUE
from libs.fhir.references import LocalReference
from libs.ids import new_id
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.conditions import condition_locks, find_ids, require_seeing
from services.records.api.ground import Means, UseCases, require_organization
from services.records.api.reading import require_seen
from services.records.api.writing import read_existing, require_own_id
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
from services.records.rules.patching import parse_patch, patched
from services.records.store import resources

_OPERATIONS = {
    "POST": Operation.CREATE,
    "PUT": Operation.UPDATE,
    "PATCH": Operation.UPDATE,
    "DELETE": Operation.DELETE,
}


@dataclass(slots=True)
class _Entry:
    """An entry on its way."""

    index: int
    asked: Asked
    request: service_pb2.TransactionEntry
    # `Type/id` of what it creates, changes or reads; empty until its condition is looked up.
    keys: list[str]
    is_new_id: bool = False
    # The id that the body came with; empty for none.
    given_id: str = ""
    body: Json | None = None
    patch: Any = None
    # What `if_none_exist` found instead of a creation.
    existing: Stored | None = None
    decisions: list[Decision] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    matched: int = 0

    @property
    def key(self) -> str:
        """Of the one resource; empty for none."""
        return self.keys[0] if self.keys else ""

    @property
    def writes(self) -> bool:
        """True if it changes something, as far as is known before it is decided."""
        return self.asked.method != "GET" and self.existing is None


@dataclass(slots=True)
class _Transaction:
    entries: list[_Entry]
    own_base: str = ""
    enforces_profiles: bool = False
    decisions: list[Decision] = field(default_factory=list)

    @property
    def aimed(self) -> list[_Entry]:
        """Those whose address is a condition."""
        return [one for one in self.entries if one.asked.condition]

    def locks(self) -> list[str]:
        """What must not change meanwhile: existing resources that are written, and conditions of creations."""
        keys = [key for one in self.entries if one.asked.method != "GET" and not one.is_new_id for key in one.keys]
        for one in self.entries:
            keys += condition_locks(one.asked.type, one.request.if_none_exist or one.asked.condition)
        return keys


# They are worked out in one process: more at once would be no faster, and hold connections that others wait for.
AT_ONCE = 6


class Transacting(UseCases):
    """Every kind of statement once, however many entries."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ExecuteTransaction(
        self, request: service_pb2.ExecuteTransactionRequest, call: Call
    ) -> service_pb2.ExecuteTransactionResponse:
        """Reads and checks everything, then writes everything, then reads what is asked for."""
        async with self._turns:
            return await self._execute(request, call)

    async def _execute(
        self, request: service_pb2.ExecuteTransactionRequest, call: Call
    ) -> service_pb2.ExecuteTransactionResponse:
        transaction = _Transaction(
            [_entry(index, one) for index, one in enumerate(request.entries)],
            request.base_url,
            self.policy.enforces_profiles,
        )
        _require_scopes(transaction, call)
        now = to_milliseconds(self.clock())
        if request.validate_only:
            async with self.database.reading(snapshot=True) as reader:
                await self._aim(reader, call, transaction, now)
                await self._decide(reader, call, transaction, now)
            planned = filing.planned(
                transaction.decisions, now, call.caller.organization_id, with_bodies=not request.omit_bodies
            )
            _settle(transaction, planned)
            return _response(transaction, omits_bodies=request.omit_bodies)
        async with self.database.writing(call) as writer:
            await self._hold(writer, call, transaction, now)
            await self._decide(writer, call, transaction, now)
            _settle(transaction, await filing.carry_out(writer, call, now, transaction.decisions))
            await _read(writer, call, transaction, now)
            return await writer.answer(_response(transaction, omits_bodies=request.omit_bodies))

    async def _hold(self, writer: Writer, call: Call, transaction: _Transaction, now: datetime) -> None:
        """Locks what the entries write. What a condition finds is looked up again once it is locked.

        Raises AbortedError, reason VERSION_CONFLICT, when conditions go on finding others.
        """
        held: set[str] = set()
        for _ in range(_ROUNDS):
            wanted = set(transaction.locks())
            if held and wanted <= held:
                return
            await writer.lock(*sorted(wanted))
            held |= wanted
            if not transaction.aimed:
                return
            await self._aim(writer, call, transaction, now)
        raise errors.version_conflict(transaction.aimed[0].asked.type, 0, entry_place(transaction.aimed[0].index))

    async def _aim(self, reader: Reader, call: Call, transaction: _Transaction, now: datetime) -> None:
        """Finds what the conditions in addresses mean: one, or for a deletion, where that is allowed, many."""
        for many in (False, True):
            aimed = [
                one for one in transaction.aimed if (one.asked.method == "DELETE" and self.policy.deletes_many) is many
            ]
            wanted = [(one.asked.type, one.asked.condition, entry_place(one.index, "request.url")) for one in aimed]
            for one, ids in zip(aimed, await find_ids(reader, call.caller, now, wanted, many=many), strict=True):
                _aim_at(one, ids)

    async def _decide(self, reader: Reader, call: Call, transaction: _Transaction, now: datetime) -> None:
        await _find_existing(reader, call, transaction.entries, now)
        _require_distinct(transaction)
        await _patch(reader, call, transaction.entries, now)
        await _resolve(reader, call, transaction, now)
        writing = [one for one in transaction.entries if one.writes]
        if writing:
            require_organization(call.caller)
        base = transaction.own_base
        intents = [(one, self._intent(one, key, base)) for one in writing for key in one.keys]
        decisions = await filing.decide_on(reader, call.caller, now, [intent for _, intent in intents])
        filing.touch_attempts(call, decisions)
        filing.require_all(decisions)
        await filing.check_orders(reader, call.caller, now, decisions)
        for (entry, _), decision in zip(intents, decisions, strict=True):
            entry.decisions.append(decision)
        transaction.decisions = decisions

    def _intent(self, entry: _Entry, key: str, own_base: str) -> Intent:
        method = entry.asked.method
        # A conditional update that finds nothing creates, under an id of ours.
        is_creation = method == "POST" or (method == "PUT" and bool(entry.asked.condition) and not entry.matched)
        return Intent(
            Operation.CREATE if is_creation else _OPERATIONS[method],
            entry.asked.type,
            key.partition("/")[2],
            entry.body,
            is_new_id=entry.is_new_id,
            if_match=entry.request.if_match,
            is_upsert=method == "PUT" and self.policy.updates_create and entry.asked.type != "Patient",
            place=entry_place(entry.index, "resource" if entry.body is not None else "request"),
            own_base=own_base,
        )


# So often the matches of a condition are looked up, until they are those that are locked.
_ROUNDS = 5


def _entry(index: int, request: service_pb2.TransactionEntry) -> _Entry:
    address = asked(index, request.method, request.url)
    place = entry_place(index, "resource")
    keys = [f"{address.type}/{address.id}"] if address.id else []
    if address.method in {"GET", "DELETE"}:
        return _Entry(index, address, request, keys)
    require_object(index, request.body)
    if address.method == "PATCH":
        return _Entry(index, address, request, keys, patch=parse_patch(request.body, place))
    try:
        body = parse(request.body)
    except BodyError as error:
        raise errors.resource_invalid([error.issue], place, address.type) from None
    if address.condition:
        return _Entry(index, address, request, keys, body=body, given_id=str(body.get("id", "")))
    if address.method == "PUT":
        if require_id(body, address.type, place) != address.id:
            raise bundle_invalid(f"{place}.id", "the id is not that of the address")
        return _Entry(index, address, request, keys, body=body)
    require_own_id(address.type, request.id, place)
    body["id"] = request.id or new_id()
    return _Entry(index, address, request, [f"{address.type}/{body['id']}"], is_new_id=not request.id, body=body)


def _aim_at(entry: _Entry, ids: Sequence[str]) -> None:
    """Notes what an entry's condition found, each time that it is looked up."""
    entry.matched = len(ids)
    entry.keys = [f"{entry.asked.type}/{one}" for one in ids]
    place = entry_place(entry.index, "resource")
    if entry.asked.method == "PATCH" and not ids:
        raise errors.resource_unknown(entry.asked.type, entry_place(entry.index, "request.url"))
    if entry.body is None:
        return
    if ids:
        # An update under a condition may name the id of the match, and no other.
        if entry.given_id not in {"", ids[0]}:
            raise bundle_invalid(f"{place}.id", "the condition matches a resource with another id", VALUE)
        entry.body["id"], entry.is_new_id = ids[0], False
        return
    if entry.given_id:
        raise errors.id_not_given(entry.asked.type, place)
    require_own_id(entry.asked.type, entry.request.id, place)
    if not entry.is_new_id:
        entry.body["id"], entry.is_new_id = entry.request.id or new_id(), not entry.request.id
    entry.keys = [f"{entry.asked.type}/{entry.body['id']}"]


def _require_scopes(transaction: _Transaction, call: Call) -> None:
    for one in transaction.entries:
        letters = LETTERS[one.asked.method]
        # An update under a condition may turn out to be a creation.
        if one.asked.method == "PUT" and one.asked.condition:
            letters += "c"
        if not call.caller.scopes.allow_fhir(one.asked.type, letters):
            where = entry_place(one.index)
            raise PermissionDeniedError(
                "SCOPE_MISSING", f"{where}: the token does not grant {one.asked.type}.{letters}"
            )
        if one.asked.method == "PATCH":
            require_seeing(call.caller, one.asked.type, entry_place(one.index), "a patch rests on what is stored of")


def _require_distinct(transaction: _Transaction) -> None:
    changed: set[str] = set()
    for one in transaction.entries:
        if not one.writes:
            continue
        for key in one.keys:
            if key in changed:
                raise bundle_invalid(entry_place(one.index), "another entry changes the same resource", "duplicate")
            changed.add(key)


async def _patch(reader: Reader, call: Call, entries: Sequence[_Entry], now: datetime) -> None:
    """Makes of each patch the resource as it is afterwards."""
    for one in entries:
        if one.patch is None:
            continue
        place = entry_place(one.index, "resource")
        resource_type, _, resource_id = one.key.partition("/")
        found = await resources.read(reader, call.caller, now, resource_type, resource_id)
        stored = require_seen(found, call, resource_type, entry_place(one.index, "request.url"))
        one.body = patched(stored.body, one.patch, place)


async def _find_existing(reader: Reader, call: Call, entries: Sequence[_Entry], now: datetime) -> None:
    """Conditional creations: where one matches, it stands for the entry."""
    conditional = [one for one in entries if one.asked.method == "POST" and one.request.if_none_exist]
    wanted = [
        (one.asked.type, one.request.if_none_exist, entry_place(one.index, "request.ifNoneExist"))
        for one in conditional
    ]
    matches = await find_ids(reader, call.caller, now, wanted)
    found = {one: ids[0] for one, ids in zip(range(len(wanted)), matches, strict=True) if ids}
    keys = [LocalReference(wanted[number][0], resource_id) for number, resource_id in found.items()]
    stored = await read_existing(reader, call.caller, now, keys)
    for number, resource_id in found.items():
        entry = conditional[number]
        entry.keys = [f"{entry.asked.type}/{resource_id}"]
        entry.existing = stored[entry.key]
        filing.touch(call, entry.existing)


async def _resolve(reader: Reader, call: Call, transaction: _Transaction, now: datetime) -> None:
    """References to entries, and conditional references, become references to ids; then the resources must be valid."""
    full_urls, entries, own_base = FullUrls(), transaction.entries, transaction.own_base
    for one in entries:
        full_urls.add(one.index, one.request.full_url, one.key)
    writing = [(one.index, one.body) for one in entries if one.body is not None and one.existing is None]
    conditions = conditions_of(writing, own_base)
    wanted = [(*condition, where) for condition, where in conditions.items()]
    matches = await find_ids(reader, call.caller, now, wanted)
    found: dict[tuple[str, str], str] = {}
    for (resource_type, query, where), ids in zip(wanted, matches, strict=True):
        if not ids:
            index, _, expression = where.partition(".resource.")
            raise errors.reference_unknown(f"{index}.resource", resource_type, expression)
        found[resource_type, query] = f"{resource_type}/{ids[0]}"
    for one in entries:
        if one.body is not None and one.existing is None:
            full_urls.rewritten(one.index, one.body, one.request.full_url, found, own_base=own_base)
            place = entry_place(one.index, "resource")
            require_valid(one.body, one.asked.type, place, enforces_profiles=transaction.enforces_profiles)


def _settle(transaction: _Transaction, stored: Sequence[Stored]) -> None:
    after = {id(decision): one for decision, one in zip(transaction.decisions, stored, strict=True)}
    for entry in transaction.entries:
        entry.stored = [after[id(decision)] for decision in entry.decisions]


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
        entry.stored = [require_seen(found, call, one.type, entry_place(entry.index, "request.url"))]


def _response(transaction: _Transaction, *, omits_bodies: bool) -> service_pb2.ExecuteTransactionResponse:
    results = []
    for entry in transaction.entries:
        result = service_pb2.TransactionResult(matched=entry.matched)
        if entry.existing is not None:
            result.resource.CopyFrom(wire.stored_message(entry.existing, with_body=not omits_bodies))
            result.outcome = wire.outcome_number(Outcome.UNCHANGED)
        else:
            if entry.stored:
                is_read = entry.asked.method == "GET"
                result.resource.CopyFrom(wire.stored_message(entry.stored[0], with_body=is_read or not omits_bodies))
            if entry.decisions:
                result.outcome = wire.outcome_number(entry.decisions[0].outcome)
        results.append(result)
    return service_pb2.ExecuteTransactionResponse(results=results)
