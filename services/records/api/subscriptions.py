"""The operations of subscriptions, and their dead letters.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html.
"""

from datetime import timedelta

from nhip.records.v1 import subscriptions_pb2

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.errors import FailedPreconditionError, NotFoundError
from libs.runtime.call import Call
from services.records.api.delivering import BINDING_TOKEN, Delivering, heading_of
from services.records.api.subscribing import TYPE
from services.records.rules import errors
from services.records.rules.notifications import QUERY_EVENT, notification, statuses
from services.records.rules.subscribing import OFF, WEBSOCKET
from services.records.store.subscriptions import dead_letters, events, rows
from services.records.store.subscriptions.rows import Subscribed

BOUND_FOR = timedelta(hours=1)
MAX_EVENTS = 1_000
_LAST_NUMBER = 2**62


class SubscriptionApi(Delivering):
    """nhip.records.v1.SubscriptionService."""

    async def IssueBindingToken(
        self, request: subscriptions_pb2.IssueBindingTokenRequest, call: Call
    ) -> subscriptions_pb2.IssueBindingTokenResponse:
        """For who wrote it: it is their eyes that the notifications are for."""
        async with self.database.reading() as reader:
            subscribed = await _own(reader, call.caller, request.subscription_id)
        if subscribed.channel != WEBSOCKET:
            raise FailedPreconditionError("CHANNEL_OTHER", "the subscription's channel is not websocket")
        expires_at = self.clock() + BOUND_FOR
        sealed = [subscribed.id, call.caller.subject, expires_at.timestamp()]
        answer = subscriptions_pb2.IssueBindingTokenResponse(token=self.pages.write(sealed, BINDING_TOKEN))
        answer.expires_at.FromDatetime(expires_at)
        return answer

    async def ReadSubscriptionStatus(
        self, request: subscriptions_pb2.ReadSubscriptionStatusRequest, call: Call
    ) -> subscriptions_pb2.ReadSubscriptionStatusResponse:
        """Of the caller's organisation, as the resources are."""
        _require_organization(call.caller)
        async with self.database.reading() as reader:
            found = await rows.all_of(
                reader, call.caller.organization_id, list(request.subscription_ids), list(request.statuses)
            )
        headings = [heading_of(one) for one in found]
        return subscriptions_pb2.ReadSubscriptionStatusResponse(bundle=statuses(headings, self.clock()))

    async def ReadSubscriptionEvents(
        self, request: subscriptions_pb2.ReadSubscriptionEventsRequest, call: Call
    ) -> subscriptions_pb2.ReadSubscriptionEventsResponse:
        """With the eyes of the token, which is that of who subscribed."""
        now = self.clock()
        async with self.database.reading(snapshot=True) as reader:
            subscribed = await _own(reader, call.caller, request.subscription_id)
            until = request.until_number or _LAST_NUMBER
            found = await events.between(
                reader, call.caller, now, subscribed.id, request.since_number, until, MAX_EVENTS
            )
        for one in found:
            if one.body is not None:
                call.touch(registration=one.registration_id, resource=one.key)
        content = request.content or subscribed.content
        bundle = notification(heading_of(subscribed), QUERY_EVENT, now, found, content)
        return subscriptions_pb2.ReadSubscriptionEventsResponse(bundle=bundle)

    async def ListDeadLetters(
        self, request: subscriptions_pb2.ListDeadLettersRequest, call: Call
    ) -> subscriptions_pb2.ListDeadLettersResponse:
        """Of the caller's organisation."""
        async with self.database.reading() as reader:
            await _of_organization(reader, call.caller, request.subscription_id, "r")
            letters = await dead_letters.newest(reader, request.subscription_id)
        answer = subscriptions_pb2.ListDeadLettersResponse()
        for one in letters:
            letter = answer.dead_letters.add(
                dead_letter_id=one.id,
                first_number=one.numbers[0],
                last_number=one.numbers[-1],
                attempts=one.attempts,
                error=one.error,
            )
            letter.failed_at.FromDatetime(one.failed_at)
        return answer

    async def RetryDeadLetter(
        self, request: subscriptions_pb2.RetryDeadLetterRequest, call: Call
    ) -> subscriptions_pb2.RetryDeadLetterResponse:
        """Its events wait again."""
        async with self.database.writing(call) as writer:
            await writer.lock(f"{TYPE}/{request.subscription_id}")
            subscribed = await _of_organization(writer, call.caller, request.subscription_id, "u")
            if subscribed.status == OFF:
                raise FailedPreconditionError("SUBSCRIPTION_OFF", "ask for the subscription anew first: it is off")
            letter = await dead_letters.take(writer, request.subscription_id, request.dead_letter_id)
            if letter is None:
                raise NotFoundError("DEAD_LETTER_UNKNOWN", "there is no such dead letter")
            await events.settle(writer, request.subscription_id, letter.numbers, events.WAITING)
            return await writer.answer(subscriptions_pb2.RetryDeadLetterResponse())


def _require_organization(caller: Caller) -> None:
    """A citizen sees no organisation's subscriptions. Raises NotFoundError."""
    if caller.is_citizen or not caller.organization_id:
        raise errors.resource_unknown(TYPE)


async def _of_organization(reader: Reader, caller: Caller, subscription_id: str, letters: str) -> Subscribed:
    """Raises NotFoundError, reason RESOURCE_UNKNOWN."""
    _require_organization(caller)
    found = await rows.find(reader, subscription_id)
    is_theirs = found is not None and found.organization_id == caller.organization_id
    if found is None or not is_theirs or not caller.scopes.allow_fhir(TYPE, letters):
        raise errors.resource_unknown(TYPE)
    return found


async def _own(reader: Reader, caller: Caller, subscription_id: str) -> Subscribed:
    """Raises NotFoundError, reason RESOURCE_UNKNOWN."""
    found = await _of_organization(reader, caller, subscription_id, "r")
    if found.caller().subject != caller.subject:
        raise errors.resource_unknown(TYPE)
    return found
