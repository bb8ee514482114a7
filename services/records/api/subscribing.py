"""Subscriptions as they are written: what they ask for is understood, their secrets kept apart, and their standing told."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from libs.access.caller import Caller
from libs.database.transactions import Writer
from libs.errors import NhipError
from services.records.model import Decision, Intent
from services.records.rules.subscribing import OFF, REQUESTED, hide_headers, is_topical, understood
from services.records.store.subscriptions import rows

TYPE = "Subscription"
# A token grants for minutes; what it subscribes to goes on for so long, unless it is written anew.
GRANTED_FOR = timedelta(days=90)


def prepare(intents: Sequence[Intent], caller: Caller) -> Mapping[str, NhipError]:
    """Takes secrets out of Subscriptions and notes what they ask for; the errors of those that ask for nothing sound.

    Whoever writes one can ask for it, or switch it off: how else it stands, records says.
    """
    found: dict[str, NhipError] = {}
    for one in intents:
        if one.type != TYPE or one.body is None or one.is_own:
            continue
        try:
            if is_topical(one.body):
                one.wanted = understood(one.body, caller, one.place)
        except NhipError as error:
            found[one.key] = error
        hide_headers(one.body)
        one.body.pop("error", None)
        if one.body.get("status") != OFF:
            one.body["status"] = REQUESTED
    return found


async def carry_out(writer: Writer, caller: Caller, now: datetime, decisions: Sequence[Decision]) -> None:
    """Notes what is asked for from now on; forgets what was deleted, or is of no topic any more."""
    subscriptions = [one for one in decisions if one.intent.type == TYPE and one.error is None]
    gone = [one.intent.id for one in subscriptions if one.intent.wanted is None]
    if gone:
        await rows.forget(writer, gone)
    for one in subscriptions:
        wanted, body = one.intent.wanted, one.intent.body
        if wanted is None or body is None:
            continue
        ends_at = now + GRANTED_FOR
        await rows.want(
            writer,
            one.intent.id,
            wanted,
            caller,
            status=str(body["status"]),
            base_url=one.intent.own_base,
            now=now,
            ends_at=min(wanted.end, ends_at) if wanted.end is not None else ends_at,
        )
