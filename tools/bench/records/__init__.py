"""The hot path, from the edge down: reads, creates, searches, transactions, imports; storage; each beside its raw limit.

    python -m tools.bench.records [--only edge_read_by_id,edge_create] [--quick] [--large 64000]

Writes build/bench/records.json. `--quick` sends fewer requests and knows a small and a large store of 1 and 4 thousand people.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console

from tools.bench import care
from tools.bench.records import loads, storage
from tools.bench.records import stand as of
from tools.bench.records.bare import bare_platform
from tools.bench.records.stand import Stand, open_stand
from tools.measure import limits
from tools.measure.http import load
from tools.measure.results import Result, median, result, show, write
from tools.nhip.platform import Platform

SMALL: Final = 1000
LARGE: Final = 64_000
_STORED: Final = 20_000


@dataclass
class Run:
    """What is measured, at which size."""

    stand: Stand
    large: int
    # Requests of one run of a load.
    requests: int
    is_quick: bool
    _limits: dict[str, float] = field(default_factory=dict)

    def limit(self, name: str) -> float:
        """A raw limit, measured once."""
        if name not in self._limits:
            self._limits[name] = _LIMITS[name](self)
        return self._limits[name]


def arguments(words: Sequence[str]) -> dict[str, Any]:
    """Of the command line, as `main` takes them."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.records")
    parser.add_argument("--only", default="", help=f"some of {', '.join(ITEMS)}, with commas between")
    parser.add_argument("--quick", action="store_true", help="fewer requests, smaller stores")
    parser.add_argument("--large", type=int, default=LARGE, help="people in the large store")
    found = parser.parse_args(words)
    only = tuple(part for part in found.only.split(",") if part)
    if unknown := set(only) - ITEMS.keys():
        parser.error(f"no such item: {', '.join(sorted(unknown))}")
    return {"only": only, "is_quick": found.quick, "large": found.large}


def main(only: Sequence[str] = (), *, is_quick: bool = False, large: int = LARGE) -> int:
    """Runs the suite, or some of its items; 1 when a promise is missed."""
    console = Console()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        with Platform(Path(folder, "home")) as platform:
            stand = open_stand(platform)
            stand.fill(SMALL)
            run = Run(stand, 4 * SMALL if is_quick else large, 1000 if is_quick else 4000, is_quick)
            for name, measure in ITEMS.items():
                if not only or name in only:
                    found = measure(run)
                    show(found, console)
                    results += found
    console.print(f"written to {write('records', results)}")
    return 0 if all(one.is_met for one in results) else 1


def _bare_select(run: Run) -> float:
    keys = [("Observation", of.observation_id(number)) for number in range(run.stand.people * of.OBSERVATIONS)]
    select = "SELECT * FROM resources WHERE type = $1 AND id = $2"
    return uvloop.run(limits.bare_sql(run.stand.database, select, keys, 2 * run.requests)).rate


def _bare_insert(run: Run) -> float:
    insert = (
        "INSERT INTO remembered_requests (subject, request_id, method, request_hash, response) "
        "VALUES ($1, gen_random_uuid()::text, '', '', $2)"
    )
    found = uvloop.run(limits.bare_sql(run.stand.database, insert, [("bench", os.urandom(900))], run.requests))
    return found.rate


def _bare_processes(run: Run) -> float:
    stand = run.stand

    async def measure() -> float:
        async with bare_platform(stand.database) as url:
            runs = [await load(url, lambda number: loads.read(stand, number), run.requests) for _ in range(loads.RUNS)]
        return median([one.rate for one in runs])

    return uvloop.run(measure())


_LIMITS: Mapping[str, Callable[[Run], float]] = {
    "select": _bare_select,
    "insert": _bare_insert,
    "processes": _bare_processes,
}
_PROCESSES: Final = "two bare Python processes, REST → gRPC → one SELECT"


def _read(run: Run) -> list[Result]:
    bare = result("bare_select", run.limit("select"), "requests/s", "bare asyncpg SELECT by key, 8 connections")
    read = loads.rate(
        "edge_read_by_id",
        run.stand,
        loads.read,
        run.requests,
        limit=run.limit("processes"),
        limit_name=_PROCESSES,
        floor=1800,
    )
    return [read, bare]


def _create(run: Run) -> list[Result]:
    requests, limit = run.requests, run.limit("insert")
    before = uvloop.run(storage.measure(run.stand.database))
    made = loads.rate(
        "edge_create",
        run.stand,
        loads.create,
        requests,
        allowed=(201,),
        limit=limit,
        limit_name="bare asyncpg INSERT of 1 KB",
        floor=600,
    )
    after = uvloop.run(storage.measure(run.stand.database))
    conditions = f"{loads.RUNS * requests} small Observations, created one by one through the edge"
    return [made, *storage.per_resource("created", before, after, loads.RUNS * requests, conditions, None)]


def _create_patient(run: Run) -> list[Result]:
    requests = run.requests // 4
    return [
        loads.rate(
            "edge_create_patient",
            run.stand,
            loads.create_patient,
            requests,
            allowed=(201,),
            limit=run.limit("insert"),
            limit_name="bare asyncpg INSERT of 1 KB",
            floor=600,
        )
    ]


def _mixed(run: Run) -> list[Result]:
    made = loads.rate("edge_mixed", run.stand, loads.mixed, run.requests, allowed=(200, 201), floor=700)
    return [made]


def _search_identifier(run: Run) -> list[Result]:
    return [_searched(run, "edge_search_identifier", loads.search_identifier, 1000)]


def _search_observation(run: Run) -> list[Result]:
    return [_searched(run, "edge_search_observation", loads.search_observation, 800)]


def _searched(run: Run, name: str, make: Callable[[Stand, int], bytes], floor: float) -> Result:
    return loads.rate(
        name, run.stand, make, run.requests, limit=run.limit("processes"), limit_name=_PROCESSES, floor=floor
    )


def _transaction(run: Run) -> list[Result]:
    limit = run.limit("insert") / 20
    return [
        loads.rate(
            "edge_transaction_20",
            run.stand,
            loads.transaction,
            run.requests // 10,
            limit=limit,
            limit_name="20 bare INSERTs",
            floor=100,
        )
    ]


def _bundles(run: Run) -> list[Result]:
    total = 16 if run.is_quick else 40
    runs = loads.drive("bundle_resources", run.stand, loads.bundle, total, connections=8)
    value = median([loads.bundle_entries(total) / one.seconds for one in runs])
    conditions = (
        f"{total} transactions of 50 to 500 entries, each a new person with visits, 8 connections, median of {loads.RUNS}; "
        f"p50 {median([one.percentile(0.5) for one in runs]) * 1000:.0f} ms"
    )
    return [result("bundle_resources", value, "resources/s", conditions, floor=2000)]


def _import(run: Run) -> list[Result]:
    count = _STORED // 5 if run.is_quick else _STORED
    before = uvloop.run(storage.measure(run.stand.database))
    speeds = [run.stand.import_lines(_lines(run, turn, count)) for turn in range(loads.RUNS)]
    after = uvloop.run(storage.measure(run.stand.database))
    conditions = (
        f"{count:,} new small Observations as one upload, from the POST of $import at the edge until it is finished, median "
        f"of {loads.RUNS}"
    )
    stored = f"{loads.RUNS * count:,} small Observations, imported by $import"
    return [
        result("bulk_import", median(speeds), "resources/s", conditions, floor=4000),
        *storage.per_resource("stored", before, after, loads.RUNS * count, stored, 6 * 1024),
    ]


def _lines(run: Run, turn: int, count: int) -> list[of.Json]:
    subjects = [of.patient_id(number % run.stand.people) for number in range(count)]
    return [{**of.observation(one, number), "id": f"import-{turn}-{number}"} for number, one in enumerate(subjects)]


def _everything(run: Run) -> list[Result]:
    return [one for one in care.measure(run.stand.platform) if one.name.startswith("everything")]


def _search_growth(run: Run) -> list[Result]:
    """The mix of searches in the small store, and again in the large one."""
    small = _mix(run)
    speed = run.stand.fill(run.large)
    uvloop.run(storage.measure(run.stand.database))
    large = _mix(run)
    sizes = f"{run.large:,} people against {SMALL:,}"
    filled = f"to {run.large:,} people with {of.OBSERVATIONS} Observations each"
    return [
        result("fill", speed, "resources/s", filled),
        result("search_p50_ms", large.p50, "ms", f"{run.large:,} people, 4 connections", floor=15),
        result("search_p99_ms", large.p99, "ms", f"{run.large:,} people, 4 connections"),
        result("search_throughput", large.rate, "requests/s", f"{run.large:,} people, 64 connections"),
        result("search_p50_ratio_64k_1k", large.p50 / small.p50, "", sizes, floor=1.35),
        # A share of what it was, which must not be less: a rate.
        result("search_throughput_ratio_64k_1k", large.rate / small.rate, "/s per /s", sizes, floor=0.65),
    ]


@dataclass(frozen=True, slots=True)
class _Mix:
    p50: float
    p99: float
    rate: float


def _mix(run: Run) -> _Mix:
    loads.drive("search_mix", run.stand, loads.search_mix, run.requests // 4, runs=1)
    calm = loads.drive("search_mix", run.stand, loads.search_mix, run.requests // 4, connections=4)
    busy = loads.drive("search_mix", run.stand, loads.search_mix, run.requests // 2)
    p50, p99 = (median([one.percentile(share) for one in calm]) * 1000 for share in (0.5, 0.99))
    return _Mix(p50, p99, median([one.rate for one in busy]))


ITEMS: Mapping[str, Callable[[Run], list[Result]]] = {
    "edge_read_by_id": _read,
    "edge_create": _create,
    "edge_create_patient": _create_patient,
    "edge_mixed": _mixed,
    "edge_search_identifier": _search_identifier,
    "edge_search_observation": _search_observation,
    "edge_transaction_20": _transaction,
    "bundle_resources": _bundles,
    "bulk_import": _import,
    "everything": _everything,
    "search_growth": _search_growth,
}
