"""Registering: one, many, a stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial

from nhip.patient_index.v1 import resources_pb2, service_pb2

from libs.access.caller import Caller
from libs.errors import NhipError
from libs.runtime.call import Call
from services.patient_index import wire
from services.patient_index.api.admitting import Sent, admit, admit_item, sent_of
from services.patient_index.api.ground import Means, Rooted, touch_candidates
from services.patient_index.api.together import Together
from services.patient_index.api.transaction import Change
from services.patient_index.model import Grade, Incoming, Outcome, Placement
from services.patient_index.rules.blocking import scope_of
from services.patient_index.rules.placing import further_keys, place, weigh
from services.patient_index.rules.world import World
from services.patient_index.store.reading import read_contents

# One batch is parsed while another is in the database; more at once would only wait for each other's locks.
BATCHES_AT_ONCE = 2
ADMITTED_AT_ONCE = 50
# A stream is kept in groups of so many.
STREAMED_AT_ONCE = 500
MAX_REJECTIONS = 1000


class Registering(Rooted):
    """RPCs that register."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)
        self._together = Together(means.index)

    async def Register(self, request: service_pb2.RegisterRequest, call: Call) -> service_pb2.RegisterResponse:
        """Places one registration."""
        moment = self.means.clock()
        incoming = admit(request.registration, call.caller, moment, "registration.")

        def decide(world: World) -> service_pb2.RegisterResponse:
            placement = place(world, incoming, call.caller.subject, moment)
            return service_pb2.RegisterResponse(
                registration=wire.registration_of(placement.held),
                candidates=_weighed(world, placement),
                outcome=wire.outcome_of(placement.outcome),
                identifier_classes=wire.classes_of(placement.held),
            )

        scope, further = scope_of([incoming]), partial(further_keys, [incoming])
        if request.validate_only:
            response = await self.means.index.look(scope, decide, further)
            _touch(call, response)
            return response
        change = Change(call, scope, decide, moment, further, lambda response: _touch(call, response))
        return await self._together.change(change)

    async def BatchRegister(
        self, request: service_pb2.BatchRegisterRequest, call: Call
    ) -> service_pb2.BatchRegisterResponse:
        """Places each that is sound, in the order of the request, and says of each other what is wrong with it."""
        return service_pb2.BatchRegisterResponse(results=await self._place(request.registrations, call))

    async def StreamRegistrations(
        self, requests: AsyncIterator[service_pb2.StreamRegistrationsRequest], call: Call
    ) -> service_pb2.StreamRegistrationsResponse:
        """Places what comes in groups; no more is read than can be placed, so that a fast sender waits."""
        answer = service_pb2.StreamRegistrationsResponse()
        group: list[resources_pb2.Registration] = []
        async for request in requests:
            group.append(request.registration)
            if len(group) == STREAMED_AT_ONCE:
                await self._place_group(group, call, answer)
                group = []
        if group:
            await self._place_group(group, call, answer)
        return answer

    async def _place_group(
        self, group: list[resources_pb2.Registration], call: Call, answer: service_pb2.StreamRegistrationsResponse
    ) -> None:
        part = call.part()
        for result in await self._place(group, part):
            answer.received += 1
            if result.error_reason:
                answer.rejected += 1
                if len(answer.rejections) < MAX_REJECTIONS:
                    answer.rejections.add(
                        number=answer.received,
                        error_reason=result.error_reason,
                        error_field=result.error_field,
                        error_message=result.error_message,
                    )
            else:
                answer.created += result.outcome == service_pb2.REGISTRATION_OUTCOME_CREATED
                answer.updated += result.outcome == service_pb2.REGISTRATION_OUTCOME_UPDATED
                answer.unchanged += result.outcome == service_pb2.REGISTRATION_OUTCOME_UNCHANGED
        call.join(part)

    async def _place(
        self, registrations: Sequence[resources_pb2.Registration], call: Call
    ) -> list[service_pb2.BatchRegisterResult]:
        async with self._batches:
            moment = self.means.clock()
            known = await self._known(registrations, call)
            admitted: list[Incoming | service_pb2.BatchRegisterResult] = []
            for number, message in enumerate(registrations):
                if number % ADMITTED_AT_ONCE == 0:
                    # A large batch takes a tenth of a second to read; other calls are answered in between.
                    await asyncio.sleep(0)
                admitted.append(known.get(number) or _admitted(message, call.caller, moment))
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

            scope, further = scope_of(incoming), partial(further_keys, incoming)
            return list((await self.means.index.change(call, scope, decide, moment, further)).results)

    async def _known(
        self, registrations: Sequence[resources_pb2.Registration], call: Call
    ) -> dict[int, service_pb2.BatchRegisterResult]:
        """The answers about those that the index holds just as they come, by their place: nothing of them is done again."""
        sent: dict[str, tuple[int, Sent]] = {}
        often: set[str] = set()
        for number, message in enumerate(registrations):
            if number % ADMITTED_AT_ONCE == 0:
                await asyncio.sleep(0)
            one = sent_of(message, call.caller)
            if one is None:
                continue
            if one.registration_id in sent:
                # What comes twice may change and change back: each is placed after the one before.
                often.add(one.registration_id)
            sent[one.registration_id] = number, one
        async with self.means.database.reading() as reader:
            contents = await read_contents(reader, sent.keys() - often)
        known = {}
        for registration_id, held in contents.items():
            number, one = sent[registration_id]
            if one.is_held(held):
                call.touch(person=held.person_id, registration=registration_id, resource=f"Patient/{registration_id}")
                known[number] = service_pb2.BatchRegisterResult(
                    registration_id=registration_id,
                    person_id=held.person_id,
                    outcome=wire.outcome_of(Outcome.UNCHANGED),
                )
        return known


def _touch(call: Call, response: service_pb2.RegisterResponse) -> None:
    """Notes for the audit log who was written, and whose data the answer shows."""
    placed = response.registration
    call.touch(
        person=placed.person_id, registration=placed.registration_id, resource=f"Patient/{placed.registration_id}"
    )
    touch_candidates(call, response.candidates)


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
    held = placement.held
    candidates = []
    for found in placement.matches:
        weighed = weigh(world, held.features, found.registration_id, held.registration_id)
        # What was decided may have changed what a number is worth: a candidate is shown as it was found.
        shown = found if weighed.grade is Grade.NONE else weighed
        candidates.append(wire.candidate_of(shown, world.held[found.registration_id]))
    return candidates
