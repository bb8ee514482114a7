"""$status, $events and $get-ws-binding-token."""

import orjson
from nhip.records.v1 import subscriptions_pb2

from services.edge.asgi import Reply
from services.edge.fhir.interaction import instant, require_id
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused

TYPE = "Subscription"
# Where websockets are opened.
WEBSOCKET_PATH = "/ws/subscriptions"


async def status(invoked: Invocation) -> Reply:
    """`GET|POST Subscription/$status?id=…&status=…`, `Subscription/[id]/$status`: how they stand, as a searchset."""
    arguments = await invoked.arguments("id", "status")
    ids = [invoked.resource_id] if invoked.resource_id else arguments.texts("id")
    message = subscriptions_pb2.ReadSubscriptionStatusRequest(
        type=TYPE, subscription_ids=[require_id(TYPE, one) for one in ids], statuses=arguments.texts("status")
    )
    response = await invoked.upstream["records.ReadSubscriptionStatus"](message, invoked.request)
    return answer(response.bundle)


async def events(invoked: Invocation) -> Reply:
    """`GET|POST Subscription/[id]/$events?eventsSinceNumber=…&eventsUntilNumber=…&content=…`: events once more."""
    arguments = await invoked.arguments("eventsSinceNumber", "eventsUntilNumber", "content")
    message = subscriptions_pb2.ReadSubscriptionEventsRequest(
        type=TYPE,
        subscription_id=require_id(TYPE, invoked.resource_id),
        # In Parameters of R4 they are texts.
        since_number=arguments.whole("eventsSinceNumber"),
        until_number=arguments.whole("eventsUntilNumber"),
        content=arguments.text("content"),
    )
    response = await invoked.upstream["records.ReadSubscriptionEvents"](message, invoked.request)
    return answer(response.bundle)


async def binding_token(invoked: Invocation) -> Reply:
    """`GET|POST Subscription/[id]/$get-ws-binding-token`, or with one `id`: what a websocket is bound by."""
    arguments = await invoked.arguments("id")
    ids = [invoked.resource_id] if invoked.resource_id else arguments.texts("id")
    if len(ids) != 1:
        raise refused("id", "PARAMETER_INVALID", "a token is for one subscription; a websocket takes several tokens")
    message = subscriptions_pb2.IssueBindingTokenRequest(type=TYPE, subscription_id=require_id(TYPE, ids[0]))
    response = await invoked.upstream["records.IssueBindingToken"](message, invoked.request)
    root = invoked.request.root_url.replace("http", "ws", 1)
    parameters = [
        {"name": "token", "valueString": response.token},
        {"name": "expiration", "valueDateTime": instant(response.expires_at)},
        {"name": "subscription", "valueString": ids[0]},
        {"name": "websocket-url", "valueUrl": f"{root}{WEBSOCKET_PATH}"},
    ]
    return answer(orjson.dumps({"resourceType": "Parameters", "parameter": parameters}))
