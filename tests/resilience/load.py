"""A platform under visits, and what became of everything that it said it had stored."""

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import asyncpg
import orjson

from tests.support.whole import sample_of
from tools.load.arrivals import Load
from tools.load.callers import Callers
from tools.load.doors import Doors
from tools.load.tally import Tally
from tools.load.visits import CLINIC, ELSEWHERE, FEVER, Asked, Citizen, Visit, visit
from tools.nhip.platform import Platform
from tools.verification import verify

# In the long run of `make test-lifecycle`, how many requests each process is replaced under; 0 in the short one.
LONG_REQUESTS = int(os.environ.get("NHIP_LIFECYCLE_REQUESTS", "0"))
PEOPLE, WORKERS = 20, 4
# Somebody who is treated elsewhere was registered so many visits before: others' projections have heard of them.
BEFORE = 61
# From the first citizen of the load on, so that none is of the sample's.
FIRST = 7_000_000
PATIENCE_SECONDS = 60.0
# What was created by which request, and where it must be.
STORED = {
    "create_claim": ("claims", "SELECT claim_id FROM claims WHERE claim_id = ANY($1)"),
    "create_patient": ("patient_index", "SELECT registration_id FROM registrations WHERE registration_id = ANY($1)"),
}
RESOURCES = ("records", "SELECT id FROM resources WHERE id = ANY($1)")


@dataclass
class Written:
    """What the platform answered that it had stored: ids, by the kind of request."""

    ids: dict[str, list[str]] = field(default_factory=dict)

    def see(self, asked: Asked, said: bytes) -> None:
        """Notes what an answer says."""
        if asked.kind.startswith("create_"):
            answer = orjson.loads(said)
            found = answer["claim"]["claimId"] if asked.kind == "create_claim" else answer["id"]
            self.ids.setdefault(asked.kind, []).append(found)

    @property
    def count(self) -> int:
        return sum(map(len, self.ids.values()))

    async def missing(self, running: Platform) -> dict[str, int]:
        """How many of each kind are not in their database, or were stored under an id that another has; none is well."""
        lost: Counter[str] = Counter()
        for kind, ids in self.ids.items():
            lost[f"{kind} twice"] += len(ids) - len(set(ids))
            places = [STORED[kind]] if kind in STORED else []
            if kind != "create_claim":
                places.append(RESOURCES)
            for service, query in places:
                connection = await asyncpg.connect(running.databases.url(service))
                try:
                    there = {str(row[0]) for row in await connection.fetch(query, ids)}
                finally:
                    await connection.close()
                lost[f"{kind} in {service}"] += len(set(ids) - there)
        return {what: count for what, count in lost.items() if count}


@dataclass
class Pressed:
    """A platform under load."""

    running: Platform
    tally: Tally
    written: Written
    ending: asyncio.Event

    async def has_asked(self, requests: int) -> None:
        """Returns when so many requests have been sent since the load began."""
        while self.tally.requests < requests:
            await asyncio.sleep(0.05)

    async def goes_on(self, answers: int = 40) -> float:
        """Returns when so many more requests were answered well; the seconds until the first of them."""
        before, began, first = self.well, time.monotonic(), 0.0
        while self.well < before + answers:
            assert time.monotonic() < began + PATIENCE_SECONDS, f"nothing is answered any more: {self.tally.first}"
            await asyncio.sleep(0.02)
            if not first and self.well > before:
                first = time.monotonic() - began
        return first

    @property
    def well(self) -> int:
        """Requests that were answered as asked."""
        return self.tally.requests - self.tally.failed

    async def faults(self) -> list[str]:
        """Where the databases disagree, once the followers have had time: nothing is well. A follower behind is no fault yet."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = await verify(self.running.databases.url, patience_seconds=PATIENCE_SECONDS)
            late = [
                str(one)
                for one in found
                if not one.is_fault and one.said.endswith(" behind") and not one.said.endswith(" 0 behind")
            ]
            if not late or time.monotonic() > deadline:
                return [*(str(one) for one in found if one.is_fault), *late]
            await asyncio.sleep(0.2)


# Goes on from load to load, so that no visit comes twice.
NUMBERS = itertools.count()


def visits(facilities: list[str]) -> Iterator[Visit]:
    """New people at their own facility, the same elsewhere, and fever, in turn."""
    for number in NUMBERS:
        course = (CLINIC, ELSEWHERE, FEVER)[number % 3]
        who = Citizen(FIRST + (number - BEFORE if course is ELSEWHERE else number))
        yield visit(course, who, facilities[number % len(facilities)], f"LIFE-{number}")


@contextlib.asynccontextmanager
async def pressed(running: Platform, *, workers: int = WORKERS) -> AsyncIterator[Pressed]:
    """Visits from several workers at once until the block ends; each worker's visits follow each other."""
    sample = await asyncio.to_thread(sample_of, running, seed=5, people=PEOPLE)
    urls = [f"http://{one.address}" for name, one in running.state.services.items() if name.partition("-")[0] == "edge"]
    async with Doors(urls) as doors:
        callers = Callers(running.home, sample.population, doors)
        written = Written()
        load = Load(doors, callers, written.see)
        found = Pressed(running, load.tally, written, asyncio.Event())
        coming = visits(callers.facilities)

        async def work() -> None:
            while not found.ending.is_set():
                if not await load.walk(next(coming), time.monotonic()):
                    # As people do, who were refused.
                    await asyncio.sleep(0.05)

        working = [asyncio.create_task(work()) for _ in range(workers)]
        try:
            await found.goes_on()
            yield found
        finally:
            found.ending.set()
            await asyncio.gather(*working)
