"""Visits arrive at their time, whether or not those before have ended: a slow platform does not slow down who comes.

Within a visit each request waits for the answer before it, as people do. Its latency counts from the moment when it was due:
what a platform that stands still keeps waiting is seen in the figures (no coordinated omission).
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from random import Random

import orjson

from tools.load.callers import Callers
from tools.load.doors import DoorError, Doors
from tools.load.tally import Tally
from tools.load.visits import Asked, Visit

_REFUSED = 400
Seen = Callable[[Asked, bytes], None]


def times(rate: float, seconds: float, draws: Random) -> Iterator[float]:
    """When visits arrive, in seconds from the beginning: independently of each other, so many a second (Poisson)."""
    moment = draws.expovariate(rate)
    while moment < seconds:
        yield moment
        moment += draws.expovariate(rate)


class Load:
    """Sends visits through doors and keeps the tally."""

    def __init__(self, doors: Doors, callers: Callers, seen: Seen | None = None) -> None:
        """`seen` hears of each request that was answered well."""
        self.tally = Tally()
        self._doors = doors
        self._callers = callers
        self._seen = seen

    async def run(self, visits: Iterator[Visit], rate: float, seconds: float, draws: Random) -> Tally:
        """Starts `rate` visits a second for so many seconds; returns when the last has ended."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as going:
            for moment in times(rate, seconds, draws):
                await asyncio.sleep(began + moment - time.monotonic())
                going.create_task(self.walk(next(visits), began + moment))
        self.tally.seconds = time.monotonic() - began
        return self.tally

    async def walk(self, visit: Visit, due: float) -> bool:
        """Goes through one visit, whose first request is due at `due` (time.monotonic); whether to its end."""
        self.tally.visits += 1
        said: bytes | None = None
        while True:
            try:
                asked = visit.send(orjson.loads(said) if said is not None else None)
            except StopIteration:
                return True
            said = await self.ask(asked, due)
            if said is None:
                self.tally.unfinished += 1
                visit.close()
                return False
            due = time.monotonic()

    async def ask(self, asked: Asked, due: float) -> bytes | None:
        """Sends one request and counts it; its answer, None where it failed."""
        body = orjson.dumps(asked.body) if asked.body is not None else b""
        try:
            headers = await self._callers.headers(asked)
            status, said = await self._doors.ask(asked.verb, asked.path, headers, body)
        except DoorError as error:
            self.tally.broke(asked.kind, error)
            return None
        self.tally.answered(asked.kind, time.monotonic() - due, status, said)
        self.tally.sent_bytes += len(body)
        self.tally.received_bytes += len(said)
        if status >= _REFUSED:
            return None
        if self._seen is not None:
            self._seen(asked, said)
        return said
