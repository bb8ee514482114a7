"""The RPCs of the patient index, one method per use-case."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from nhip.patient_index.v1 import resources_pb2, service_pb2

from libs.access.caller import Caller
from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import FailedPreconditionError, InvalidArgumentError, NhipError, NotFoundError
from libs.pages import PageTokens
from libs.runtime.call import Call
from services.patient_index import wire
from services.patient_index.api.admitting import admit, admit_item, asked_features
from services.patient_index.api.transaction import Index
from services.patient_index.model import Criteria, Grade, Held, Incoming, Placement, Scope
from services.patient_index.rules.blocking import keys_of, scope_of, wider
from services.patient_index.rules.placing import find_matches, link, place, unlink
from services.patient_index.rules.registering import normalized
from services.patient_index.rules.searching import criteria_of
from services.patient_index.rules.world import World, held_keys
from services.patient_index.store import reading

DEFAULT_PAGE = 20
DEFAULT_MATCHES = 10
READ_SCOPE = "registrations.read"
# One batch is parsed while another is in the database; more at once would only wait for each other's locks.
BATCHES_AT_ONCE = 2
ADMITTED_AT_ONCE = 50
# Before every review, and after the last of the highest weight there is.
_FIRST_REVIEW = (1e308, reading.FIRST_ID, reading.FIRST_ID)


class PatientIndexApi:
    """nhip.patient_index.v1.PatientIndexService."""

    def __init__(self, index: Index, database: Database, clock: Clock, pages: PageTokens) -> None:
        self._index = index
        self._database = database
        self._clock = clock
        self._pages = pages
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def Register(self, request: service_pb2.RegisterRequest, call: Call) -> service_pb2.RegisterResponse:
        """Places one registration."""
        moment = self._clock()
        incoming = admit(request.registration, call.caller, moment, "registration.")

        def decide(world: World) -> service_pb2.RegisterResponse:
            placement = place(world, incoming, call.caller.subject, moment)
            candidates = _weighed(world, placement)
            # Now, for the audit log learns of a write in the transaction that makes it.
            _touch(call, [placement.held])
            _touch_candidates(call, candidates)
            return service_pb2.RegisterResponse(
                registration=wire.registration_of(placement.held),
                candidates=candidates,
                outcome=wire.outcome_of(placement.outcome),
            )

        scope = scope_of([incoming])
        if request.validate_only:
            return await self._index.look(scope, decide)
        return await self._index.change(call, scope, decide, moment)

    async def BatchRegister(
        self, request: service_pb2.BatchRegisterRequest, call: Call
    ) -> service_pb2.BatchRegisterResponse:
        """Places each that is sound, in the order of the request, and says of each other what is wrong with it."""
        async with self._batches:
            moment = self._clock()
            admitted: list[Incoming | service_pb2.BatchRegisterResult] = []
            for number, message in enumerate(request.registrations):
                if number % ADMITTED_AT_ONCE == 0:
                    # A large batch takes a tenth of a second to read; other calls are answered in between.
                    await asyncio.sleep(0)
                admitted.append(_admitted(message, call.caller, moment))
            incoming = [one for one in admitted if isinstance(one, Incoming)]
            for one in incoming:
                call.touch(registration=one.registration_id, resource=f"Patient/{one.registration_id}")

            def decide(world: World) -> service_pb2.BatchRegisterResponse:
                results = []
                for one in admitted:
                    if isinstance(one, Incoming):
                        placement = place(world, one, call.caller.subject, moment)
                        call.touch(person=placement.held.person_id)
                        results.append(_result(placement))
                    else:
                        results.append(one)
                return service_pb2.BatchRegisterResponse(results=results)

            return await self._index.change(call, scope_of(incoming), decide, moment)

    async def GetRegistration(
        self, request: service_pb2.GetRegistrationRequest, call: Call
    ) -> service_pb2.GetRegistrationResponse:
        """One registration."""
        async with self._database.reading() as reader:
            held = await reading.read_registration(reader, request.registration_id, _only_key(call))
        if held is None:
            raise _registration_unknown()
        _touch_person(call, [held])
        return service_pb2.GetRegistrationResponse(registration=wire.registration_of(held))

    async def GetPerson(self, request: service_pb2.GetPersonRequest, call: Call) -> service_pb2.GetPersonResponse:
        """One person with all registrations."""
        async with self._database.reading() as reader:
            persons = await reading.read_persons(reader, [request.person_id], _only_key(call))
        registrations = persons.get(request.person_id)
        if not registrations:
            raise _person_unknown()
        _touch_person(call, registrations)
        return service_pb2.GetPersonResponse(person=wire.person_of(request.person_id, registrations))

    async def SearchPersons(
        self, request: service_pb2.SearchPersonsRequest, call: Call
    ) -> service_pb2.SearchPersonsResponse:
        """Persons by exact criteria; for a citizen themself."""
        size = request.page_size or DEFAULT_PAGE
        only_key = _only_key(call)
        query = _search_identity(request, only_key)
        after = self._pages.read(request.page_token, *query) or reading.FIRST_ID
        async with self._database.reading() as reader:
            if only_key is not None:
                found = await reading.search_own(reader, only_key, after, size + 1)
            else:
                found = await reading.search_persons(reader, _criteria(request), after, size + 1)
            shown = found[:size]
            persons = await reading.read_persons(reader, shown, only_key)
        for registrations in persons.values():
            (_touch_person if len(persons) == 1 else _touch)(call, registrations)
        return service_pb2.SearchPersonsResponse(
            persons=[wire.person_of(person_id, persons[person_id]) for person_id in shown if person_id in persons],
            next_page_token=self._pages.write(shown[-1], *query) if len(found) > size else "",
        )

    async def Match(self, request: service_pb2.MatchRequest, call: Call) -> service_pb2.MatchResponse:
        """Candidates for demographics; nothing is kept."""
        features = asked_features(request.registration, self._clock(), "registration.")
        keys = keys_of(features)
        limit = request.limit or DEFAULT_MATCHES

        def decide(world: World) -> service_pb2.MatchResponse:
            matches = find_matches(world, features, keys)
            shown = [one for one in matches if one.grade is Grade.CERTAIN or not request.only_certain][:limit]
            return service_pb2.MatchResponse(
                candidates=[wire.candidate_of(one, world.held[one.registration_id]) for one in shown]
            )

        response = await self._index.look(Scope(keys=frozenset(keys)), decide)
        _touch_candidates(call, response.candidates)
        return response

    async def LinkRegistration(
        self, request: service_pb2.LinkRegistrationRequest, call: Call
    ) -> service_pb2.LinkRegistrationResponse:
        """Puts a registration with a person, by the caller's word."""
        moment = self._clock()
        if not reading.is_id(request.registration_id):
            raise _registration_unknown()
        if not reading.is_id(request.person_id):
            raise _person_unknown()

        def decide(world: World) -> service_pb2.LinkRegistrationResponse:
            held = world.held.get(request.registration_id)
            if held is None:
                raise _registration_unknown()
            if not world.members(request.person_id):
                raise _person_unknown()
            if held.person_id == request.person_id:
                return service_pb2.LinkRegistrationResponse(registration=wire.registration_of(held))
            decision = link(world, held, request.person_id, call.caller.subject, request.reason, moment)
            return service_pb2.LinkRegistrationResponse(
                registration=wire.registration_of(world.held[held.registration_id]),
                decision=wire.decision_of(decision),
            )

        call.touch(person=request.person_id)
        scope = wider(Scope(person_ids=frozenset({request.person_id})), registration_ids=[request.registration_id])
        return await self._index.change(call, scope, decide, moment)

    async def UnlinkRegistration(
        self, request: service_pb2.UnlinkRegistrationRequest, call: Call
    ) -> service_pb2.UnlinkRegistrationResponse:
        """Takes a registration out of its person, to stay apart."""
        moment = self._clock()
        if not reading.is_id(request.registration_id):
            raise _registration_unknown()

        def decide(world: World) -> service_pb2.UnlinkRegistrationResponse:
            held = world.held.get(request.registration_id)
            if held is None:
                raise _registration_unknown()
            if world.is_alone(held.registration_id):
                raise FailedPreconditionError("REGISTRATION_ALONE", "nobody shares the registration's person")
            call.touch(person=held.person_id)
            decision = unlink(world, held, call.caller.subject, request.reason, moment)
            return service_pb2.UnlinkRegistrationResponse(
                registration=wire.registration_of(world.held[held.registration_id]),
                decision=wire.decision_of(decision),
            )

        history = frozenset({request.registration_id})
        scope = wider(Scope(histories=history), registration_ids=history)
        return await self._index.change(call, scope, decide, moment)

    async def ListDecisions(
        self, request: service_pb2.ListDecisionsRequest, call: Call
    ) -> service_pb2.ListDecisionsResponse:
        """How a registration came to stand where it stands."""
        del call  # the policy notes the registration
        decisions = []
        if reading.is_id(request.registration_id):
            async with self._database.reading() as reader:
                decisions = await reading.list_decisions(reader, request.registration_id)
        if not decisions:
            raise _registration_unknown()
        return service_pb2.ListDecisionsResponse(decisions=map(wire.decision_of, decisions))

    async def ListReviews(self, request: service_pb2.ListReviewsRequest, call: Call) -> service_pb2.ListReviewsResponse:
        """Pairs to judge, the likeliest first."""
        size = request.page_size or DEFAULT_PAGE
        after = self._pages.read(request.page_token, "reviews") or _FIRST_REVIEW
        async with self._database.reading(snapshot=True) as reader:
            found = await reading.list_reviews(reader, after, size + 1)
            shown = found[:size]
            pairs = {one for review in shown for one in (review.registration_id, review.match.registration_id)}
            held = await reading.read_registrations(reader, pairs)
        _touch(call, held.values())
        last = shown[-1] if len(found) > size else None
        position = (last.match.weight, last.registration_id, last.match.registration_id) if last else None
        return service_pb2.ListReviewsResponse(
            reviews=[
                service_pb2.Review(
                    registration=wire.registration_of(held[review.registration_id]),
                    candidate=wire.candidate_of(review.match, held[review.match.registration_id]),
                )
                for review in shown
            ],
            next_page_token=self._pages.write(position, "reviews") if position else "",
        )


def _admitted(
    message: resources_pb2.Registration, caller: Caller, moment: datetime
) -> Incoming | service_pb2.BatchRegisterResult:
    """An item of a batch, or what is wrong with it."""
    try:
        return admit_item(message, caller, moment)
    except NhipError as error:
        return service_pb2.BatchRegisterResult(
            error_reason=error.reason,
            error_field=error.fields[0].field if error.fields else "",
            error_message=error.message,
        )


def _result(placement: Placement) -> service_pb2.BatchRegisterResult:
    return service_pb2.BatchRegisterResult(
        registration_id=placement.held.registration_id,
        person_id=placement.held.person_id,
        outcome=wire.outcome_of(placement.outcome),
    )


def _weighed(world: World, placement: Placement) -> list[resources_pb2.Candidate]:
    """Whom a registration was matched to, with the weights that a rule made unnecessary for the decision."""
    if not placement.matches:
        return []
    held = placement.held
    thorough = find_matches(world, held.features, held_keys(held), held.registration_id)
    weighed = {one.registration_id: one for one in thorough}
    shown = (weighed.get(one.registration_id, one) for one in placement.matches)
    return [wire.candidate_of(one, world.held[one.registration_id]) for one in shown]


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


def _search_identity(request: service_pb2.SearchPersonsRequest, only_key: str | None) -> tuple[object, ...]:
    """What a page token belongs to: everything asked except the page."""
    query = service_pb2.SearchPersonsRequest()
    query.CopyFrom(request)
    query.ClearField("page_token")
    query.ClearField("page_size")
    return "persons", only_key, query.SerializeToString(deterministic=True)


def _only_key(call: Call) -> str | None:
    """The citizen key that the caller is confined to; None for those who may see everybody. An empty key sees nobody."""
    caller = call.caller
    return None if READ_SCOPE in caller.scopes.names and not caller.is_citizen else caller.citizen_key


def _registration_unknown() -> NotFoundError:
    return NotFoundError("REGISTRATION_UNKNOWN", "there is no such registration")


def _person_unknown() -> NotFoundError:
    return NotFoundError("PERSON_UNKNOWN", "there is no such person")


def _touch(call: Call, registrations: Iterable[Held]) -> None:
    for held in registrations:
        call.touch(
            person=held.person_id,
            registration=held.registration_id,
            resource=f"Patient/{held.registration_id}",
        )


def _touch_person(call: Call, registrations: Sequence[Held]) -> None:
    """Of one person alone, whose access log it then is."""
    _touch(call, registrations)
    call.touch(citizen_key=next((held.citizen_key for held in registrations if held.citizen_key), ""))


def _touch_candidates(call: Call, candidates: Iterable[resources_pb2.Candidate]) -> None:
    for candidate in candidates:
        found = candidate.registration
        call.touch(
            person=found.person_id,
            registration=found.registration_id,
            resource=f"Patient/{found.registration_id}",
        )
