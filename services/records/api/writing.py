"""Create, update, delete: http://hl7.org/fhir/R4/http.html#create and after."""

from datetime import datetime

from nhip.records.v1 import service_pb2

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.fhir.issues import INVALID, REQUIRED, Issue
from libs.fhir.references import LocalReference
from libs.ids import new_id
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.conditions import condition_locks, find_existing
from services.records.api.creating import Creations
from services.records.api.ground import Means, UseCases, require_organization
from services.records.model import Intent, Operation, Outcome, Stored
from services.records.rules import errors
from services.records.rules.filing import parse_resource, require_id, to_milliseconds
from services.records.store import resources


class Writing(UseCases):
    """Changes of one resource."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._creations = Creations(means.database, means.clock)

    async def CreateResource(
        self, request: service_pb2.CreateResourceRequest, call: Call
    ) -> service_pb2.CreateResourceResponse:
        """Stores a new resource, unless `if_none_exist` finds the one that is meant."""
        require_organization(call.caller)
        body = parse_resource(
            request.body, request.type, own_base=request.base_url, enforces_profiles=self.policy.enforces_profiles
        )
        require_own_id(request.type, request.id, "")
        is_provisional = request.validate_only and request.id_is_provisional
        is_new = not request.id or is_provisional
        body["id"] = request.id or new_id()
        intent = Intent(Operation.CREATE, request.type, body["id"], body, is_new_id=is_new, own_base=request.base_url)
        if not (request.validate_only or request.request_id or request.if_none_exist):
            return _created(await self._creations.create(call, intent), Outcome.CREATED)
        if is_provisional and not request.if_none_exist and _is_sound_unseen(intent, call):
            return service_pb2.CreateResourceResponse(outcome=wire.outcome_number(Outcome.CREATED))
        now = to_milliseconds(self.clock())
        if request.validate_only:
            return await self._plan_creation(request, call, intent, now)
        async with self.database.writing(call) as writer:
            await writer.lock(*([] if is_new else [intent.key]), *condition_locks(request.type, request.if_none_exist))
            existing = await find_existing(
                writer, call.caller, now, request.type, request.if_none_exist, "if_none_exist"
            )
            if existing is not None:
                filing.touch(call, existing)
                return await writer.answer(_created(existing, Outcome.UNCHANGED))
            decisions = await filing.decide_on(writer, call.caller, now, [intent])
            filing.touch_attempts(call, decisions)
            filing.require_all(decisions)
            await filing.check_orders(writer, call.caller, now, decisions)
            (stored,) = await filing.carry_out(writer, call, now, decisions)
            return await writer.answer(_created(stored, Outcome.CREATED))

    async def _plan_creation(
        self, request: service_pb2.CreateResourceRequest, call: Call, intent: Intent, now: datetime
    ) -> service_pb2.CreateResourceResponse:
        # A snapshot only where the answer is to be of one state with that of a condition.
        async with self.database.reading(snapshot=bool(request.if_none_exist)) as reader:
            existing = await find_existing(
                reader, call.caller, now, request.type, request.if_none_exist, "if_none_exist"
            )
            if existing is not None:
                filing.touch(call, existing)
                return _created(existing, Outcome.UNCHANGED)
            decisions = await filing.decide_on(reader, call.caller, now, [intent])
            filing.touch_attempts(call, decisions)
            filing.require_all(decisions)
            await filing.check_orders(reader, call.caller, now, decisions)
        if request.id_is_provisional:
            return service_pb2.CreateResourceResponse(outcome=wire.outcome_number(Outcome.CREATED))
        (stored,) = filing.planned(decisions, now, call.caller.organization_id)
        filing.touch(call, stored)
        return _created(stored, Outcome.CREATED)

    async def UpdateResource(
        self, request: service_pb2.UpdateResourceRequest, call: Call
    ) -> service_pb2.UpdateResourceResponse:
        """Stores a new version; the same content again makes none."""
        require_organization(call.caller)
        body = parse_resource(
            request.body,
            request.type,
            resource_id=request.id,
            own_base=request.base_url,
            enforces_profiles=self.policy.enforces_profiles,
        )
        require_id(body, request.type, "")
        intent = Intent(
            Operation.UPDATE,
            request.type,
            request.id,
            body,
            if_match=request.if_match,
            is_upsert=self.policy.updates_create and request.type != "Patient",
            own_base=request.base_url,
        )
        now = to_milliseconds(self.clock())
        async with self.database.writing(call) as writer:
            await writer.lock(intent.key)
            decisions = await filing.decide_on(writer, call.caller, now, [intent])
            filing.touch_attempts(call, decisions)
            filing.require_all(decisions)
            await filing.check_orders(writer, call.caller, now, decisions)
            (stored,) = await filing.carry_out(writer, call, now, decisions)
            return await writer.answer(
                service_pb2.UpdateResourceResponse(
                    resource=wire.stored_message(stored), outcome=wire.outcome_number(decisions[0].outcome)
                )
            )

    async def DeleteResource(
        self, request: service_pb2.DeleteResourceRequest, call: Call
    ) -> service_pb2.DeleteResourceResponse:
        """Marks the resource deleted by a last version."""
        require_organization(call.caller)
        intent = Intent(Operation.DELETE, request.type, request.id, if_match=request.if_match)
        now = to_milliseconds(self.clock())
        async with self.database.writing(call) as writer:
            await writer.lock(intent.key)
            decisions = await filing.decide_on(writer, call.caller, now, [intent])
            filing.touch_attempts(call, decisions)
            filing.require_all(decisions)
            (stored,) = await filing.carry_out(writer, call, now, decisions)
            outcome = wire.outcome_number(decisions[0].outcome)
            return await writer.answer(service_pb2.DeleteResourceResponse(version=stored.version, outcome=outcome))


def _is_sound_unseen(intent: Intent, call: Call) -> bool:
    """True for a Patient who could be filed whatever is stored. Raises what speaks against it; False if a look is needed."""
    decision = filing.decide_unseen(intent, call.caller)
    if decision is None:
        return False
    filing.require_all([decision])
    call.look_at_nothing()
    return True


def _created(stored: Stored, outcome: Outcome) -> service_pb2.CreateResourceResponse:
    return service_pb2.CreateResourceResponse(
        resource=wire.stored_message(stored), outcome=wire.outcome_number(outcome)
    )


def require_own_id(resource_type: str, resource_id: str, place: str) -> None:
    """A Patient comes with the id of its registration, anything else without one.

    Raises InvalidArgumentError, reason RESOURCE_INVALID.
    """
    expression = f"{resource_type}.id"
    if resource_type == "Patient" and not resource_id:
        issue = Issue(expression, REQUIRED, "a Patient has the id that the patient index gave the registration")
        raise errors.resource_invalid([issue], place, resource_type)
    if resource_type != "Patient" and resource_id:
        issue = Issue(expression, INVALID, "the server gives the id")
        raise errors.resource_invalid([issue], place, resource_type)


async def read_existing(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: list[LocalReference]
) -> dict[str, Stored]:
    """`Type/id` → what is stored, for those that the caller may see."""
    found = await resources.bodies(reader, caller, seen_at, wanted)
    return {str(local): stored for local, stored in found.items()}
