"""Subscriptions at the edge: operations, what the capabilities say, and a real websocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nhip.records.v1 import subscriptions_pb2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from libs.errors import UnauthenticatedError
from libs.runtime.settings import Settings
from services.edge.__main__ import start
from services.edge.fhir.subscriptions import websocket
from services.edge.observing import AccessLog
from services.edge.upstream import SERVICES
from tests.services.edge.fakes import Lines, Platform, Surface

CALLER = {"authorization": "Bearer t"}
BUNDLE = b'{"resourceType":"Bundle","type":"history"}'


async def test_status_is_asked_of_one_of_some_and_by_state(edge: Surface) -> None:
    edge.platform.answers["records.ReadSubscriptionStatus"] = subscriptions_pb2.ReadSubscriptionStatusResponse(
        bundle=BUNDLE
    )
    for path in ("Subscription/s1/$status", "Subscription/$status?id=s1,s2&status=active"):
        reply = await edge.client.get(f"/fhir/R4/{path}", headers=CALLER)
        assert reply.json()["type"] == "history"
    one, some = edge.platform.called("records.ReadSubscriptionStatus")
    assert (list(one.subscription_ids), list(one.statuses)) == (["s1"], [])
    assert (list(some.subscription_ids), list(some.statuses)) == (["s1", "s2"], ["active"])


async def test_events_are_asked_for_by_number(edge: Surface) -> None:
    edge.platform.answers["records.ReadSubscriptionEvents"] = subscriptions_pb2.ReadSubscriptionEventsResponse(
        bundle=BUNDLE
    )
    query = "eventsSinceNumber=3&eventsUntilNumber=5&content=id-only"
    await edge.client.get(f"/fhir/R4/Subscription/s1/$events?{query}", headers=CALLER)
    (asked,) = edge.platform.called("records.ReadSubscriptionEvents")
    assert (asked.subscription_id, asked.since_number, asked.until_number, asked.content) == ("s1", 3, 5, "id-only")


async def test_a_binding_token_comes_with_where_it_is_used(edge: Surface) -> None:
    answer = subscriptions_pb2.IssueBindingTokenResponse(token="sealed")
    answer.expires_at.FromSeconds(1_800_000_000)
    edge.platform.answers["records.IssueBindingToken"] = answer
    reply = await edge.client.get("/fhir/R4/Subscription/s1/$get-ws-binding-token", headers=CALLER)
    said = {one["name"]: next(iter(list(one.values())[1:])) for one in reply.json()["parameter"]}
    assert said["token"] == "sealed"
    assert said["websocket-url"] == "ws://edge.test/ws/subscriptions"
    several = await edge.client.get("/fhir/R4/Subscription/$get-ws-binding-token?id=a,b", headers=CALLER)
    assert several.status_code == 400


async def test_the_topics_stand_in_the_capability_statement(edge: Surface) -> None:
    statement = (await edge.client.get("/fhir/R4/metadata")).json()
    (found,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription"]
    assert "https://nhip.th/fhir/SubscriptionTopic/observation-changed" in [
        one["valueCanonical"] for one in found["extension"]
    ]
    assert {"status", "events", "get-ws-binding-token"} <= {one["name"] for one in found["operation"]}


@pytest.fixture
async def address(platform: Platform, tmp_path: Path) -> AsyncIterator[str]:
    peers = ",".join(f"{name}={platform.address}" for name in SERVICES)
    settings = Settings.read("edge", {"NHIP_PEERS": peers, "NHIP_SECRETS": str(tmp_path), "NHIP_SHUTDOWN_SECONDS": "5"})
    process = await start(settings, "127.0.0.1:0", AccessLog(Lines()))  # type: ignore[arg-type]  # it is written to like a stream
    yield process.address
    await process.stop()


def with_events(platform: Platform, *numbers: int) -> None:
    """What records has to tell, one after the other."""
    waiting = list(numbers)

    def due(_: Any) -> Any:
        return subscriptions_pb2.AwaitBoundNotificationResponse(is_due=bool(waiting))

    def take(_: Any) -> Any:
        number = waiting.pop(0)
        told = subscriptions_pb2.Notification(lease=f"l{number}", bundle=json.dumps({"number": number}).encode())
        return subscriptions_pb2.TakeBoundNotificationResponse(notification=told)

    platform.answers["records.AwaitBoundNotification"] = due
    platform.answers["records.TakeBoundNotification"] = take


async def test_a_websocket_is_told_one_after_the_other_and_each_is_settled(platform: Platform, address: str) -> None:
    with_events(platform, 1, 2, 3)
    async with connect(f"ws://{address}/ws/subscriptions", proxy=None) as socket:
        await socket.send("bind-with-token sealed")
        assert [json.loads(await socket.recv())["number"] for _ in range(3)] == [1, 2, 3]
        while len(platform.called("records.SettleBoundNotification")) < 3:
            await asyncio.sleep(0.01)
    settled = platform.called("records.SettleBoundNotification")
    assert [(one.token, one.lease, one.error) for one in settled] == [("sealed", f"l{n}", "") for n in (1, 2, 3)]


async def test_a_websocket_is_closed_for_a_token_that_is_refused(platform: Platform, address: str) -> None:
    platform.answers["records.AwaitBoundNotification"] = UnauthenticatedError("BINDING_TOKEN_INVALID", "unknown")
    for said in ("bind-with-token made-up", "hello"):
        async with connect(f"ws://{address}/ws/subscriptions", proxy=None) as socket:
            await socket.send(said)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_a_websocket_that_is_bound_to_nothing_is_closed(
    platform: Platform, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "BIND_SECONDS", 0.05)
    async with connect(f"ws://{address}/ws/subscriptions", proxy=None) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert not platform.calls


async def test_requests_are_answered_beside_websockets(address: str) -> None:
    async with connect(f"ws://{address}/ws/subscriptions", proxy=None), httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{address}/fhir/R4/metadata")).status_code == 200
