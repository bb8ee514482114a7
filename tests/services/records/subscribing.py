"""Subscriptions in tests: as a client writes them, and as exchange delivers them."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from nhip.records.v1 import subscriptions_pb2, subscriptions_pb2_grpc
from sqlalchemy import text

from libs.database.statements import Statement
from services.records import matching
from tests.services.records.stage import A, Stage, refusal

_NEWEST = Statement("test.newest", text("SELECT max(transaction::text::bigint) FROM changes WHERE feed = 'records'"))
_BEHIND = Statement(
    "test.behind",
    text("SELECT count(*) FROM subscriptions WHERE status <> 'off' AND cursor_transaction < CAST(:newest AS bigint)"),
)
_EXTENSION = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
OBSERVATIONS = "https://nhip.th/fhir/SubscriptionTopic/observation-changed"
SUBSCRIBER = "client/watcher"
SCOPES = "system/*.cruds"


def a_subscription(
    *filters: str,
    topic: str = OBSERVATIONS,
    channel: str = "rest-hook",
    content: str = "id-only",
    headers: tuple[str, ...] = (),
    endpoint: str = "https://watcher.example.org/told",
    **numbers: int,
) -> dict[str, Any]:
    """`numbers` are extensions of the channel: heartbeat_period, timeout, max_count."""
    made: dict[str, Any] = {
        "resourceType": "Subscription",
        "meta": {"profile": [f"{_EXTENSION}subscription"]},
        "status": "requested",
        "reason": "Laboratory results",
        "criteria": topic,
        "channel": {
            "type": channel,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{_EXTENSION}payload-content", "valueCode": content}]},
            **({"endpoint": endpoint} if endpoint else {}),
            **({"header": list(headers)} if headers else {}),
        },
    }
    kinds = {"heartbeat_period": "valueUnsignedInt", "timeout": "valueUnsignedInt", "max_count": "valuePositiveInt"}
    extensions = [{"url": _EXTENSION + name.replace("_", "-"), kinds[name]: value} for name, value in numbers.items()]
    if extensions:
        made["channel"]["extension"] = extensions
    if filters:
        found = [{"url": f"{_EXTENSION}filter-criteria", "valueString": one} for one in filters]
        made["_criteria"] = {"extension": found}
    return made


@dataclass
class Told:
    """What a notification says."""

    kind: str
    status: str
    since_start: int
    # Number and focus of each event.
    events: list[tuple[int, str]]
    resources: list[dict[str, Any]]
    bundle: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, raw: bytes | str) -> "Told":
        bundle = json.loads(raw)
        first, *rest = bundle["entry"]
        said: dict[str, Any] = {}
        events = []
        for one in first["resource"]["parameter"]:
            if one["name"] == "notification-event":
                parts = {part["name"]: part for part in one["part"]}
                focus = parts["focus"]["valueReference"]["reference"] if "focus" in parts else ""
                events.append((int(parts["event-number"]["valueString"]), focus))
            else:
                said[one["name"]] = next(value for key, value in one.items() if key.startswith("value"))
        resources = [one["resource"] for one in rest if "resource" in one]
        count = int(said["events-since-subscription-start"])
        return cls(said["type"], said["status"], count, events, resources, bundle)


class Subscribing:
    """A client that subscribes, and a deliverer."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.stub = stage.running.stub(subscriptions_pb2_grpc.SubscriptionServiceStub)
        self.deliverer = stage.token("nhip", scopes="records.deliver", subject="service/exchange-client")

    def token(self, organization: str = A, **more: Any) -> Any:
        return self.stage.token(organization, **{"scopes": SCOPES, "subject": SUBSCRIBER, **more})

    async def call(self, method: str, caller: Any = None, **asked: Any) -> Any:
        request = getattr(subscriptions_pb2, f"{method}Request")(**asked)
        try:
            return await getattr(self.stub, method)(
                request, metadata=self.deliverer if caller is None else caller, timeout=20
            )
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def subscribe(self, *filters: str, token: Any = None, **more: Any) -> str:
        stored = await self.stage.create(
            a_subscription(*filters, **more), token=token or self.token(), base_url="https://nhip.test/fhir/R4"
        )
        return str(stored.id)

    async def active(self, *filters: str, token: Any = None, **more: Any) -> str:
        subscription_id = await self.subscribe(*filters, token=token, **more)
        told, lease = await self.take(subscription_id)
        assert told.kind == "handshake"
        await self.settle(subscription_id, lease)
        return subscription_id

    async def matched(self, subscription_id: str, number: int) -> None:
        """Returns when so many events have been noted."""
        while await self.counted(subscription_id) < number:
            await matching.match_all(self.stage.running.database, lambda: self.stage.now[0])
            await asyncio.sleep(0.02)

    async def looked(self) -> None:
        """Returns when everything that was recorded has been looked at for every subscription."""
        database = self.stage.running.database
        async with database.reading() as reader:
            newest = await reader.fetch_value(_NEWEST)
        while True:
            await matching.match_all(database, lambda: self.stage.now[0])
            async with database.reading() as reader:
                if not await reader.fetch_value(_BEHIND, newest=newest):
                    return
            await asyncio.sleep(0.02)

    async def counted(self, subscription_id: str) -> int:
        return (await self.status(subscription_id)).since_start

    async def status(self, subscription_id: str, token: Any = None) -> Told:
        answer = await self.call(
            "ReadSubscriptionStatus", token or self.token(), type="Subscription", subscription_ids=[subscription_id]
        )
        return Told.of(answer.bundle)

    async def take(self, subscription_id: str) -> tuple[Told, str]:
        notification = (await self.call("TakeNotification", subscription_id=subscription_id)).notification
        assert notification.bundle, "nothing was due"
        return Told.of(notification.bundle), notification.lease

    async def has_none(self, subscription_id: str) -> bool:
        return not (await self.call("TakeNotification", subscription_id=subscription_id)).HasField("notification")

    async def settle(self, subscription_id: str, lease: str, error: str = "", **more: Any) -> None:
        await self.call("SettleNotification", subscription_id=subscription_id, lease=lease, error=error, **more)

    async def fail(self, subscription_id: str, times: int) -> None:
        """As often as that the next notification fails, each time when it is due again."""
        for _ in range(times):
            _, lease = await self.take(subscription_id)
            await self.settle(subscription_id, lease, "the endpoint answered 503")
            self.stage.now[0] += timedelta(minutes=6)

    async def events(self, subscription_id: str, token: Any = None, **asked: Any) -> Told:
        answer = await self.call(
            "ReadSubscriptionEvents",
            token or self.token(),
            type="Subscription",
            subscription_id=subscription_id,
            **asked,
        )
        return Told.of(answer.bundle)
