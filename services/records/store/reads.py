"""Reads by id that come at the same time, as one statement for each sort of eyes."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from libs.access.caller import Caller
from libs.clock import Clock
from libs.database.engine import Database
from libs.fhir.references import LocalReference
from libs.gathering import Gathering, Release
from services.records.store import resources
from services.records.store.resources import Found
from services.records.visibility import eyes_of


class _Wanted(NamedTuple):
    caller: Caller
    local: LocalReference
    found: asyncio.Future[Found | None]


class Reads:
    """Answers each with what its own caller may see, as `resources.read` does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._gathering: Gathering[_Wanted] = Gathering(self._read)

    async def read(self, caller: Caller, resource_type: str, resource_id: str) -> Found | None:
        """The newest version."""
        found: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._gathering.put(_Wanted(caller, LocalReference(resource_type, resource_id), found))
        return await found

    async def _read(self, wanted: list[_Wanted], release: Release) -> None:
        del release
        for group in _by_eyes(wanted):
            try:
                await self._read_group(group)
            except Exception as error:  # noqa: BLE001 whoever waits learns of it
                if len(group) > 1:
                    # What one of them does to the database is not to fail the others.
                    await asyncio.gather(*(self._read([one], _nothing) for one in group if not one.found.done()))
                elif not group[0].found.done():
                    group[0].found.set_exception(error)

    async def _read_group(self, group: Sequence[_Wanted]) -> None:
        caller, now = group[0].caller, self._clock()
        async with self._database.reading() as reader:
            if len(group) == 1:
                local = group[0].local
                _settle(group[0], await resources.read(reader, caller, now, local.type, local.id))
                return
            found = await resources.read_several(reader, caller, now, {one.local for one in group})
        for one in group:
            _settle(one, found.get(one.local))


def _by_eyes(wanted: Sequence[_Wanted]) -> Iterable[Sequence[_Wanted]]:
    keyed = sorted(((eyes_of(one.caller), number) for number, one in enumerate(wanted)))
    return [[wanted[number] for _, number in group] for _, group in groupby(keyed, key=lambda pair: pair[0])]


def _settle(one: _Wanted, found: Found | None) -> None:
    if not one.found.done():
        one.found.set_result(found)


def _nothing() -> None:
    """A single read needs no lane."""
