"""What a doctor needs of a stranger, at a glance."""

from collections.abc import Iterator

import orjson
from nhip.records.v1 import resources_pb2, service_pb2

from libs.access.caller import EMERGENCY, Caller
from libs.errors import NotFoundError, PermissionDeniedError
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.ground import UseCases
from services.records.model import Json, Stored
from services.records.store import summaries
from services.records.store.summaries import Standing

# Field of the answer → the types that its lines are made of.
_KINDS = {
    "allergies": ("AllergyIntolerance",),
    "conditions": ("Condition",),
    "medications": ("MedicationRequest", "MedicationStatement", "MedicationDispense"),
    "visits": ("Encounter",),
    "immunizations": ("Immunization",),
}
_MISTAKE = "entered-in-error"


class Summarizing(UseCases):
    """Over all registrations of the person, each line with its source."""

    async def GetSummary(self, request: service_pb2.GetSummaryRequest, call: Call) -> service_pb2.GetSummaryResponse:
        """Two statements over one state."""
        now = self.clock()
        async with self.database.reading(snapshot=True) as reader:
            standing = await summaries.standing(reader, call.caller, now, request.person_id)
            require_standing(standing, call.caller)
            types = [one for kind in _KINDS.values() for one in kind]
            found = await summaries.newest(reader, call.caller, now, standing.registration_ids, types)
        for stored in found:
            filing.touch(call, stored)
        for registration_id in standing.registration_ids:
            call.touch(registration=registration_id)
        return service_pb2.GetSummaryResponse(
            person_id=request.person_id,
            registration_ids=standing.registration_ids,
            **{name: list(_lines(found, types)) for name, types in _KINDS.items()},
        )


def require_standing(standing: Standing, caller: Caller) -> None:
    """Raises NotFoundError, reason PERSON_UNKNOWN; PermissionDeniedError, reason CONSENT_REFUSED.

    To a citizen nobody but themselves is known.
    """
    is_other = caller.is_citizen and caller.citizen_key not in standing.citizen_keys
    if not standing.registration_ids or is_other:
        is_refusal = is_other and bool(standing.registration_ids)
        raise NotFoundError("PERSON_UNKNOWN", "there is no such person", is_refusal=is_refusal)
    if standing.is_refused and not caller.is_citizen and caller.purpose != EMERGENCY:
        raise PermissionDeniedError("CONSENT_REFUSED", "the person does not share their records with this organisation")


def _lines(found: list[Stored], types: tuple[str, ...]) -> Iterator[resources_pb2.SummaryItem]:
    bodies = [(one, orjson.loads(one.body)) for one in found if one.type in types]
    items = [wire.summary_item(one, body) for one, body in bodies if not _is_mistake(body)]
    # Types of one kind come one after the other; the reader wants the newest first over all.
    items.sort(key=lambda item: item.occurred_at[:10], reverse=True)
    yield from items


def _is_mistake(body: Json) -> bool:
    status = body.get("status")
    return status == _MISTAKE or wire.first_code(body.get("verificationStatus")) == _MISTAKE
