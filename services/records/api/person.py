"""What is on record about one person: $everything, $summary, $lastn, $meta."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.records.v1 import person_pb2, resources_pb2

from libs.access.caller import Caller, Scopes
from libs.database.transactions import Reader
from libs.errors import FieldViolation, InvalidArgumentError, NotFoundError, PermissionDeniedError
from libs.fhir.definitions import definitions, is_resource_type
from libs.fhir.moments import BEGINNING, END
from libs.runtime.call import Call
from services.records import wire
from services.records.api import filing
from services.records.api.ground import UseCases, seen_by
from services.records.api.reading import require_seen
from services.records.model import Stored
from services.records.rules import errors
from services.records.rules.lasting import newest_of_each_code
from services.records.rules.queries import OF_THE_PERSON, parse_query
from services.records.rules.referring import SUPPORTING, references_of, supporting
from services.records.store import compartment, labels, resources, searching
from services.records.store.reindexing import require_indexed

DEFAULT_PAGE = 2000
# Half of what a message may be: what is referred to comes along.
MAX_PAGE_BYTES = 16 * 1024 * 1024
# The observations of one person that `$lastn` looks through, newest first.
MAX_OBSERVATIONS = 10_000
# A role leads to a person and an organisation, a drug to its maker: two steps reach what a reader needs.
_STEPS = 2
SUMMARY_TYPES = (
    *("AllergyIntolerance", "Condition", "MedicationRequest", "MedicationStatement", "Immunization", "Procedure"),
    *(
        "DeviceUseStatement",
        "DiagnosticReport",
        "Observation",
        "CarePlan",
        "ClinicalImpression",
        "Consent",
        "Encounter",
    ),
    *("Flag", "MedicationDispense", "MedicationAdministration", "Specimen"),
)


class PersonRecordsApi(UseCases):
    """nhip.records.v1.PersonRecordsService."""

    async def ListEverything(
        self, request: person_pb2.ListEverythingRequest, call: Call
    ) -> person_pb2.ListEverythingResponse:
        """Two statements for most: the page, and what it refers to."""
        require_person(call.caller, request.registration_id)
        granted = _granted(call.caller, request.types)
        binding = (
            *("everything", request.registration_id, *request.types),
            *(_moment(request, name, BEGINNING).isoformat() for name in ("since", "starts_at", "ends_at")),
            *seen_by(call.caller),
        )
        after: Any = self.pages.read(request.page_token, *binding)
        count = request.page_size or DEFAULT_PAGE
        asked = compartment.Asked(
            request.registration_id,
            granted,
            _moment(request, "since", BEGINNING),
            _moment(request, "starts_at", BEGINNING),
            _moment(request, "ends_at", END),
            # One row more tells whether there is a next page.
            count + 1,
            tuple(after) if after else ("", ""),
        )
        now = self.clock()
        async with self.database.reading(snapshot=True) as reader:
            found = await compartment.everything(reader, call.caller, now, asked)
            if not found and not after:
                await self._require_compartment(reader, call, request.registration_id)
            page = _fitting(found[:count])
            referred = await _referred(reader, call.caller, now, page, SUPPORTING.intersection(granted))
        for stored in (*page, *referred):
            filing.touch(call, stored)
        last = page[-1] if len(found) > len(page) else None
        return person_pb2.ListEverythingResponse(
            resources=[wire.stored_message(one) for one in page],
            referred=[wire.stored_message(one) for one in referred],
            next_page_token=self.pages.write([last.type, last.id], *binding) if last is not None else "",
        )

    async def GatherSummary(
        self, request: person_pb2.GatherSummaryRequest, call: Call
    ) -> person_pb2.GatherSummaryResponse:
        """The person's Patient and the newest of each type."""
        require_person(call.caller, request.registration_id)
        now = self.clock()
        granted = _granted(call.caller, ("Patient", *SUMMARY_TYPES))
        async with self.database.reading(snapshot=True) as reader:
            found = await compartment.newest(reader, call.caller, now, request.registration_id, granted)
            patients = [one for one in found if one.type == "Patient"]
            if not patients:
                await self._require_compartment(reader, call, request.registration_id)
                raise errors.resource_unknown("Patient")
            supported = SUPPORTING.intersection(_all_granted(call.caller.scopes))
            referred = await _referred(reader, call.caller, now, found, supported)
        named = [one for one in patients if one.id == request.registration_id]
        patient = (named or patients)[0]
        rest = [one for one in found if one is not patient]
        for stored in (*found, *referred):
            filing.touch(call, stored)
        return person_pb2.GatherSummaryResponse(
            patient=wire.stored_message(patient),
            resources=[wire.stored_message(one) for one in rest],
            referred=[wire.stored_message(one) for one in referred],
        )

    async def ListLastObservations(
        self, request: person_pb2.ListLastObservationsRequest, call: Call
    ) -> person_pb2.ListLastObservationsResponse:
        """A search, newest first, of which each code keeps its newest."""
        asked = [(one.name, one.value) for one in request.parameters]
        if OF_THE_PERSON.isdisjoint(name.partition(":")[0] for name, _ in asked):
            raise errors.search_invalid("patient", "$lastn asks whose observations are meant: patient or subject")
        query = parse_query(request.type, asked, lenient=request.lenient)
        query.count, query.order, query.is_descending = MAX_OBSERVATIONS, "occurred", True
        query.inclusions, query.wants_matches, query.wants_total = [], True, False
        async with self.database.reading() as reader:
            await require_indexed(reader, query.types, self.indexed)
            page = await searching.search(reader, call.caller, self.clock(), query, None)
        kept = newest_of_each_code(page.matches, request.newest or 1)
        for stored in kept:
            filing.touch(call, stored)
        return person_pb2.ListLastObservationsResponse(
            observations=[wire.stored_message(one) for one in kept], ignored_parameters=query.ignored
        )

    async def CollectLabels(
        self, request: person_pb2.CollectLabelsRequest, call: Call
    ) -> person_pb2.CollectLabelsResponse:
        """One statement over what the caller may see."""
        granted = _granted(call.caller, [request.type] if request.type else ())
        if not granted:
            raise PermissionDeniedError("SCOPE_MISSING", "the token does not grant reading these types")
        async with self.database.reading() as reader:
            rows = await labels.in_use(reader, call.caller, self.clock(), granted)
        response = person_pb2.CollectLabelsResponse()
        for kind, value in rows:
            if kind == "profile":
                response.profiles.append(value)
                continue
            coding = orjson.loads(value)
            code = resources_pb2.Code(**{name: coding.get(name, "") for name in ("system", "code", "display")})
            (response.tags if kind == "tag" else response.security).append(code)
        return response

    async def _require_compartment(self, reader: Reader, call: Call, registration_id: str) -> None:
        """Why there is nothing: no such Patient for this caller, or nothing that was asked for. Raises NotFoundError."""
        if registration_id:
            found = await resources.read(reader, call.caller, self.clock(), "Patient", registration_id)
            require_seen(found, call, "Patient")


def require_person(caller: Caller, registration_id: str) -> None:
    """Raises PermissionDeniedError, reason SCOPE_MISSING; NotFoundError, reason PERSON_UNKNOWN."""
    if not caller.scopes.allow_fhir("Patient", "r"):
        raise PermissionDeniedError("SCOPE_MISSING", "the token does not grant r on Patient")
    if not registration_id and not (caller.is_citizen and caller.citizen_key):
        raise NotFoundError("PERSON_UNKNOWN", "only a citizen asks for their own records without naming a Patient")


@lru_cache(maxsize=1024)
def _all_granted(scopes: Scopes) -> tuple[str, ...]:
    return tuple(one for one in sorted(definitions().resource_types) if scopes.allow_fhir(one, "r"))


def _granted(caller: Caller, types: Sequence[str]) -> list[str]:
    """Those of the types that the caller's scopes let them read. Raises InvalidArgumentError, reason TYPE_UNKNOWN."""
    for one in types:
        if not is_resource_type(one):
            violation = FieldViolation("_type", "TYPE_UNKNOWN", "there is no such resource type in FHIR R4")
            raise InvalidArgumentError("TYPE_UNKNOWN", "_type names no resource type", fields=[violation])
    if types:
        return [one for one in dict.fromkeys(types) if caller.scopes.allow_fhir(one, "r")]
    return list(_all_granted(caller.scopes))


def _fitting(resources: Sequence[Stored]) -> Sequence[Stored]:
    """As many as one message carries; one at least."""
    size = 0
    for index, stored in enumerate(resources):
        size += len(stored.body)
        if size > MAX_PAGE_BYTES and index:
            return resources[:index]
    return resources


async def _referred(
    reader: Reader, caller: Caller, seen_at: datetime, resources: Sequence[Stored], types: frozenset[str]
) -> list[Stored]:
    found: dict[str, Stored] = {}
    wanted = supporting(resources, types)
    given = {one.key for one in resources}
    for _ in range(_STEPS):
        if not wanted:
            break
        reached = await compartment.referred(reader, caller, seen_at, wanted)
        found.update((one.key, one) for one in reached)
        wanted = [
            local
            for local in references_of(one.body for one in reached)
            if local.type in types and str(local) not in found and str(local) not in given
        ]
    return list(found.values())


def _moment(request: person_pb2.ListEverythingRequest, name: str, absent: datetime) -> datetime:
    if not request.HasField(name):  # type: ignore[arg-type]  # one of the message's own names
        return absent
    stamp: Timestamp = getattr(request, name)
    return stamp.ToDatetime(UTC)
