"""Batches beside plain Splink, each in a process of its own, one after the other: time, memory, what was found.

Seeds are of those for reporting. Writes build/bench/linkage_batch.json.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
from rich.console import Console

from tools.bench.linkage_batch import plain, scoring
from tools.bench.linkage_batch.scoring import Score
from tools.linkage.batch.job import Job, run
from tools.measure.results import Result, result, show, write
from tools.thaibench import Ids, Level, Plan
from tools.thaibench import write as write_bench

LARGE: Final = 1_000_000
SMALL: Final = 100_000
SEED: Final = 1002
# What plain Splink calls a match without labels; and among which the best is chosen where labels are allowed.
_UNLABELLED: Final = 0.95
_THRESHOLDS: Final = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999)
_MOST_TIME: Final = 1.2
_SETS: Final = (
    ("without_ids", Ids.WITHOUT, Level.STANDARD),
    ("wrong_ids", Ids.WRONG, Level.STANDARD),
    ("hard_without_ids", Ids.WITHOUT, Level.HARD),
)
_PRECISION, _RECALL = 99.95, 99.0


def main() -> int:
    """Runs the suite; 1 when a promise is missed."""
    console = Console()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        results += _large(Path(folder, "large"))
        show(results, console)
        for name, ids, level in _SETS:
            results += _small(Path(folder, name), name, Plan(SMALL, SEED, ids, level))
    show(results, console)
    console.print(f"written to {write('linkage_batch', results)}")
    return 0 if all(one.is_met for one in results) else 1


def run_one(arguments: Sequence[str]) -> int:
    """One run: `ours` or `plain`, the benchmark's directory, and where to work. Prints its figures as JSON."""
    kind, bench, work = arguments[0], Path(arguments[1]), Path(arguments[2])
    began = time.perf_counter()
    work.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    if kind == "ours":
        told["stages"] = run(Job((bench / "registrations.csv",), work)).seconds
    else:
        with duckdb.connect() as connection:
            connection.execute("set threads = 2")
            pairs = plain.pairs(connection, bench / "registrations.csv", _THRESHOLDS[0])
            told["seconds"] = time.perf_counter() - began
            select = f"select unique_id_l as one, unique_id_r as other, match_probability as probability from {pairs}"
            connection.execute(f"copy ({select}) to '{work / 'plain.parquet'}' (format parquet)")
    told.setdefault("seconds", time.perf_counter() - began)
    told["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(told))
    return 0


def _run(kind: str, bench: Path, work: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.bench.linkage_batch", kind, str(bench), str(work)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 our own program
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _large(folder: Path) -> list[Result]:
    write_bench(Plan(LARGE, SEED, Ids.WITHOUT), folder / "bench", os.cpu_count() or 1)
    theirs = _run("plain", folder / "bench", folder / "plain")
    ours = _run("ours", folder / "bench", folder / "ours")
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in ours["stages"].items())
    told = f"{LARGE:,} registrations without ids, seed {SEED}, from file to persons, training included: {stages}"
    return [
        result(
            "batch_1M", ours["seconds"], "s", told, limit=theirs["seconds"],
            limit_name="plain Splink, training and predicting, pairs only", floor=_MOST_TIME * theirs["seconds"],
        ),
        result(
            "batch_1M_memory", ours["memory"], "GiB", "the most that the process held", limit=theirs["memory"],
            limit_name="plain Splink",
        ),
        *_of_ours("1M_without_ids", folder, told),
    ]  # fmt: skip


def _small(folder: Path, name: str, plan: Plan) -> list[Result]:
    write_bench(plan, folder / "bench", os.cpu_count() or 1)
    _run("plain", folder / "bench", folder / "plain")
    _run("ours", folder / "bench", folder / "ours")
    told = f"{plan.size:,} registrations, ids {plan.ids}, {plan.level}, seed {plan.seed}"
    truth = folder / "bench" / "truth.csv"
    with duckdb.connect() as connection:
        scores = {
            least: scoring.of_pairs(
                connection,
                f"select one, other from '{folder / 'plain' / 'plain.parquet'}' where probability >= {least}",
                truth,
            )
            for least in _THRESHOLDS
        }
    unlabelled, best = scores[_UNLABELLED], max(scores.values(), key=lambda score: score.f1)
    return [
        *_of_ours(name, folder, told, is_promised=plan.level is Level.STANDARD),
        result(
            f"{name}_splink",
            100 * unlabelled.f1,
            "%",
            f"F1 of plain Splink, no labels, {_UNLABELLED}; {_told(unlabelled)}",
        ),
        result(
            f"{name}_splink_best", 100 * best.f1, "%", f"F1 of plain Splink, threshold chosen by labels; {_told(best)}"
        ),
    ]


def _of_ours(name: str, folder: Path, told: str, *, is_promised: bool = True) -> list[Result]:
    truth, work = folder / "bench" / "truth.csv", folder / "ours"
    with duckdb.connect() as connection:
        automatic = scoring.of_persons(connection, work / "persons.parquet", truth)
        waiting = f"select record_id as one, other_id as other from '{work / 'reviews.parquet'}'"
        reviewed = scoring.of_pairs(connection, waiting, truth)
    # With the pairs of one person that wait for a judge, who is taken to judge rightly.
    found = Score(automatic.right + reviewed.right, automatic.wrong, automatic.missed - reviewed.right)
    return [
        result(f"{name}_f1", 100 * automatic.f1, "%", f"F1 of what is joined without asking; {_told(automatic)}; {told}"),
        _share(f"{name}_precision", automatic.precision, _PRECISION if is_promised else None, "joined without asking"),
        _share(
            f"{name}_recall", found.recall, _RECALL if is_promised else None,
            f"joined, or waiting for a judge: {reviewed.right + reviewed.wrong:,} pairs, {reviewed.right:,} of one person",
        ),
        _share(f"{name}_automatic", automatic.recall, 93.0 if is_promised else None, "of pairs of one person, joined unasked"),
    ]  # fmt: skip


def _share(name: str, share: float, least: float | None, told: str) -> Result:
    """A share in percent, and what it must at least be."""
    return result(name, 100 * share, "%", told, least=least)


def _told(score: Score) -> str:
    return (
        f"right {score.right:,}, wrong {score.wrong:,}, missed {score.missed:,}; precision {score.precision:.5f}, "
        f"recall {score.recall:.4f}"
    )
