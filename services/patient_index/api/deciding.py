"""What somebody decides about persons, what was decided, and what a decision would do."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from nhip.patient_index.v1 import decisions_pb2, resources_pb2, service_pb2

from libs.errors import NotFoundError
from libs.runtime.call import Call
from services.patient_index import wire
from services.patient_index.api.ground import Rooted, person_unknown, registration_unknown
from services.patient_index.model import Decision, Override, Scope
from services.patient_index.rules import deciding
from services.patient_index.rules.deciding import Word
from services.patient_index.rules.world import World
from services.patient_index.store import history, reading

Answer = TypeVar("Answer", bound=Message)


class Deciding(Rooted):
    """RPCs that decide. Each is a dry run where the request says `validate_only`."""

    async def LinkRegistration(
        self, request: service_pb2.LinkRegistrationRequest, call: Call
    ) -> service_pb2.LinkRegistrationResponse:
        """Puts a registration with a person, by the caller's word."""
        _require_registration(request.registration_id)
        _require_person(request.person_id)

        def answer(world: World, decisions: Sequence[Decision]) -> service_pb2.LinkRegistrationResponse:
            return service_pb2.LinkRegistrationResponse(
                registration=wire.registration_of(world.held[request.registration_id]),
                decision=wire.decision_of(decisions[0]) if decisions else None,
                moves=map(wire.move_of, world.moves()),
            )

        return await self._decide(
            request,
            call,
            lambda world, word: deciding.link(world, request.registration_id, request.person_id, word),
            answer,
        )

    async def UnlinkRegistration(
        self, request: service_pb2.UnlinkRegistrationRequest, call: Call
    ) -> service_pb2.UnlinkRegistrationResponse:
        """Takes a registration out of its person, to stay apart."""
        _require_registration(request.registration_id)

        def answer(world: World, decisions: Sequence[Decision]) -> service_pb2.UnlinkRegistrationResponse:
            return service_pb2.UnlinkRegistrationResponse(
                registration=wire.registration_of(world.held[request.registration_id]),
                decision=wire.decision_of(decisions[0]),
                moves=map(wire.move_of, world.moves()),
            )

        return await self._decide(
            request, call, lambda world, word: deciding.unlink(world, request.registration_id, word), answer
        )

    async def MergePersons(
        self, request: decisions_pb2.MergePersonsRequest, call: Call
    ) -> decisions_pb2.MergePersonsResponse:
        """Brings all registrations of one person to another."""
        _require_person(request.person_id)
        _require_person(request.from_person_id)

        def answer(world: World, decisions: Sequence[Decision]) -> decisions_pb2.MergePersonsResponse:
            return decisions_pb2.MergePersonsResponse(
                person=wire.person_of(request.person_id, world.members(request.person_id)),
                decisions=map(wire.decision_of, decisions),
                moves=map(wire.move_of, world.moves()),
            )

        return await self._decide(
            request,
            call,
            lambda world, word: deciding.merge(world, request.from_person_id, request.person_id, word),
            answer,
        )

    async def SplitPerson(
        self, request: decisions_pb2.SplitPersonRequest, call: Call
    ) -> decisions_pb2.SplitPersonResponse:
        """Makes each group of a person's registrations a person of its own."""
        _require_person(request.person_id)
        groups = [list(group.registration_ids) for group in request.groups]

        def answer(world: World, decisions: Sequence[Decision]) -> decisions_pb2.SplitPersonResponse:
            persons = dict.fromkeys([request.person_id, *(one.person_id for one in decisions)])
            return decisions_pb2.SplitPersonResponse(
                persons=[wire.person_of(one, world.members(one)) for one in persons],
                decisions=map(wire.decision_of, decisions),
                moves=map(wire.move_of, world.moves()),
            )

        return await self._decide(
            request, call, lambda world, word: deciding.split(world, request.person_id, groups, word), answer
        )

    async def OverridePair(
        self, request: decisions_pb2.OverridePairRequest, call: Call
    ) -> decisions_pb2.OverridePairResponse:
        """Ordains that two registrations are, or are not, one person."""
        one, other = request.registration_id, request.other_registration_id
        _require_registration(one)
        _require_registration(other)
        kind = Override(request.kind)

        def answer(world: World, decisions: Sequence[Decision]) -> decisions_pb2.OverridePairResponse:
            return decisions_pb2.OverridePairResponse(
                decision=wire.decision_of(decisions[0]) if decisions else None,
                moves=map(wire.move_of, world.moves()),
            )

        return await self._decide(
            request, call, lambda world, word: deciding.override(world, one, other, kind, word), answer
        )

    async def RevertDecision(
        self, request: decisions_pb2.RevertDecisionRequest, call: Call
    ) -> decisions_pb2.RevertDecisionResponse:
        """Takes a decision back."""
        if not reading.is_id(request.decision_id):
            raise _decision_unknown()

        def answer(world: World, decisions: Sequence[Decision]) -> decisions_pb2.RevertDecisionResponse:
            return decisions_pb2.RevertDecisionResponse(
                decisions=map(wire.decision_of, decisions), moves=map(wire.move_of, world.moves())
            )

        return await self._decide(
            request, call, lambda world, word: deciding.revert(world, request.decision_id, word), answer
        )

    async def GetDecision(
        self, request: decisions_pb2.GetDecisionRequest, call: Call
    ) -> decisions_pb2.GetDecisionResponse:
        """One decision, with what it rested on."""
        decisions: list[Decision] = []
        if reading.is_id(request.decision_id):
            async with self.means.database.reading() as reader:
                decisions = await history.read_decision(reader, request.decision_id)
        if not decisions:
            raise _decision_unknown()
        touch_decided(call, decisions)
        return decisions_pb2.GetDecisionResponse(decisions=map(wire.decision_of, decisions))

    async def ListDecisions(
        self, request: service_pb2.ListDecisionsRequest, call: Call
    ) -> service_pb2.ListDecisionsResponse:
        """How a registration came to stand where it stands."""
        del call  # the policy notes the registration
        decisions = []
        if reading.is_id(request.registration_id):
            async with self.means.database.reading() as reader:
                decisions = await history.list_decisions(reader, request.registration_id)
        if not decisions:
            raise registration_unknown()
        return service_pb2.ListDecisionsResponse(decisions=map(wire.decision_of, decisions))

    async def _decide(
        self,
        request: resources_pb2.Registration | Message,
        call: Call,
        decide: Callable[[World, Word], list[Decision]],
        answer: Callable[[World, Sequence[Decision]], Answer],
    ) -> Answer:
        moment = self.means.clock()
        word = Word(call.caller.subject, moment, request.reason)  # type: ignore[union-attr]  # every such request has one

        def decided(world: World) -> Answer:
            decisions = decide(world, word)
            touch_decided(call, decisions)
            return answer(world, decisions)

        is_dry: bool = request.validate_only  # type: ignore[union-attr]  # as above
        return await self.means.index.decide(call, Scope(), decided, moment, is_dry=is_dry)


def _require_registration(registration_id: str) -> None:
    if not reading.is_id(registration_id):
        raise registration_unknown()


def _require_person(person_id: str) -> None:
    if not reading.is_id(person_id):
        raise person_unknown()


def _decision_unknown() -> NotFoundError:
    return NotFoundError("DECISION_UNKNOWN", "there is no such decision")


def touch_decided(call: Call, decisions: Sequence[Decision]) -> None:
    """Notes for the audit log whom decisions move."""
    for one in decisions:
        call.touch(person=one.person_id, registration=one.registration_id, resource=f"Patient/{one.registration_id}")
        if one.previous_person_id:
            call.touch(person=one.previous_person_id)
