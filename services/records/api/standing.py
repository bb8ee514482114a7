"""How a Subscription stands, told in the resource and to those who deliver."""

from dataclasses import replace
from datetime import datetime

import orjson

from libs.database.transactions import Writer
from services.records.api import filing
from services.records.api.subscribing import TYPE
from services.records.model import Intent, Operation
from services.records.rules.filing import to_milliseconds
from services.records.rules.subscribing import OFF
from services.records.store import resources
from services.records.store.subscriptions import rows
from services.records.store.subscriptions.rows import Subscribed


async def stand(writer: Writer, before: Subscribed, after: Subscribed, now: datetime) -> None:
    """Notes how it stands after an attempt; where status or error changed, the resource says so by a new version.

    The key `Subscription/id` is locked.
    """
    if (before.status, before.error) != (after.status, after.error):
        await _tell(writer, after, to_milliseconds(now))
    await rows.stand(writer, after, now)


async def switch_off(writer: Writer, subscribed: Subscribed, reason: str, now: datetime) -> None:
    """Nothing more is delivered, until it is asked for anew."""
    await stand(writer, subscribed, replace(subscribed, status=OFF, error=reason), now)


async def _tell(writer: Writer, after: Subscribed, now: datetime) -> None:
    caller = after.caller()
    found = await resources.read(writer, caller, now, TYPE, after.id)
    if found is None or found.stored.operation is Operation.DELETE:
        return
    body = orjson.loads(found.stored.body)
    body["status"] = after.status
    body.pop("error", None)
    if after.error:
        body["error"] = after.error
    intent = Intent(Operation.UPDATE, TYPE, after.id, body, is_own=True)
    decisions = await filing.decide_on(writer, caller, now, [intent])
    await filing.write(writer, after.organization_id, now, [one for one in decisions if one.error is None])
