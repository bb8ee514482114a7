"""Notes the events of subscriptions, in the background: what the feed tells, held against what each asks for.

Each subscription has its own place in the feed, so that none waits for another. Its events get their numbers in the
transaction that moves the place, so that none is lost or numbered twice, wherever a process dies. Only what may be seen
by who subscribed is an event: a gap in the numbers would tell of what may not.
"""

import asyncio
import contextlib
import logging

import asyncpg

from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import NhipError
from services.records.api import standing
from services.records.api.ground import FEED
from services.records.api.subscribing import TYPE
from services.records.rules.subscribing import OFF, conditions_of
from services.records.store.subscriptions import events, rows

log = logging.getLogger(__name__)

# Changes within this time share a look.
COALESCE_SECONDS = 0.05
# Without a wake-up, so long after a change another replica's is found.
LOOK_SECONDS = 0.5
RETRY_SECONDS = 2.0
_ENDED = "its time is over; write it anew to go on"
_LOST = "events were removed before they were delivered; write it anew to go on"
_REFUSED = "its filter is not understood any more: "


async def keep_matching(database: Database, clock: Clock) -> None:
    """Never returns; what fails is tried again."""
    wake = database.signal.subscribe(FEED)
    try:
        while True:
            wake.clear()
            try:
                while await match_all(database, clock):
                    pass
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("events of subscriptions are looked for again: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), LOOK_SECONDS)
                await asyncio.sleep(COALESCE_SECONDS)
    finally:
        database.signal.unsubscribe(FEED, wake)


async def match_all(database: Database, clock: Clock) -> int:
    """Looks one step further for each subscription that is behind; how many those were."""
    async with database.reading() as reader:
        behind = await rows.behind(reader, FEED, clock())
    for subscription_id in behind:
        await match(database, clock, subscription_id)
    return len(behind)


async def match(database: Database, clock: Clock, subscription_id: str) -> None:
    """One step for one subscription."""
    now = clock()
    async with database.writing() as writer:
        await writer.lock(f"{TYPE}/{subscription_id}")
        subscribed = await rows.find(writer, subscription_id)
        if subscribed is None or subscribed.status == OFF:
            return
        if subscribed.ends_at <= now:
            await standing.switch_off(writer, subscribed, _ENDED, now)
            return
        if subscribed.cursor < await events.horizon(writer, FEED):
            await standing.switch_off(writer, subscribed, _LOST, now)
            return
        changes, cursor = await events.scan(writer, FEED, subscribed.cursor, subscribed.resource_type)
        found = []
        if changes:
            try:
                filters = conditions_of(subscribed.filters)
            except NhipError as error:
                await standing.switch_off(writer, subscribed, _REFUSED + error.message, now)
                return
            found = await events.matching(writer, subscribed.caller(), now, changes, filters)
        if found:
            await events.append(writer, subscription_id, subscribed.last_number, found)
        await rows.advance(writer, subscription_id, cursor, subscribed.last_number + len(found))
