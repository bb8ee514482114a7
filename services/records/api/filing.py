"""The way of every change, one or many: look, decide, write, announce."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from libs.access.caller import Caller
from libs.database.transactions import Reader, Writer
from libs.runtime.call import Call
from services.records import wire
from services.records.api import subscribing
from services.records.api.ground import FEED
from services.records.model import Decision, Intent, Looked, Operation, Outcome, Stored
from services.records.rules import errors
from services.records.rules.allergies import codings_of, conflict, substances_of
from services.records.rules.checking import allergy_with_atc, override_of, with_atc
from services.records.rules.deciding import decide, wanted_targets
from services.records.rules.filing import finished, source_of
from services.records.rules.index_entries import entries_of
from services.records.rules.orders import drugs_of, medications_wanted, orders_of
from services.records.store import allergies, resources, therapies


async def decide_on(
    reader: Reader, caller: Caller, seen_at: datetime, intents: Sequence[Intent], *, with_bodies: bool = True
) -> list[Decision]:
    """A decision for each intent, after three statements at most: versions, references' targets, registrations."""
    misunderstood = subscribing.prepare(intents, caller)
    known = [one for one in intents if not one.is_new_id]
    references = wanted_targets(intents)
    wanted = {local for found in references.values() for _, local in found}
    patients = [one.id for one in known if one.type == "Patient" and one.body is not None]
    keys = [(one.type, one.id) for one in known]
    looked = Looked(
        currents=await resources.currents(reader, caller, seen_at, keys, with_bodies=with_bodies),
        targets=await resources.targets(reader, caller, seen_at, sorted(wanted, key=str)),
        registrations=await resources.registrations(reader, patients),
    )
    decisions = decide(intents, references, looked, caller)
    for decision in decisions:
        error = misunderstood.get(decision.intent.key)
        if error is not None and decision.error is None:
            decision.error, decision.outcome = error, Outcome.REJECTED
    return decisions


def decide_unseen(intent: Intent, caller: Caller) -> Decision | None:
    """The decision on a new Patient that refers to nothing, which no look at what is stored would change; None for others."""
    references = wanted_targets([intent])
    if intent.type != "Patient" or not intent.is_new_id or any(references.values()):
        return None
    (decision,) = decide([intent], references, Looked({}, {}, {}), caller)
    return decision


async def check_orders(reader: Reader, caller: Caller, seen_at: datetime, decisions: Sequence[Decision]) -> None:
    """Holds drug orders against the allergies of the person: those stored, and those that come with the change.

    An order that says why it stands nevertheless is let through; what it says is filed with it. Raises
    FailedPreconditionError, reason ALLERGY_CONFLICT, for the first order that conflicts.
    """
    orders = orders_of(decisions)
    if not orders:
        return
    coming = {one.intent.key: one.intent.body for one in decisions if one.intent.body is not None}
    wanted = medications_wanted(orders, coming)
    medications = {
        **{key: body for key, body in coming.items() if key.startswith("Medication/")},
        **{
            str(local): orjson.loads(stored.body)
            for local, stored in (await resources.bodies(reader, caller, seen_at, wanted)).items()
        },
    }
    on_record = await allergies.on_record(
        reader, caller, seen_at, sorted({one.registration_id for one in orders}), decisions
    )
    drugs = [[*one.drugs, *drugs_of(medications.get(str(one.medication), {}))] for one in orders]
    concepts = [drug for named in drugs for drug in named]
    concepts += [substance for one in on_record for substance in substances_of(one.body)]
    mapped = await therapies.in_atc(reader, {coding for one in concepts for coding in codings_of(one)})
    known = [allergy_with_atc(one, mapped) for one in on_record]
    for order, named in zip(orders, drugs, strict=True):
        of_the_person = [one for one in known if one.registration_id == order.registration_id]
        found = conflict(with_atc(named, mapped), of_the_person)
        intent = order.decision.intent
        if found is not None and not override_of(intent.body or {}):
            where = errors.at(intent.place, intent.type, order.expression)
            raise errors.allergy_conflict(where, found.allergy, found.group)


async def carry_out(writer: Writer, call: Call, recorded_at: datetime, decisions: Sequence[Decision]) -> list[Stored]:
    """As `file`, and tells the audit log of it."""
    stored = await file(writer, call.caller, recorded_at, decisions)
    for after in stored:
        touch(call, after)
    return stored


async def file(writer: Writer, caller: Caller, recorded_at: datetime, decisions: Sequence[Decision]) -> list[Stored]:
    """Writes and announces what was decided, by two statements at most; what each resource is afterwards, in order."""
    stored = await write(writer, caller.organization_id, recorded_at, decisions)
    await subscribing.carry_out(writer, caller, recorded_at, decisions)
    return stored


async def write(
    writer: Writer, organization_id: str, recorded_at: datetime, decisions: Sequence[Decision]
) -> list[Stored]:
    """Writes and announces; what each resource is afterwards, in order."""
    stored = [_stored(one, recorded_at, organization_id) for one in decisions]
    written = [(one, after.body) for one, after in zip(decisions, stored, strict=True) if one.writes]
    for decision, _ in written:
        if decision.intent.body is not None:
            source = source_of(decision.organization_id)
            decision.entries = entries_of(decision.intent.body, decision.intent.type, source)
    await resources.write(writer, organization_id, recorded_at, written)
    for decision, _ in written:
        writer.announce(FEED, decision.intent.key, wire.event_of(decision), is_new=decision.intent.is_new_id)
    return stored


def _stored(decision: Decision, recorded_at: datetime, organization_id: str, *, with_body: bool = True) -> Stored:
    intent = decision.intent
    if not decision.writes:
        if decision.current is None:
            # An import removed what was never there.
            return _absent(decision, recorded_at)
        return decision.current.stored
    body = b""
    if with_body and intent.body is not None:
        body = finished(intent.body, intent.id, decision.version, recorded_at, organization_id)
    return Stored(
        type=intent.type,
        id=intent.id,
        version=decision.version,
        operation=decision.outcome_operation,
        recorded_at=recorded_at,
        filed_under=decision.filed_under,
        is_personal=decision.is_personal,
        organization_id=organization_id,
        sensitivity=decision.sensitivity,
        body=body,
    )


def _absent(decision: Decision, recorded_at: datetime) -> Stored:
    intent = decision.intent
    return Stored(
        type=intent.type,
        id=intent.id,
        version=0,
        operation=Operation.DELETE,
        recorded_at=recorded_at,
        filed_under=intent.key,
        is_personal=False,
        organization_id=decision.organization_id,
        sensitivity=decision.sensitivity,
        body=b"",
    )


def planned(
    decisions: Sequence[Decision], recorded_at: datetime, organization_id: str, *, with_bodies: bool = True
) -> list[Stored]:
    """What would be stored, for a dry run."""
    return [_stored(one, recorded_at, organization_id, with_body=with_bodies) for one in decisions]


def require_all(decisions: Sequence[Decision]) -> None:
    """Raises the first error of the decisions; what the caller may not know of the others stays unsaid."""
    for decision in decisions:
        if decision.error is not None:
            raise decision.error


def touch(call: Call, stored: Stored) -> None:
    """Tells the audit log whose resource the call reads or writes."""
    call.touch(registration=stored.registration_id, resource=stored.key)


def touch_attempts(call: Call, decisions: Sequence[Decision]) -> None:
    """Tells the audit log of resources that the caller tried to change without being allowed to see them."""
    for decision in decisions:
        if decision.error is not None and decision.current is not None:
            touch(call, decision.current.stored)
