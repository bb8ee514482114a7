"""Creations that come at the same time from one caller, as one transaction: one set of statements, one commit.

What is decided about one has no part in what is decided about another. Where the transaction fails, each is carried out by
itself, so that nothing that one brings about reaches the others.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from libs.access.caller import Caller
from libs.clock import Clock
from libs.database.company import Accompanied, Company
from libs.database.engine import Database
from libs.gathering import Gathering, Release
from libs.runtime.call import Call
from services.records.api import filing
from services.records.model import Decision, Intent, Stored
from services.records.rules.allergies import is_order
from services.records.rules.filing import to_milliseconds


class _Wanted(NamedTuple):
    call: Call
    accompanied: Accompanied
    intent: Intent
    stored: asyncio.Future[Stored]


class Creations:
    """Creates what depends on nothing but itself: no condition, no id of a request, no order of a drug."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._gathering: Gathering[_Wanted] = Gathering(self._create)

    async def create(self, call: Call, intent: Intent) -> Stored:
        """What is stored then. Raises as `filing.decide_on` decides."""
        if intent.body is not None and is_order(intent.body):
            return await self._alone(call, intent)
        stored: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._gathering.put(_Wanted(call, Accompanied(call), intent, stored))
        return await stored

    async def _alone(self, call: Call, intent: Intent) -> Stored:
        now = to_milliseconds(self._clock())
        async with self._database.writing(call) as writer:
            await writer.lock(*_locks([intent]))
            decisions = await filing.decide_on(writer, call.caller, now, [intent])
            filing.touch_attempts(call, decisions)
            filing.require_all(decisions)
            await filing.check_orders(writer, call.caller, now, decisions)
            (stored,) = await filing.carry_out(writer, call, now, decisions)
            return stored

    async def _create(self, wanted: list[_Wanted], release: Release) -> None:
        del release
        by_caller: dict[Caller, list[_Wanted]] = {}
        for one in wanted:
            # Whoever has gone away meanwhile has had no answer, and nothing is written for them.
            if not one.stored.done():
                by_caller.setdefault(one.call.caller, []).append(one)
        await asyncio.gather(*map(self._create_for_one_caller, by_caller.values()))

    async def _create_for_one_caller(self, wanted: Sequence[_Wanted]) -> None:
        if len(wanted) > 1:
            try:
                await self._together(wanted)
            except Exception:  # noqa: BLE001 each is told by itself what comes of it
                wanted = [one for one in wanted if not one.stored.done()]
            else:
                return
        await asyncio.gather(*map(self._settle_alone, wanted))

    async def _settle_alone(self, one: _Wanted) -> None:
        try:
            stored = await self._alone(one.call, one.intent)
        except Exception as error:  # noqa: BLE001 whoever waits learns of it
            if not one.stored.done():
                one.stored.set_exception(error)
        else:
            if not one.stored.done():
                one.stored.set_result(stored)

    async def _together(self, wanted: Sequence[_Wanted]) -> None:
        caller, now = wanted[0].call.caller, to_milliseconds(self._clock())
        company = Company(one.accompanied for one in wanted)
        async with self._database.writing(company) as writer:
            intents = [one.intent for one in wanted]
            await writer.lock(*_locks(intents))
            decisions = await filing.decide_on(writer, caller, now, intents)
            accepted = [one for one in decisions if one.error is None]
            stored = await filing.file(writer, caller, now, accepted)
            by_key = {one.key: one for one in stored}
            for one, decision in zip(wanted, decisions, strict=True):
                if decision.error is None:
                    filing.touch(one.call, by_key[decision.intent.key])
                else:
                    company.leave(one.accompanied)
        for one, decision in zip(wanted, decisions, strict=True):
            if one.stored.done():
                continue
            if decision.error is None:
                one.stored.set_result(by_key[decision.intent.key])
            else:
                _refuse(one, decision)


def _locks(intents: Sequence[Intent]) -> list[str]:
    return [one.key for one in intents if not one.is_new_id]


def _refuse(one: _Wanted, decision: Decision) -> None:
    filing.touch_attempts(one.call, [decision])
    if decision.error is not None:
        one.stored.set_exception(decision.error)
