"""Imports: many resources under ids that the caller derives from a source's keys, each decided by itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from nhip.records.v1 import service_pb2

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.errors import NhipError
from libs.fhir.issues import INVALID, Issue
from libs.fhir.references import parse_local, rewrite
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.ground import UseCases, require_organization
from services.records.model import Decision, Intent, Operation, Outcome, Policy
from services.records.rules import errors
from services.records.rules.filing import parse_resource, to_milliseconds
from services.records.store import resources


class Importing(UseCases):
    """A handful of statements, however many resources."""

    async def ImportResources(
        self, request: service_pb2.ImportResourcesRequest, call: Call
    ) -> service_pb2.ImportResourcesResponse:
        """Creates, updates, removes or leaves each; what is wrong is rejected by itself."""
        require_organization(call.caller)
        results: list[service_pb2.ImportResult | None] = [None] * len(request.resources)
        intents: list[tuple[int, Intent]] = []
        seen: set[str] = set()
        for index, one in enumerate(request.resources):
            try:
                intent = _intent(one, seen, request.base_url, self.policy)
            except NhipError as error:
                results[index] = _rejected(error)
            else:
                intents.append((index, intent))
        now = to_milliseconds(self.clock())
        async with self.database.writing(call) as writer:
            await writer.lock(*(intent.key for _, intent in intents))
            asked = [intent for _, intent in intents]
            await _resolve(writer, call.caller, now, asked, request.aliases)
            decisions = await filing.decide_on(writer, call.caller, now, asked, with_bodies=False)
            filing.touch_attempts(call, decisions)
            accepted = [one for one in decisions if one.error is None]
            await filing.carry_out(writer, call, now, accepted)
            for (index, _), decision in zip(intents, decisions, strict=True):
                results[index] = _result(decision)
            # An importer that died before it noted the answer asks again, and is told the same.
            told = [one for one in results if one is not None]
            return await writer.answer(service_pb2.ImportResourcesResponse(results=told))


def _intent(one: service_pb2.ImportResource, seen: set[str], own_base: str, policy: Policy) -> Intent:
    key = f"{one.type}/{one.id}"
    if key in seen:
        issue = Issue(f"{one.type}.id", INVALID, "the id stands twice in this call")
        raise errors.resource_invalid([issue], "", one.type)
    seen.add(key)
    updated_at = one.source_updated_at.ToDatetime(UTC) if one.HasField("source_updated_at") else None
    if one.is_deleted:
        return Intent(Operation.DELETE, one.type, one.id, is_upsert=True, source_updated_at=updated_at)
    body = parse_resource(
        one.body,
        one.type,
        resource_id="" if one.is_renamed else one.id,
        own_base=own_base,
        enforces_profiles=policy.enforces_profiles,
    )
    return Intent(Operation.UPDATE, one.type, one.id, body, is_upsert=True, source_updated_at=updated_at)


async def _resolve(
    reader: Reader, caller: Caller, seen_at: datetime, intents: Sequence[Intent], aliases: Mapping[str, str]
) -> None:
    """References in a source's words become those that are meant, where these are here or come with the call."""
    if not aliases:
        return
    coming = {intent.key for intent in intents}
    wanted = {local for text in set(aliases.values()) - coming if (local := parse_local(text)) is not None}
    found = await resources.targets(reader, caller, seen_at, sorted(wanted, key=str))
    known = coming | {str(local) for local in found}
    meant = {text: alias for text, alias in aliases.items() if alias in known}
    for intent in intents:
        if intent.body is not None:
            rewrite(intent.body, lambda _, text: meant.get(text, text))


def _result(decision: Decision) -> service_pb2.ImportResult:
    if decision.error is not None:
        return _rejected(decision.error)
    return service_pb2.ImportResult(outcome=wire.outcome_number(decision.outcome), version=decision.version)


def _rejected(error: NhipError) -> service_pb2.ImportResult:
    return service_pb2.ImportResult(
        outcome=wire.outcome_number(Outcome.REJECTED),
        error_reason=error.reason,
        error_expression=error.fields[0].field if error.fields else "",
        error_message=error.message,
        issues=[
            service_pb2.ImportIssue(expression=one.field, code=one.reason, description=one.description)
            for one in error.fields
        ],
    )
