"""Notifications handed out and settled: to exchange for endpoints, to the edge for websockets."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from nhip.records.v1 import subscriptions_pb2

from libs.access.caller import Caller
from libs.database.transactions import Writer
from libs.errors import InvalidArgumentError, UnauthenticatedError
from libs.ids import new_id
from libs.runtime.call import Call
from services.records.api import standing
from services.records.api.ground import UseCases
from services.records.api.subscribing import TYPE
from services.records.rules.delivering import LEASE_MARGIN, Before, delivered, failed
from services.records.rules.notifications import EVENTS, HANDSHAKE, HEARTBEAT, Happening, Heading, notification
from services.records.rules.subscribing import ACTIVE, OFF, REQUESTED, WEBSOCKET
from services.records.store.subscriptions import dead_letters, events, rows
from services.records.store.subscriptions.rows import Subscribed

BINDING_TOKEN = "ws-binding-token"  # noqa: S105 what a sealed token is for
# Delivered events can be asked for again ($events) for so long.
KEPT_FOR = timedelta(days=30)


def heading_of(subscribed: Subscribed, last_number: int | None = None) -> Heading:
    """What notifications say of it."""
    number = subscribed.last_number if last_number is None else last_number
    return Heading(
        *(subscribed.base_url, subscribed.id, subscribed.topic, subscribed.status, number), error=subscribed.error
    )


class Delivering(UseCases):
    """At least once, in the order of numbers, one notification of a subscription at a time."""

    async def ListDueSubscriptions(
        self, request: subscriptions_pb2.ListDueSubscriptionsRequest, call: Call
    ) -> subscriptions_pb2.ListDueSubscriptionsResponse:
        """One statement."""
        del call
        async with self.database.reading() as reader:
            ids = await rows.list_due(reader, self.clock(), request.limit)
        return subscriptions_pb2.ListDueSubscriptionsResponse(subscription_ids=ids)

    async def TakeNotification(
        self, request: subscriptions_pb2.TakeNotificationRequest, call: Call
    ) -> subscriptions_pb2.TakeNotificationResponse:
        """For exchange; the audit log tells of who subscribed."""
        taken = await self._take(call, request.subscription_id, call.caller.subject)
        return subscriptions_pb2.TakeNotificationResponse(notification=taken)

    async def SettleNotification(
        self, request: subscriptions_pb2.SettleNotificationRequest, call: Call
    ) -> subscriptions_pb2.SettleNotificationResponse:
        """For exchange."""
        del call
        await self._settle(request.subscription_id, request.lease, request.error, is_final=request.is_final)
        return subscriptions_pb2.SettleNotificationResponse()

    async def AwaitBoundNotification(
        self, request: subscriptions_pb2.AwaitBoundNotificationRequest, call: Call
    ) -> subscriptions_pb2.AwaitBoundNotificationResponse:
        """One statement."""
        del call
        subscription_id, _ = self._bound(request.token)
        async with self.database.reading() as reader:
            is_due = await rows.is_due(reader, subscription_id, self.clock())
        return subscriptions_pb2.AwaitBoundNotificationResponse(is_due=is_due)

    async def TakeBoundNotification(
        self, request: subscriptions_pb2.TakeBoundNotificationRequest, call: Call
    ) -> subscriptions_pb2.TakeBoundNotificationResponse:
        """For the holder of a binding token."""
        subscription_id, subject = self._bound(request.token)
        taken = await self._take(call, subscription_id, "", channel=WEBSOCKET, subject=subject)
        return subscriptions_pb2.TakeBoundNotificationResponse(notification=taken)

    async def SettleBoundNotification(
        self, request: subscriptions_pb2.SettleBoundNotificationRequest, call: Call
    ) -> subscriptions_pb2.SettleBoundNotificationResponse:
        """For the holder of a binding token."""
        del call
        subscription_id, _ = self._bound(request.token)
        await self._settle(subscription_id, request.lease, request.error)
        return subscriptions_pb2.SettleBoundNotificationResponse()

    def _bound(self, token: str) -> tuple[str, str]:
        """The subscription and who bound it. Raises UnauthenticatedError, reason BINDING_TOKEN_INVALID."""
        try:
            subscription_id, subject, expires = self.pages.read(token, BINDING_TOKEN)
        except InvalidArgumentError:
            expires = 0.0
        if self.clock().timestamp() >= expires:
            raise UnauthenticatedError("BINDING_TOKEN_INVALID", "the token is unknown, or its time is over")
        return subscription_id, subject

    async def _take(
        self, call: Call, subscription_id: str, actor: str, *, channel: str = "", subject: str = ""
    ) -> subscriptions_pb2.Notification | None:
        now = self.clock()
        async with self.database.writing(call) as writer:
            await writer.lock(f"{TYPE}/{subscription_id}")
            subscribed = await rows.find(writer, subscription_id)
            if subscribed is None or (channel and subscribed.channel != channel):
                return None
            if subject and subscribed.caller().subject != subject:
                # Another has written it since: the token was for other eyes.
                return None
            call.caller = replace(subscribed.caller(), actor=actor)
            if not await rows.is_due(writer, subscription_id, now):
                return None
            kind, found = await self._next(writer, call.caller, subscribed, now)
            lease = new_id()
            until = now + timedelta(seconds=subscribed.timeout_seconds) + LEASE_MARGIN
            await rows.lease(writer, subscription_id, lease, until, [one.number for one in found])
            # Recorded in the transaction that hands it out.
            for one in found:
                if one.body is not None:
                    call.touch(registration=one.registration_id, resource=one.key)
        return _message(subscribed, lease, _bundle(subscribed, kind, found, now))

    @staticmethod
    async def _next(
        writer: Writer, caller: Caller, subscribed: Subscribed, now: datetime
    ) -> tuple[str, list[Happening]]:
        if subscribed.status == REQUESTED:
            return HANDSHAKE, []
        found = await events.waiting(writer, caller, now, subscribed.id, subscribed.max_count)
        return (EVENTS, found) if found else (HEARTBEAT, [])

    async def _settle(self, subscription_id: str, lease: str, error: str, *, is_final: bool = False) -> None:
        now = self.clock()
        async with self.database.writing() as writer:
            await writer.lock(f"{TYPE}/{subscription_id}")
            before = await rows.find(writer, subscription_id)
            if before is None or before.lease != lease or before.status == OFF:
                return
            numbers = before.leased_numbers
            if error:
                stood = Before(before.status, before.attempts, before.failures)
                settled = failed(stood, error, now, is_final=is_final, has_events=bool(numbers))
                contacted_at = before.contacted_at if numbers or before.status == REQUESTED else now
            else:
                settled, contacted_at = delivered(now), now
            after = replace(
                before,
                status=settled.status,
                error=settled.error,
                attempts=settled.attempts,
                failures=settled.failures,
                next_attempt_at=settled.next_attempt_at,
                contacted_at=contacted_at,
            )
            await standing.stand(writer, before, after, now)
            if not error and numbers:
                await events.settle(writer, subscription_id, numbers, events.DELIVERED)
                await events.trim(writer, subscription_id, now - KEPT_FOR)
            elif settled.is_dead:
                await events.settle(writer, subscription_id, numbers, events.DEAD)
                await dead_letters.keep(writer, subscription_id, numbers, before.attempts + 1, error, now)


def _bundle(subscribed: Subscribed, kind: str, found: Sequence[Happening], now: datetime) -> bytes:
    # Whoever reads this has been reached.
    reached = replace(subscribed, status=REQUESTED if kind == HANDSHAKE else ACTIVE, error="")
    last_number = found[-1].number if found else None
    return notification(heading_of(reached, last_number), kind, now, found, subscribed.content)


def _message(subscribed: Subscribed, lease: str, bundle: bytes) -> subscriptions_pb2.Notification:
    return subscriptions_pb2.Notification(
        subscription_id=subscribed.id,
        lease=lease,
        endpoint=subscribed.endpoint,
        headers=[f"{name}: {value}" for name, value in subscribed.headers.items()],
        content_type=subscribed.content_type,
        timeout_seconds=subscribed.timeout_seconds,
        bundle=bundle,
    )
