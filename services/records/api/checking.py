"""Holding drug orders against what is on record: on request, and before one is filed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from nhip.records.v1 import decisions_pb2

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.errors import FieldViolation, InvalidArgumentError, PermissionDeniedError
from libs.fhir.body import Json
from libs.fhir.references import parse_local
from libs.runtime.call import Call
from services.records.api import filing
from services.records.api.ground import UseCases, require_organization
from services.records.api.reading import require_seen
from services.records.model import Allergy, Stored
from services.records.rules import errors
from services.records.rules.allergies import codings_of, is_active, substances_of
from services.records.rules.checking import (
    Finding,
    Therapy,
    against,
    allergy_with_atc,
    atc_of,
    in_order,
    is_current,
    prefixes,
    with_atc,
)
from services.records.rules.orders import drugs_of
from services.records.store import feedback, resources, therapies

Known = tuple[str, str, Json]
_TAKEN = frozenset({"MedicationRequest", "MedicationStatement"})
_GIVEN = frozenset({*_TAKEN, "AllergyIntolerance", "Medication"})


class DecisionApi(UseCases):
    """nhip.records.v1.DecisionService."""

    async def CheckOrders(
        self, request: decisions_pb2.CheckOrdersRequest, call: Call
    ) -> decisions_pb2.CheckOrdersResponse:
        """Four statements at most: the person's record, Medications, maps, interactions."""
        for needed in ("Patient", *therapies.HELD_AGAINST):
            if not call.caller.scopes.allow_fhir(needed, "r"):
                raise PermissionDeniedError("SCOPE_MISSING", f"the token does not grant r on {needed}")
        orders = [_parsed(body, index) for index, body in enumerate(request.orders)]
        given = [_given(body, index) for index, body in enumerate(request.given)]
        wanted = [one for one in therapies.HELD_AGAINST if one not in request.given_types]
        now = self.clock()
        async with self.database.reading(snapshot=True) as reader:
            stored: list[Stored] = []
            if wanted:
                stored = await self._on_record(reader, call, request.registration_id, wanted)
            known = [(f"{one.type}/{one.id}", one.registration_id, therapies.body_of(one)) for one in stored]
            known += [(f"{one['resourceType']}/{one.get('id', '')}", "", one) for one in given]
            findings = await check(reader, call.caller, now, orders, known)
        for one in stored:
            filing.touch(call, one)
        return decisions_pb2.CheckOrdersResponse(findings=[_message(one) for one in findings])

    async def _on_record(self, reader: Reader, call: Call, registration_id: str, types: Sequence[str]) -> list[Stored]:
        """Raises NotFoundError, reason RESOURCE_UNKNOWN, where there is no such Patient for the caller."""
        if not registration_id:
            raise errors.resource_unknown("Patient")
        stored = await therapies.on_record(reader, call.caller, self.clock(), registration_id, types)
        if not any(one.type == "Patient" for one in stored):
            found = await resources.read(reader, call.caller, self.clock(), "Patient", registration_id)
            require_seen(found, call, "Patient")
        return stored

    async def RecordFeedback(
        self, request: decisions_pb2.RecordFeedbackRequest, call: Call
    ) -> decisions_pb2.RecordFeedbackResponse:
        """Each once."""
        require_organization(call.caller)
        now = self.clock()
        async with self.database.writing(call) as writer:
            kept = [
                await feedback.record(writer, request.service, call.caller.organization_id, one, now)
                for one in request.feedback
            ]
            return await writer.answer(decisions_pb2.RecordFeedbackResponse(recorded=sum(kept)))


async def check(
    reader: Reader, caller: Caller, seen_at: datetime, orders: Sequence[Json], bodies: Sequence[Known]
) -> list[Finding]:
    """What speaks against orders of one person of whom this is on record: key, registration and body of each."""
    taken = [(key, body) for key, _, body in bodies if key.partition("/")[0] in _TAKEN and is_current(body)]
    given = {key: body for key, _, body in bodies if key.startswith("Medication/")}
    medications = given | await _medications(reader, caller, seen_at, [*orders, *(body for _, body in taken)])
    raw_orders = [Therapy(_key(one), tuple(_drugs(one, medications))) for one in orders]
    raw_taken = [Therapy(key, tuple(_drugs(body, medications))) for key, body in taken]
    allergies = [
        Allergy(registration, key, body)
        for key, registration, body in bodies
        if key.startswith("AllergyIntolerance/") and is_active(body)
    ]
    concepts = [drug for one in (*raw_orders, *raw_taken) for drug in one.drugs]
    concepts += [one for allergy in allergies for one in substances_of(allergy.body)]
    mapped = await therapies.in_atc(reader, (coding for one in concepts for coding in codings_of(one)))
    asked = [Therapy(one.key, with_atc(one.drugs, mapped)) for one in raw_orders]
    held = [Therapy(one.key, with_atc(one.drugs, mapped)) for one in raw_taken]
    known = [allergy_with_atc(one, mapped) for one in allergies]
    codes = {code for one in (*asked, *held) for code in atc_of(one.drugs, {})}
    table = await therapies.interactions(reader, prefixes(codes))
    return in_order(finding for index in range(len(asked)) for finding in against(index, asked, known, held, table))


async def _medications(reader: Reader, caller: Caller, seen_at: datetime, bodies: Sequence[Json]) -> dict[str, Json]:
    wanted = {
        local for one in bodies if (local := parse_local(_reference(one))) is not None and local.type == "Medication"
    }
    found = await resources.bodies(reader, caller, seen_at, sorted(wanted, key=str)) if wanted else {}
    return {str(local): orjson.loads(stored.body) for local, stored in found.items()}


def _drugs(body: Json, medications: Mapping[str, Json]) -> list[Json]:
    concept = body.get("medicationCodeableConcept")
    if isinstance(concept, dict):
        return [concept]
    text = _reference(body)
    if text.startswith("#"):
        inside = [one for one in body.get("contained", ()) if one.get("id") == text[1:]]
        return [drug for one in inside for drug in drugs_of(one)]
    return drugs_of(medications.get(text, {}))


def _reference(body: Json) -> str:
    reference = body.get("medicationReference")
    return str(reference.get("reference", "")) if isinstance(reference, dict) else ""


def _key(order: Json) -> str:
    return f"MedicationRequest/{order['id']}" if order.get("id") else ""


def _parsed(body: bytes, index: int) -> Json:
    try:
        order = orjson.loads(body)
    except orjson.JSONDecodeError:
        order = None
    if not isinstance(order, dict) or order.get("resourceType") != "MedicationRequest":
        where, message = f"orders[{index}]", "a MedicationRequest belongs here"
        raise InvalidArgumentError("RESOURCE_INVALID", message, fields=[FieldViolation(where, "invalid", message)])
    return order


def _given(body: bytes, index: int) -> Json:
    try:
        resource = orjson.loads(body)
    except orjson.JSONDecodeError:
        resource = None
    if not isinstance(resource, dict) or resource.get("resourceType") not in _GIVEN:
        where, message = f"given[{index}]", f"one of {', '.join(sorted(_GIVEN))} belongs here"
        raise InvalidArgumentError("RESOURCE_INVALID", message, fields=[FieldViolation(where, "invalid", message)])
    return resource


def _message(one: Finding) -> decisions_pb2.Finding:
    return decisions_pb2.Finding(
        order=one.order,
        kind=one.kind.value,  # type: ignore[arg-type]  # an enum's number
        severity=one.severity,
        is_refused=one.is_refused,
        resource=one.resource,
        group=one.group,
        text_en=one.text_en,
        text_th=one.text_th,
        source=one.source,
    )
