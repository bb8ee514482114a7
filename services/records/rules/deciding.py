"""What becomes of the changes that are asked for, given what is stored: versions, references, registrations.

Every intent is decided, each by itself; whoever asks for all or nothing takes the first error.
"""

from collections.abc import Mapping, Sequence

from libs.access.caller import Caller
from libs.errors import NhipError
from libs.fhir.references import LocalReference
from services.records.model import Current, Decision, Intent, Looked, Operation, Outcome, Target
from services.records.rules import errors
from services.records.rules.filing import content_hash, references_of, subject_of
from services.records.rules.sensitivity import sensitivity_of

References = Sequence[tuple[str, LocalReference]]


def wanted_targets(intents: Sequence[Intent]) -> dict[str, References]:
    """Key of each intent with a body → the references that it makes; for a Patient none to itself."""
    return {one.key: references_of(one.body) for one in intents if one.body is not None}


def decide(
    intents: Sequence[Intent], references: Mapping[str, References], looked: Looked, caller: Caller
) -> list[Decision]:
    """A decision for each intent, in their order."""
    decisions = [_versioned(intent, looked.currents.get(intent.key), caller) for intent in intents]
    filed = _filed(decisions, references, looked, caller)
    _refuse_dangling(decisions, references, looked)
    for decision in decisions:
        if decision.error is None and decision.writes and decision.intent.body is not None:
            _place(decision, filed, looked, caller)
    # A refusal just now may leave others without their target.
    _refuse_dangling(decisions, references, looked)
    for decision in decisions:
        if decision.error is not None:
            decision.outcome = Outcome.REJECTED
        elif decision.writes and decision.intent.body is not None:
            decision.sensitivity = sensitivity_of(decision.intent.body)
    return decisions


def _versioned(intent: Intent, current: Current | None, caller: Caller) -> Decision:
    """The outcome as far as the resource's own versions say."""
    seen = current if current is not None and current.is_visible else None
    is_foreign = current is not None and current.organization_id != caller.organization_id
    decision = Decision(intent, Outcome.CREATED, current, organization_id=caller.organization_id)
    if intent.body is not None:
        decision.content_hash = content_hash(intent.body, caller.organization_id)
    if intent.operation is Operation.DELETE:
        return _deleted(decision, seen, is_foreign=is_foreign)
    if seen is None and intent.operation is Operation.UPDATE and not intent.is_upsert:
        decision.error = errors.resource_unknown(intent.type, intent.place, is_refusal=current is not None)
    elif is_foreign:
        # In the words in which a registration is refused of which nothing is filed yet: which of both it is, is not said.
        is_registration = intent.operation is Operation.CREATE and intent.type == "Patient"
        decision.error = errors.organization_foreign(intent.place, intent.type, "id" if is_registration else "")
    elif current is not None and not current.is_deleted and intent.operation is Operation.CREATE:
        decision.error = errors.resource_exists(intent.type, intent.place)
    elif current is not None and intent.if_match not in {0, current.version}:
        decision.error = errors.version_conflict(intent.type, current.version, intent.place)
    elif current is not None and (_is_older(intent, current) or _is_same(decision, current)):
        decision.outcome = Outcome.UNCHANGED
    elif current is not None and not current.is_deleted:
        decision.outcome = Outcome.UPDATED
    return decision


def _deleted(decision: Decision, seen: Current | None, *, is_foreign: bool) -> Decision:
    intent = decision.intent
    decision.outcome = Outcome.DELETED
    if seen is None:
        if intent.is_upsert and decision.current is None:
            # An import removes what was never stored: it is gone either way.
            decision.outcome = Outcome.UNCHANGED
        else:
            is_refusal = decision.current is not None
            decision.error = errors.resource_unknown(intent.type, intent.place, is_refusal=is_refusal)
    elif is_foreign:
        decision.error = errors.organization_foreign(intent.place, intent.type)
    elif intent.if_match not in {0, seen.version}:
        decision.error = errors.version_conflict(intent.type, seen.version, intent.place)
    elif seen.is_deleted or _is_older(intent, seen):
        decision.outcome = Outcome.UNCHANGED
    else:
        decision.filed_under, decision.is_personal = seen.filed_under, seen.is_personal
        decision.sensitivity = seen.stored.sensitivity
    return decision


def _is_same(decision: Decision, current: Current) -> bool:
    return not current.is_deleted and current.content_hash == decision.content_hash


def _is_older(intent: Intent, current: Current) -> bool:
    known, written = current.source_updated_at, intent.source_updated_at
    return known is not None and written is not None and written < known


def _filed(
    decisions: Sequence[Decision], references: Mapping[str, References], looked: Looked, caller: Caller
) -> dict[str, Target]:
    """Key → where each resource of this change is filed.

    By the Patient that it is about, or else by the first resource of a person that it refers to: a Provenance of an
    Observation is as much the person's as the Observation.
    """
    filed: dict[str, Target] = {}
    undecided: list[str] = []
    for decision in decisions:
        intent = decision.intent
        if intent.body is None:
            continue
        subject = subject_of(intent.body, intent.type, intent.id)
        if subject is not None:
            filed[intent.key] = Target(subject[1].id, is_personal=True, organization_id=caller.organization_id)
        else:
            undecided.append(intent.key)
    # Each round settles at least one, or what is left is about nobody.
    while undecided:
        settled = {
            key: target for key in undecided if (target := _derived(references[key], filed, looked.targets)) is not None
        }
        if not settled:
            break
        filed.update(settled)
        undecided = [key for key in undecided if key not in settled]
    for key in undecided:
        filed[key] = Target(key, is_personal=False, organization_id=caller.organization_id)
    return filed


def _derived(
    references: References, filed: Mapping[str, Target], stored: Mapping[LocalReference, Target]
) -> Target | None:
    for _, local in references:
        target = filed.get(str(local)) or stored.get(local)
        if target is not None and target.is_personal:
            return target
    return None


def _refuse_dangling(decisions: Sequence[Decision], references: Mapping[str, References], looked: Looked) -> None:
    """Sets the error of what refers to nothing, again and again, since a refusal takes away a target."""
    refused = True
    while refused:
        refused = False
        gone = {one.intent.key for one in decisions if one.intent.body is None and one.error is None}
        coming = {one.intent.key for one in decisions if one.intent.body is not None and one.error is None}
        for decision in decisions:
            if decision.error is not None or not decision.writes or decision.intent.body is None:
                continue
            error = _dangling(decision.intent, references[decision.intent.key], looked, coming, gone)
            if error is not None:
                decision.error, refused = error, True


def _dangling(
    intent: Intent, references: References, looked: Looked, coming: set[str], gone: set[str]
) -> NhipError | None:
    for expression, local in references:
        key = str(local)
        if key in coming or (local in looked.targets and key not in gone):
            continue
        return errors.reference_unknown(intent.place, intent.type, expression)
    return None


def _place(decision: Decision, filed: Mapping[str, Target], looked: Looked, caller: Caller) -> None:
    """Files a resource under its registration, which must be one of the caller's organisation."""
    intent, target = decision.intent, filed[decision.intent.key]
    decision.filed_under, decision.is_personal = target.filed_under, target.is_personal
    current = decision.current
    if current is not None and current.filed_under != target.filed_under:
        decision.error = errors.registration_changed(intent.place, intent.type)
    elif target.is_personal:
        owner = _owner(target, looked)
        if owner != caller.organization_id:
            subject = subject_of(intent.body or {}, intent.type, intent.id)
            decision.error = errors.organization_foreign(intent.place, intent.type, subject[0] if subject else "")


def _owner(target: Target, looked: Looked) -> str:
    """The organisation of a registration: as the Patient filed here says, or the index, or who filed what is referred to."""
    patient = looked.targets.get(LocalReference("Patient", target.filed_under))
    if patient is not None:
        return patient.organization_id
    return looked.registrations.get(target.filed_under, target.organization_id)
