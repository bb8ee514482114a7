"""The patient index at national sizes: matching and registering, through gRPC, on the Thai benchmark.

Writes build/bench/index.json. 10 million are measured by hand: `python -m tools.bench.index 10000000` (40 GB of disk).
"""

import os
import tempfile
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

import grpc
import httpx
import uvloop
from nhip.patient_index.v1 import resources_pb2, service_pb2, service_pb2_grpc
from rich.console import Console

from libs.database.engine import Database
from services.patient_index.store.names import NameShares
from tools.bench.index import blocking, filling
from tools.measure.http import Load, closed_loop
from tools.measure.results import Result, median, result, show, write
from tools.nhip.journey.session import program_login
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample
from tools.thaibench import Ids, Plan
from tools.thaibench import write as write_bench
from tools.thaibench.registering import registration_of

SIZES: Final = (100_000, 1_000_000)
SEED: Final = 1001
FACILITY: Final = "99001"
MATCHES, CONCURRENT = 1_000, 4
SINGLES, BATCH, BATCHES = 600, 500, 3
# At most so many registrations, and the promise that stands for them: median and 95th percentile of a match, in ms.
_PROMISES: Final = ((1_010_000, 5.0, 50.0), (10_100_000, None, 200.0))
_BLOCKING_SIZE: Final = 100_000
_THOUSAND, _MILLION = 1_000, 1_000_000


def main(sizes: Sequence[int] = SIZES) -> int:
    """Runs the suite at these sizes; 1 when a promise is missed."""
    console = Console()
    results: list[Result] = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
            # The account that runs PostgreSQL in root's stead passes through.
            Path(folder).chmod(0o711)
            results += _measure(Path(folder), size, console)
    results.append(_blocking())
    show(results, console)
    console.print(f"written to {write('index', results)}")
    return 0 if all(one.is_met for one in results) else 1


def _measure(folder: Path, size: int, console: Console) -> list[Result]:
    jobs = os.cpu_count() or 1
    bench = folder / "bench"
    # One in a hundred is held out, so that the index holds the size that was asked for.
    write_bench(Plan(size * filling.HOLD_OUT // (filling.HOLD_OUT - 1), SEED, Ids.WITH), bench, jobs)
    home = folder / "home"
    with Platform(home) as platform:
        secret = (platform.home.path / "secrets" / "citizen_key").read_bytes()
        sample = Sample(platform, 60, 1, Console(file=StringIO()))
        sample.write()
        sample.enrol()
        began = time.perf_counter()
        url = platform.databases.url("patient_index")
        filled = uvloop.run(filling.fill(url, bench, secret, jobs))
        uvloop.run(_count_names(url))
        seconds = time.perf_counter() - began
        console.print(f"{filled:,} registrations filled in in {seconds:.0f} s")
    # Anew, so that the index reads the shares of names, and nothing is warm that a running service would not have.
    with Platform(home) as platform:
        return uvloop.run(_ask(platform, filling.held_out(bench), filled))


async def _count_names(url: str) -> None:
    database = await Database.connect(url, name="nhip-bench", max_size=4)
    try:
        await NameShares(database).count()
    finally:
        await database.close()


def _token(platform: Platform) -> str:
    credentials = platform.home.client(f"facility-{FACILITY}")
    login = program_login(credentials.client_id, credentials.client_secret, "PURPOSE_OF_USE_TREATMENT")
    answer = httpx.post(f"{platform.edge_url}/oauth2/token", data=login, trust_env=False)
    answer.raise_for_status()
    token: str = answer.json()["access_token"]
    return token


async def _ask(platform: Platform, rows: Sequence[filling.Row], filled: int) -> list[Result]:
    asked = [registration_of(row, FACILITY, f"T{place}") for place, row in enumerate(rows)]
    metadata = (("authorization", f"Bearer {_token(platform)}"),)
    async with grpc.aio.insecure_channel(platform.state.services["patient_index"].address) as channel:
        stub = service_pb2_grpc.PatientIndexServiceStub(channel)

        async def match(number: int) -> None:
            request = service_pb2.MatchRequest(registration=asked[number % len(asked)])
            await stub.Match(request, metadata=metadata, timeout=60)

        async def single(number: int) -> None:
            request = service_pb2.RegisterRequest(registration=asked[number])
            await stub.Register(request, metadata=metadata, timeout=60)

        async def batch(registrations: Sequence[resources_pb2.Registration]) -> float:
            began = time.perf_counter()
            answer = await stub.BatchRegister(
                service_pb2.BatchRegisterRequest(registrations=registrations), metadata=metadata, timeout=120
            )
            refused = [one.error_reason for one in answer.results if one.error_reason]
            if refused:
                raise RuntimeError(f"registration refused: {refused[0]}")
            return len(registrations) / (time.perf_counter() - began)

        await closed_loop(match, 50, 1)
        alone = await closed_loop(match, MATCHES, 1)
        together = await closed_loop(match, MATCHES, CONCURRENT)
        singles = min(SINGLES, len(asked) // 2)
        registered = await closed_loop(single, singles, 8)
        # Those with a sound number, of persons who are there: the rules decide.
        known = [one for one in asked[singles:] if any("cid" in told.system for told in one.identifiers)]
        size = min(BATCH, len(known) // BATCHES)
        rates = [await batch(known[turn * size : (turn + 1) * size]) for turn in range(BATCHES)]
    return _tell(filled, alone, together, registered, rates, size)


def _tell(
    filled: int, alone: Load, together: Load, registered: Load, rates: Sequence[float], batch: int
) -> list[Result]:
    name = f"{round(filled / _MILLION)}M" if round(filled / _MILLION) else f"{round(filled / _THOUSAND)}k"
    held = (
        f"{filled:,} registrations of the Thai benchmark, seed {SEED}, ids as sent, filled in by COPY; "
        f"client and server on the same {os.cpu_count()} cores"
    )
    middle, high = next(((p50, p95) for most, p50, p95 in _PROMISES if filled <= most), (None, None))
    alone_told = f"{MATCHES} matches one after the other, of registrations that were left out; {held}"
    return [
        result(f"match_p50_{name}", alone.percentile(0.5) * 1000, "ms", alone_told, floor=middle),
        result(f"match_p95_{name}", alone.percentile(0.95) * 1000, "ms", alone_told, floor=high),
        result(f"match_rate_{name}", together.rate, "matches/s", f"{CONCURRENT} at once; {held}", floor=100),
        result(
            f"register_single_{name}", registered.rate, "registrations/s", f"8 at once, new, matching on; {held}",
            floor=300,
        ),
        result(
            f"register_known_{name}", median(rates), "registrations/s",
            f"{batch} a call, one call at a time, median of {len(rates)}, new registrations whose citizen id is known; {held}",
            floor=3000,
        ),
    ]  # fmt: skip


def _blocking() -> Result:
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        write_bench(Plan(_BLOCKING_SIZE, SEED, Ids.WITHOUT), Path(folder), os.cpu_count() or 1)
        pairs, lost, reasons = blocking.missed(Path(folder))
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    conditions = (
        f"{lost:,} of {pairs:,} pairs of one person, {_BLOCKING_SIZE:,} registrations without ids, by cause: {told}"
    )
    return result("missed_by_blocking", 100 * lost / pairs, "%", conditions, floor=1)
