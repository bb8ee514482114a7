"""Subscriptions: what is told, to whom, in which order, and what becomes of what cannot be delivered."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from nhip.audit.v1 import events_pb2
from nhip.records.v1 import service_pb2
from sqlalchemy import text

from libs.access.caller import EMERGENCY, TREATMENT
from libs.database.statements import Statement
from services.records.rules.delivering import MAX_ATTEMPTS, MAX_FAILURES
from tests.services.records.stage import DENY, A, B, Refused, Stage, an_observation
from tests.services.records.subscribing import SCOPES, Subscribing, a_subscription

_BODIES = Statement("test.bodies", text("SELECT body FROM resources UNION ALL SELECT event FROM changes"))
UNSETTLED = Statement(
    "test.unsettled",
    text("SELECT count(*) FROM changes WHERE transaction >= pg_snapshot_xmin(pg_current_snapshot())"),
)
BASE = "https://nhip.test/fhir/R4"


@pytest.fixture
async def subscribing(stage: Stage) -> Subscribing:
    await stage.arrive("reg-1", key="k1")
    return Subscribing(stage)


async def test_it_is_active_after_its_handshake(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.subscribe()
    assert (await stage.read(f"Subscription/{subscription_id}"))["status"] == "requested"
    due = await subscribing.call("ListDueSubscriptions", limit=10)
    assert list(due.subscription_ids) == [subscription_id]
    told, lease = await subscribing.take(subscription_id)
    assert (told.kind, told.status, told.since_start, told.events) == ("handshake", "requested", 0, [])
    assert told.bundle["type"] == "history"
    await subscribing.settle(subscription_id, lease)
    assert (await stage.read(f"Subscription/{subscription_id}"))["status"] == "active"
    assert (await subscribing.status(subscription_id)).status == "active"
    assert await subscribing.has_none(subscription_id)


async def test_events_are_told_in_order_each_with_its_number(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active(content="full-resource", max_count=2)
    made = [await stage.create(an_observation("reg-1", value=one)) for one in (11, 12, 13)]
    await subscribing.matched(subscription_id, 3)
    told, lease = await subscribing.take(subscription_id)
    assert told.kind == "event-notification"
    assert told.events == [(number + 1, f"{BASE}/Observation/{made[number].id}") for number in (0, 1)]
    assert [one["valueQuantity"]["value"] for one in told.resources] == [11, 12]
    assert told.bundle["entry"][1]["request"] == {"method": "POST", "url": "Observation"}
    assert await subscribing.has_none(subscription_id)
    await subscribing.settle(subscription_id, lease)
    told, lease = await subscribing.take(subscription_id)
    assert [number for number, _ in told.events] == [3]
    await subscribing.settle(subscription_id, lease)
    assert await subscribing.has_none(subscription_id)


async def test_a_payload_holds_no_more_than_was_asked_for(stage: Stage, subscribing: Subscribing):
    empty = await subscribing.active(content="empty")
    named = await subscribing.active(content="id-only")
    made = await stage.create(an_observation("reg-1"))
    await subscribing.matched(empty, 1)
    await subscribing.matched(named, 1)
    told, _ = await subscribing.take(empty)
    assert (told.events, len(told.bundle["entry"])) == ([(1, "")], 1)
    told, _ = await subscribing.take(named)
    assert (told.events, told.resources) == ([(1, f"{BASE}/Observation/{made.id}")], [])


async def test_a_filter_is_held_against_the_version_that_is_told_of(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active(
        "Observation?patient=reg-1&code=http://loinc.org|718-7&status=final", content="full-resource"
    )
    await stage.arrive("reg-2", person="another")
    await stage.create(an_observation("reg-2"))
    await stage.create(an_observation("reg-1", code="2345-7"))
    stored = await stage.create(an_observation("reg-1", value=1))
    await stage.update({**an_observation("reg-1", value=2), "id": stored.id, "status": "amended"})
    await subscribing.looked()
    told, _ = await subscribing.take(subscription_id)
    assert told.events == [(1, f"{BASE}/Observation/{stored.id}")]
    assert told.resources[0]["meta"]["versionId"] == "1"


async def test_what_the_subscriber_may_not_see_is_no_event(stage: Stage, subscribing: Subscribing):
    elsewhere = subscribing.token(B)
    of_others = await subscribing.active(token=elsewhere)
    await stage.create(an_observation("reg-1"))
    await subscribing.looked()
    assert await subscribing.has_none(of_others)
    assert (await subscribing.status(of_others, elsewhere)).since_start == 0


async def test_what_may_no_longer_be_seen_at_delivery_is_not_told(stage: Stage, subscribing: Subscribing):
    await stage.arrive("reg-b", B, person="person-of-reg-1")
    treats = subscribing.token(B, purpose=TREATMENT)
    subscription_id = await subscribing.active(token=treats, content="full-resource")
    await stage.create(an_observation("reg-1"))
    while (await subscribing.status(subscription_id, treats)).since_start < 1:
        await subscribing.looked()
    await stage.consent("k1", B, DENY)
    told, _ = await subscribing.take(subscription_id)
    assert (told.events, told.resources, len(told.bundle["entry"])) == ([(1, "")], [], 1)
    again = await subscribing.events(subscription_id, treats)
    assert (again.events, again.resources) == ([(1, "")], [])


async def test_every_delivered_read_is_recorded_under_who_subscribed(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active()
    made = await stage.create(an_observation("reg-1"))
    await subscribing.matched(subscription_id, 1)
    await subscribing.take(subscription_id)
    rows = await stage.running.database.pool.fetch("SELECT event FROM changes WHERE feed = 'access'")
    accesses = [events_pb2.AccessEvent.FromString(row["event"]) for row in rows]
    (event,) = [one for one in accesses if one.method == "TakeNotification" and one.registration_ids]
    assert (event.caller_subject, event.organization_id) == ("client/watcher", A)
    assert (list(event.registration_ids), list(event.resources)) == (["reg-1"], [f"Observation/{made.id}"])


async def test_what_nobody_settled_is_delivered_again(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active()
    await stage.create(an_observation("reg-1"))
    await subscribing.matched(subscription_id, 1)
    first, lost = await subscribing.take(subscription_id)
    stage.now[0] += timedelta(minutes=2)
    again, lease = await subscribing.take(subscription_id)
    assert again.events == first.events
    await subscribing.settle(subscription_id, lost)
    await subscribing.settle(subscription_id, lease)
    stage.now[0] += timedelta(minutes=2)
    assert await subscribing.has_none(subscription_id)


async def test_what_fails_is_tried_again_later_then_told_among_the_dead_letters(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active()
    await stage.create(an_observation("reg-1"))
    await subscribing.matched(subscription_id, 1)
    _, lease = await subscribing.take(subscription_id)
    await subscribing.settle(subscription_id, lease, "the endpoint answered 503")
    assert await subscribing.has_none(subscription_id)
    resource = await stage.read(f"Subscription/{subscription_id}")
    assert (resource["status"], resource["error"]) == ("error", "the endpoint answered 503")
    stage.now[0] += timedelta(minutes=6)
    await subscribing.fail(subscription_id, MAX_ATTEMPTS - 1)
    assert await subscribing.has_none(subscription_id)
    listed = await subscribing.call("ListDeadLetters", subscribing.token(), subscription_id=subscription_id)
    (letter,) = listed.dead_letters
    assert (letter.first_number, letter.last_number, letter.attempts) == (1, 1, MAX_ATTEMPTS)
    assert letter.error == "the endpoint answered 503"
    named = {"subscription_id": subscription_id, "dead_letter_id": letter.dead_letter_id}
    await subscribing.call("RetryDeadLetter", subscribing.token(), **named)
    told, lease = await subscribing.take(subscription_id)
    assert [number for number, _ in told.events] == [1]
    await subscribing.settle(subscription_id, lease)
    assert (await stage.read(f"Subscription/{subscription_id}"))["status"] == "active"
    with pytest.raises(Refused) as refused:
        await subscribing.call("RetryDeadLetter", subscribing.token(), **named)
    assert refused.value.reason == "DEAD_LETTER_UNKNOWN"


async def test_an_endpoint_at_which_nobody_is_any_more_is_given_up(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active(max_count=1)
    for _ in range(MAX_FAILURES):
        await stage.create(an_observation("reg-1"))
    await subscribing.matched(subscription_id, MAX_FAILURES)
    for _ in range(MAX_FAILURES):
        _, lease = await subscribing.take(subscription_id)
        await subscribing.settle(subscription_id, lease, "gone", is_final=True)
    assert (await stage.read(f"Subscription/{subscription_id}"))["status"] == "off"
    assert await subscribing.has_none(subscription_id)


async def test_a_handshake_that_nobody_answers_ends_it(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.subscribe()
    _, lease = await subscribing.take(subscription_id)
    await subscribing.settle(subscription_id, lease, "the address is not a public one", is_final=True)
    resource = await stage.read(f"Subscription/{subscription_id}")
    assert (resource["status"], resource["error"]) == ("off", "the address is not a public one")


async def test_a_heartbeat_comes_when_nothing_else_did(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active(heartbeat_period=60)
    assert await subscribing.has_none(subscription_id)
    stage.now[0] += timedelta(seconds=61)
    told, lease = await subscribing.take(subscription_id)
    assert (told.kind, told.events) == ("heartbeat", [])
    await subscribing.settle(subscription_id, lease)
    assert await subscribing.has_none(subscription_id)


async def test_the_secrets_of_headers_are_nowhere_to_be_read_and_stay_where_they_come_back_hidden(
    stage: Stage, subscribing: Subscribing
):
    subscription_id = await subscribing.subscribe(headers=("Authorization: Bearer s3cret",))
    resource = await stage.read(f"Subscription/{subscription_id}")
    assert resource["channel"]["header"] == ["Authorization: ***"]
    database = stage.running.database
    async with database.reading() as reader:
        bodies = await reader.fetch(_BODIES)
    assert not [one for one in bodies if b"s3cret" in one["body"]]
    resource["reason"] = "Something else"
    await subscribing.stage.call(*_update(resource), subscribing.token())
    taken = await subscribing.call("TakeNotification", subscription_id=subscription_id)
    assert list(taken.notification.headers) == ["Authorization: Bearer s3cret"]
    resource["reason"] = "A colleague's"
    await subscribing.stage.call(*_update(resource), subscribing.token(subject="client/colleague"))
    taken = await subscribing.call("TakeNotification", subscription_id=subscription_id)
    assert list(taken.notification.headers) == ["Authorization: "]


def _update(resource: dict[str, Any]) -> tuple[str, service_pb2.UpdateResourceRequest]:
    body = json.dumps(resource).encode()
    return "UpdateResource", service_pb2.UpdateResourceRequest(type="Subscription", id=resource["id"], body=body)


async def test_one_that_is_off_or_deleted_is_told_nothing(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active()
    resource = await stage.read(f"Subscription/{subscription_id}")
    await stage.call(*_update({**resource, "status": "off"}), subscribing.token())
    await stage.create(an_observation("reg-1"))
    await subscribing.looked()
    assert await subscribing.has_none(subscription_id)
    await stage.call(*_update({**resource, "status": "requested"}), subscribing.token())
    told, lease = await subscribing.take(subscription_id)
    assert (told.kind, told.since_start) == ("handshake", 0)
    await subscribing.settle(subscription_id, lease)
    assert await subscribing.has_none(subscription_id)


async def test_it_ends_with_its_time(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active()
    stage.now[0] += timedelta(days=91)
    await subscribing.looked()
    resource = await stage.read(f"Subscription/{subscription_id}")
    assert (resource["status"], resource["error"]) == ("off", "its time is over; write it anew to go on")


async def settled(stage: Stage) -> None:
    async with asyncio.timeout(30):
        while True:
            async with stage.running.database.reading() as reader:
                if await reader.fetch_value(UNSETTLED) == 0:
                    return
            await asyncio.sleep(0.02)


async def test_a_deletion_is_told_without_content(stage: Stage, subscribing: Subscribing):
    stored = await stage.create(an_observation("reg-1"))
    # Else the creation may be told too: it is not settled while other tests have transactions open.
    await settled(stage)
    subscription_id = await subscribing.active("Observation?code=718-7", content="full-resource")
    await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=stored.id))
    await subscribing.matched(subscription_id, 1)
    told, _ = await subscribing.take(subscription_id)
    assert told.events == [(1, f"{BASE}/Observation/{stored.id}")]
    assert told.resources == []
    assert told.bundle["entry"][1]["request"] == {"method": "DELETE", "url": f"Observation/{stored.id}"}


async def test_events_are_told_again_to_who_subscribed_alone(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.active(content="empty")
    for value in (1, 2, 3):
        await stage.create(an_observation("reg-1", value=value))
    await subscribing.matched(subscription_id, 3)
    told = await subscribing.events(subscription_id, since_number=2, until_number=2, content="full-resource")
    assert told.kind == "query-event"
    assert [number for number, _ in told.events] == [2]
    assert [one["valueQuantity"]["value"] for one in told.resources] == [2]
    for token in (subscribing.token(subject="client/colleague"), subscribing.token(B)):
        with pytest.raises(Refused) as refused:
            await subscribing.events(subscription_id, token)
        assert refused.value.reason == "RESOURCE_UNKNOWN"


async def test_a_websocket_is_bound_by_a_token(stage: Stage, subscribing: Subscribing):
    subscription_id = await subscribing.subscribe(channel="websocket", endpoint="")
    assert not (await subscribing.call("ListDueSubscriptions", limit=10)).subscription_ids
    asked = {"type": "Subscription", "subscription_id": subscription_id}
    token = (await subscribing.call("IssueBindingToken", subscribing.token(), **asked)).token
    assert (await subscribing.call("AwaitBoundNotification", [], token=token)).is_due
    taken = (await subscribing.call("TakeBoundNotification", [], token=token)).notification
    await subscribing.call("SettleBoundNotification", [], token=token, lease=taken.lease)
    assert (await stage.read(f"Subscription/{subscription_id}"))["status"] == "active"
    stage.now[0] += timedelta(hours=2)
    for unknown in (token, "made-up"):
        with pytest.raises(Refused) as refused:
            await subscribing.call("TakeBoundNotification", [], token=unknown)
        assert refused.value.reason == "BINDING_TOKEN_INVALID"
    with pytest.raises(Refused):
        await subscribing.call("IssueBindingToken", subscribing.token(subject="client/colleague"), **asked)


@pytest.mark.parametrize(
    ("filters", "more", "place"),
    [
        ((), {"topic": "https://elsewhere.test/topic"}, "Subscription.criteria"),
        (("Patient?name=a",), {}, "Subscription.criteria.extension.value"),
        (("Observation?no-such=1",), {}, "Subscription.criteria.extension.value"),
        (("Observation?_count=1",), {}, "Subscription.criteria.extension.value"),
        ((), {"channel": "email"}, "Subscription.channel.type"),
        ((), {"endpoint": ""}, "Subscription.channel.endpoint"),
        ((), {"endpoint": "file:///etc/passwd"}, "Subscription.channel.endpoint"),
        ((), {"content": "all"}, "Subscription.channel.payload.extension.value"),
        ((), {"headers": ("no colon",)}, "Subscription.channel.header[0]"),
        ((), {"headers": ("Host: elsewhere",)}, "Subscription.channel.header[0]"),
        ((), {"heartbeat_period": 1}, "Subscription.channel.extension.value"),
    ],
)
async def test_what_cannot_be_done_is_refused_where_it_stands(
    subscribing: Subscribing, filters: tuple[str, ...], more: dict[str, Any], place: str
):
    with pytest.raises(Refused) as refused:
        await subscribing.subscribe(*filters, **more)
    assert refused.value.fields[0][0] == place


async def test_a_token_subscribes_to_no_more_than_it_grants(subscribing: Subscribing):
    with pytest.raises(Refused) as refused:
        await subscribing.subscribe(token=subscribing.token(scopes="system/Subscription.cruds"))
    assert refused.value.reason == "SCOPE_MISSING"
    with pytest.raises(Refused) as refused:
        await subscribing.subscribe(token=subscribing.token(purpose=EMERGENCY, scopes=SCOPES))
    assert refused.value.reason == "PURPOSE_REFUSED"


async def test_one_of_no_topic_is_kept_while_it_is_off(stage: Stage, subscribing: Subscribing):
    stored = await stage.create({**a_subscription(topic="Observation?code=1"), "status": "off"})
    assert (await stage.read(f"Subscription/{stored.id}"))["status"] == "off"
    assert await subscribing.has_none(stored.id)
