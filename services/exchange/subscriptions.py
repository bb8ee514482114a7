"""What exchange asks of records about subscriptions, with its own token: for whose eyes they are, records knows."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from nhip.identity.v1 import service_pb2 as identity_pb2
from nhip.identity.v1 import service_pb2_grpc as identity_grpc
from nhip.records.v1 import subscriptions_pb2, subscriptions_pb2_grpc

from libs.runtime.channels import outgoing
from libs.runtime.service import Ground
from services.exchange.neighbours import CALL_SECONDS, PLATFORM, Tokens


class Subscriptions:
    """Notifications to be carried."""

    def __init__(self, tokens: Tokens, stub: Any) -> None:
        self._tokens = tokens
        self._stub = stub

    @classmethod
    def of(cls, ground: Ground) -> "Subscriptions":
        """Opens the channels. Raises SettingsError."""
        identity = ground.channel("identity", identity_pb2.DESCRIPTOR.services_by_name["IdentityService"])
        records = ground.channel("records", subscriptions_pb2.DESCRIPTOR.services_by_name["SubscriptionService"])
        tokens = Tokens(identity_grpc.IdentityServiceStub(identity), ground.settings, ground.clock)
        return cls(tokens, subscriptions_pb2_grpc.SubscriptionServiceStub(records))

    async def due(self, count: int) -> Sequence[str]:
        """Ids of subscriptions that have something to be delivered. Raises AioRpcError."""
        request = subscriptions_pb2.ListDueSubscriptionsRequest(limit=count)
        ids: Sequence[str] = (await self._call(self._stub.ListDueSubscriptions, request)).subscription_ids
        return ids

    async def take(self, subscription_id: str) -> subscriptions_pb2.Notification | None:
        """The next notification of a subscription; None while there is nothing. Raises AioRpcError."""
        request = subscriptions_pb2.TakeNotificationRequest(subscription_id=subscription_id)
        answer: subscriptions_pb2.TakeNotificationResponse = await self._call(self._stub.TakeNotification, request)
        return answer.notification if answer.HasField("notification") else None

    async def settle(self, request: subscriptions_pb2.SettleNotificationRequest) -> None:
        """Says how a delivery went. Raises AioRpcError."""
        await self._call(self._stub.SettleNotification, request)

    async def _call(self, method: Any, request: Message) -> Any:
        try:
            return await method(request, timeout=CALL_SECONDS, metadata=outgoing(await self._tokens.bearer(PLATFORM)))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                self._tokens.forget(PLATFORM)
            raise
