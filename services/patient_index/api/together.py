"""Registrations that come while others are being placed share a transaction: one look, one write, one commit for all."""

import asyncio
from dataclasses import replace
from typing import NamedTuple

from nhip.patient_index.v1 import service_pb2

from libs.database.company import Accompanied
from libs.gathering import Gathering, Release
from services.patient_index.api.transaction import Change, Index

# One transaction at a time is enough to keep PostgreSQL busy; a slow one holds the next up for a moment at most.
LANES = 1
MOST_TOGETHER = 32

Registered = service_pb2.RegisterResponse


class _Waiting(NamedTuple):
    change: Change[Registered]
    answered: asyncio.Future[Registered]


class Together:
    """Places each as `Index.change` would place it alone."""

    def __init__(self, index: Index, *, lanes: int = LANES) -> None:
        self._index = index
        self._gathering: Gathering[_Waiting] = Gathering(self._work, lanes=lanes, most=MOST_TOGETHER)

    async def change(self, change: Change[Registered]) -> Registered:
        """Answers when it is committed. Raises as `Index.change`, whatever became of those it was committed with."""
        answered: asyncio.Future[Registered] = asyncio.get_running_loop().create_future()
        call = None if change.call is None else Accompanied(change.call)
        self._gathering.put(_Waiting(replace(change, call=call), answered))
        return await answered

    async def _work(self, waiting: list[_Waiting], release: Release) -> None:
        del release
        # Whoever has gone away meanwhile registers nobody.
        wanted = [one for one in waiting if not one.answered.done()]
        if not wanted:
            return
        try:
            answers = await self._index.change_together([one.change for one in wanted])
        except Exception as error:  # noqa: BLE001 whoever waits learns of it
            if len(wanted) > 1:
                # What is wrong with one fails that one alone. In turn: they may wait for each other's locks.
                for one in wanted:
                    await self._work([one], _nothing)
            elif not wanted[0].answered.done():
                wanted[0].answered.set_exception(error)
            return
        for one, answer in zip(wanted, answers, strict=True):
            if not one.answered.done():
                one.answered.set_result(answer)


def _nothing() -> None:
    """One alone needs no lane."""
