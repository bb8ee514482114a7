"""What visits and rows cost, measured on a platform of its own that is removed after."""

import asyncio
import json
import os
import platform
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from tools.capacity.model import Cost
from tools.load.arrivals import Load
from tools.load.callers import Callers
from tools.load.costs import Meter, Spent
from tools.load.doors import Doors
from tools.load.profiles import NIGHTLY_FILES, PROFILES, Profile, first_visits, visits
from tools.load.tally import Tally
from tools.nhip.databases import Embedded
from tools.nhip.edge import EdgeClient
from tools.nhip.enrol import client_id
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample

PEOPLE, KNOWN, SEED = 800, 60, 11
# Visits a second: below what two cores with the generator on them can stand, so that nothing queues for long.
RATE, SECONDS, IDLE_SECONDS = 2.0, 20.0, 6.0
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Day:
    """One profile as it was measured; latencies in milliseconds."""

    name: str
    # Visits or rows.
    units: int
    units_a_second: float
    requests: int
    failed: int
    p50: float
    p95: float
    p99: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured, when and where."""

    date: str
    machine: str
    conditions: str
    # Cores that the idle platform uses, and the resident memory of each service.
    idle_cores: float
    memory_bytes: Mapping[str, float]
    days: tuple[Day, ...]

    def day(self, name: str) -> Day:
        """Raises StopIteration for a profile that was not measured."""
        return next(day for day in self.days if day.name == name)

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def of(cls, text: str) -> "Measured":
        """From JSON."""
        document: dict[str, Any] = json.loads(text)
        days = tuple(Day(**{**day, "cost": Cost(**day["cost"])}) for day in document.pop("days"))
        return cls(**document, days=days)


def measure(
    report: Report = lambda _: None, *, people: int = PEOPLE, rate: float = RATE, seconds: float = SECONDS
) -> Measured:
    """Measures every profile; raises RuntimeError where a request failed, whose cost is no visit's."""
    with tempfile.TemporaryDirectory(prefix="nhip-capacity-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        with Platform(Path(folder, "home"), report=report) as running:
            sample = Sample(running, people, SEED, Console(file=StringIO()))
            sample.write()
            sample.enrol()
            return asyncio.run(_measure(running, sample, report, rate, seconds))


async def _measure(running: Platform, sample: Sample, report: Report, rate: float, seconds: float) -> Measured:
    meter, run = meter_of(running), secrets.token_hex(4)
    async with Doors([running.edge_url]) as doors:
        callers = Callers(running.home, sample.population, doors)
        warm = Load(doors, callers)
        for visit in first_visits(callers.facilities, KNOWN, run):
            await warm.walk(visit, time.monotonic())
        _refuse_failures("first visits", warm.tally)
        before = await meter.read()
        await asyncio.sleep(IDLE_SECONDS)
        idle = (await meter.read()).since(before)
        report("known people have visited")
        days = []
        for number, profile in enumerate(PROFILES):
            draws = Random(SEED + number)  # noqa: S311 the same load again from the same seed
            load, coming = Load(doors, callers), visits(profile, callers.facilities, KNOWN, f"{run}{number}", draws)
            before = await meter.read()
            tally = await load.run(coming, rate, seconds, draws)
            days.append(_day(profile, tally, (await meter.read()).since(before), idle))
            report(f"{profile.title} is measured")
    days.append(await _files(running, sample, meter, idle))
    report("the files are measured")
    conditions = (
        f"{rate:g} visits a second for {seconds:g} s of each profile, {KNOWN} people known from before; "
        f"43 files of {sample.people} people; "
        "durable PostgreSQL, generator and PostgreSQL on the same cores; the idle platform's share subtracted"
    )
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"
    cores = (sum(idle.services.values()) + sum(idle.databases.values())) / IDLE_SECONDS
    return Measured(
        datetime.now(UTC).date().isoformat(), machine, conditions, round(cores, 4), dict(idle.memory_bytes), tuple(days)
    )


def meter_of(running: Platform) -> Meter:
    """The meter of a platform with a PostgreSQL of its own. Raises TypeError for one elsewhere."""
    databases = running.databases
    if not isinstance(databases, Embedded):
        raise TypeError("what a PostgreSQL elsewhere spends cannot be read from here")
    return Meter(lambda: running.state, databases.url, lambda: databases.postgres.pid or 0)


def _day(profile: Profile, tally: Tally, spent: Spent, idle: Spent) -> Day:
    _refuse_failures(profile.name, tally)
    *_, (_, answers, failed, p50, p95, p99) = tally.rows()
    cost = cost_of(spent, idle, tally.seconds, tally.visits)
    rate = tally.visits / tally.seconds
    return Day(
        profile.name, tally.visits, round(rate, 2), answers, failed, round(p50, 1), round(p95, 1), round(p99, 1), cost
    )


def _refuse_failures(what: str, tally: Tally) -> None:
    if tally.failed:
        raise RuntimeError(f"{what}: {tally.failed} of {tally.requests} requests failed: {tally.first}")


async def _files(running: Platform, sample: Sample, meter: Meter, idle: Spent) -> Day:
    facility = sample.population.hospital_a
    credentials = running.home.client(client_id(facility))

    def send() -> int:
        with EdgeClient(running.edge_url, credentials, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
            stored = edge.upload(sample.file("f43", facility.hcode), "IMPORT_FORMAT_F43")
            *_, found = edge.follow(stored["importId"])
        if found.get("state") != "IMPORT_STATE_SUCCEEDED":
            raise RuntimeError(f"the files were not taken: {found.get('errorMessage', '')}")
        return int(found["rowsTotal"])

    before, began = await meter.read(), time.monotonic()
    rows = await asyncio.to_thread(send)
    took = time.monotonic() - began
    # Followers have what the import announced a moment later; it is part of what a row costs.
    await asyncio.sleep(2)
    spent = (await meter.read()).since(before)
    return Day(NIGHTLY_FILES, rows, round(rows / took, 1), 1, 0, 0.0, 0.0, 0.0, cost_of(spent, idle, took + 2, rows))


def cost_of(spent: Spent, idle: Spent, seconds: float, units: int) -> Cost:
    """Of one unit, without what the platform spends when nothing comes."""
    share = seconds / IDLE_SECONDS

    def each(all_of: Mapping[str, float], at_rest: Mapping[str, float]) -> dict[str, float]:
        return {
            name: round(max(0.0, all_of[name] - share * at_rest.get(name, 0.0)) / units, 9) for name in sorted(all_of)
        }

    return Cost(
        each(spent.services, idle.services),
        each(spent.databases, idle.databases),
        round(max(0.0, spent.log_bytes - share * idle.log_bytes) / units, 1),
        round(max(0.0, spent.stored_bytes - share * idle.stored_bytes) / units, 1),
    )
