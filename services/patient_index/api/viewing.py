"""Reading registrations and persons, and asking who may be meant."""

from dataclasses import replace

from nhip.patient_index.v1 import service_pb2, viewing_pb2

from libs.access.caller import EMERGENCY, TREATMENT
from libs.errors import InvalidArgumentError, PermissionDeniedError, UnavailableError
from libs.runtime.call import Call
from services.patient_index import wire
from services.patient_index.api.admitting import asked_features
from services.patient_index.api.golden import golden_view
from services.patient_index.api.ground import (
    DEFAULT_PAGE,
    Rooted,
    only_key,
    person_merged,
    person_unknown,
    registration_unknown,
    touch,
    touch_candidates,
    touch_person,
)
from services.patient_index.model import Criteria, Grade, Held, Scope
from services.patient_index.rules.blocking import keys_of
from services.patient_index.rules.placing import find_matches
from services.patient_index.rules.registering import normalized
from services.patient_index.rules.searching import criteria_of
from services.patient_index.rules.world import World
from services.patient_index.store import consents, history, reading
from services.patient_index.store.consents import Eyes

DEFAULT_MATCHES = 10
_LOCATING = frozenset({TREATMENT, EMERGENCY})


class Viewing(Rooted):
    """RPCs that show."""

    async def GetRegistration(
        self, request: service_pb2.GetRegistrationRequest, call: Call
    ) -> service_pb2.GetRegistrationResponse:
        """One registration."""
        async with self.means.database.reading() as reader:
            held = await reading.read_registration(reader, request.registration_id, only_key(call))
        if held is None:
            raise registration_unknown()
        touch_person(call, [held])
        return service_pb2.GetRegistrationResponse(
            registration=wire.registration_of(held), identifier_classes=wire.classes_of(held)
        )

    async def ListRegistrationVersions(
        self, request: service_pb2.ListRegistrationVersionsRequest, call: Call
    ) -> service_pb2.ListRegistrationVersionsResponse:
        """What a registration says and said, the newest first."""
        async with self.means.database.reading(snapshot=True) as reader:
            held = await reading.read_registration(reader, request.registration_id, only_key(call))
            if held is None:
                raise registration_unknown()
            earlier = await reading.read_versions(reader, request.registration_id)
        touch_person(call, [held])
        versions = [service_pb2.RegistrationVersion(registration=wire.registration_of(held))]
        for one in earlier:
            said = service_pb2.RegistrationVersion(superseded_at=wire.timestamp_of(one.superseded_at))
            said.registration.CopyFrom(wire.registration_of(replace(held, **one.content_fields)))
            versions.append(said)
        for newer, older in zip(versions, [*versions[1:], service_pb2.RegistrationVersion()], strict=True):
            newer.changed_fields.extend(wire.changed_fields(newer.registration, older.registration))
        return service_pb2.ListRegistrationVersionsResponse(versions=versions)

    async def GetPerson(self, request: service_pb2.GetPersonRequest, call: Call) -> service_pb2.GetPersonResponse:
        """One person with all registrations."""
        registrations = await self._person(request.person_id, call)
        return service_pb2.GetPersonResponse(person=wire.person_of(request.person_id, registrations))

    async def GetGoldenView(
        self, request: viewing_pb2.GetGoldenViewRequest, call: Call
    ) -> viewing_pb2.GetGoldenViewResponse:
        """One person as all registrations together tell."""
        registrations = await self._person(request.person_id, call)
        return viewing_pb2.GetGoldenViewResponse(view=golden_view(request.person_id, registrations))

    async def LocateFacilities(
        self, request: viewing_pb2.LocateFacilitiesRequest, call: Call
    ) -> viewing_pb2.LocateFacilitiesResponse:
        """Who knows the person, the last that wrote first."""
        caller = call.caller
        if not caller.is_citizen and caller.purpose not in _LOCATING:
            raise PermissionDeniedError("PURPOSE_REFUSED", "who knows a person is told for treatment or an emergency")
        known: dict[str, list[Held]] = {}
        for held in await self._located(request.person_id, Eyes(caller, only_key(call), self.means.clock())):
            known.setdefault(held.organization_id, []).append(held)
            touch_person(call, [held])
        newest = {one: max(held.written_at for held in there) for one, there in known.items()}
        return viewing_pb2.LocateFacilitiesResponse(
            facilities=[
                viewing_pb2.FacilityWithRecords(
                    organization_id=one,
                    registration_ids=[held.registration_id for held in known[one]],
                    written_at=wire.timestamp_of(newest[one]),
                )
                for one in sorted(known, key=lambda one: (-newest[one].timestamp(), one))
            ]
        )

    async def _located(self, person_id: str, eyes: Eyes) -> list[Held]:
        async with self.means.database.reading(snapshot=True) as reader:
            if not await consents.is_known(reader, eyes):
                raise UnavailableError("CONSENTS_UNKNOWN", "what citizens refused is not known here yet; try again")
            registrations = await consents.locate(reader, person_id, eyes)
            into = ""
            if not registrations and eyes.citizen_key is None and reading.is_id(person_id):
                into = (await history.merged_into(reader, [person_id])).get(person_id, "")
                # Who may not learn of anybody there is not told either that there is somebody.
                into = into if await consents.locate(reader, into, eyes) else ""
        if into:
            raise person_merged(into)
        if not registrations:
            raise person_unknown()
        return registrations

    async def _person(self, person_id: str, call: Call) -> list[Held]:
        async with self.means.database.reading() as reader:
            registrations = (await reading.read_persons(reader, [person_id], only_key(call))).get(person_id)
            is_told = not registrations and only_key(call) is None and reading.is_id(person_id)
            merged = await history.merged_into(reader, [person_id]) if is_told else {}
        if person_id in merged:
            raise person_merged(merged[person_id])
        if not registrations:
            raise person_unknown()
        touch_person(call, registrations)
        return registrations

    async def SearchPersons(
        self, request: service_pb2.SearchPersonsRequest, call: Call
    ) -> service_pb2.SearchPersonsResponse:
        """Persons by exact criteria; for a citizen themself."""
        size = request.page_size or DEFAULT_PAGE
        confined_to = only_key(call)
        query = _search_identity(request, confined_to)
        after = self.means.pages.read(request.page_token, *query) or reading.FIRST_ID
        async with self.means.database.reading() as reader:
            if confined_to is not None:
                found = await reading.search_own(reader, confined_to, after, size + 1)
            else:
                found = await reading.search_persons(reader, _criteria(request), after, size + 1)
            shown = found[:size]
            persons = await reading.read_persons(reader, shown, confined_to)
        for registrations in persons.values():
            (touch_person if len(persons) == 1 else touch)(call, registrations)
        return service_pb2.SearchPersonsResponse(
            persons=[wire.person_of(person_id, persons[person_id]) for person_id in shown if person_id in persons],
            next_page_token=self.means.pages.write(shown[-1], *query) if len(found) > size else "",
        )

    async def Match(self, request: service_pb2.MatchRequest, call: Call) -> service_pb2.MatchResponse:
        """Candidates for demographics; nothing is kept."""
        features = asked_features(request.registration, self.means.clock(), "registration.")
        keys = keys_of(features)
        limit = request.limit or DEFAULT_MATCHES

        def decide(world: World) -> service_pb2.MatchResponse:
            matches = find_matches(world, features, keys)
            shown = [one for one in matches if one.grade is Grade.CERTAIN or not request.only_certain][:limit]
            return service_pb2.MatchResponse(
                candidates=[wire.candidate_of(one, world.held[one.registration_id]) for one in shown]
            )

        response = await self.means.index.look(Scope(keys=frozenset(keys)), decide)
        touch_candidates(call, response.candidates)
        return response


def _criteria(request: service_pb2.SearchPersonsRequest) -> Criteria:
    criteria = criteria_of(
        normalized(wire.identifier_of(request.identifier)) if request.HasField("identifier") else None,
        wire.name_of(request.name) if request.HasField("name") else None,
        request.birth_date,
        request.organization_id,
        request.local_number,
    )
    if criteria is None:
        raise InvalidArgumentError(
            "CRITERIA_MISSING",
            "a search needs an identifier, or a name and a birth date, or an organisation and its number",
        )
    return criteria


def _search_identity(request: service_pb2.SearchPersonsRequest, confined_to: str | None) -> tuple[object, ...]:
    """What a page token belongs to: everything asked except the page."""
    query = service_pb2.SearchPersonsRequest()
    query.CopyFrom(request)
    query.ClearField("page_token")
    query.ClearField("page_size")
    return "persons", confined_to, query.SerializeToString(deterministic=True)
