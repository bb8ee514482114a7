"""Prints and writes the comparison; rivals get the threshold that is best for them by the labels, ours looks at none."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from libs.linkage.assigning import Pair
from tools.bench.linkage import ours, rivals
from tools.bench.linkage.data import Set, is_one, sets

_OUT = Path("build/bench/linkage.json")


@dataclass(frozen=True, slots=True)
class Result:
    """A confusion matrix over all pairs, and F1."""

    data: str
    with_id: bool
    way: str
    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    f1: float


def at(told: Set, pairs: Sequence[Pair], threshold: float, *, with_id: bool, way: str) -> Result:
    """What is right and wrong of the pairs at or above a threshold."""
    above = [is_one(one, other) for weight, one, other in pairs if weight >= threshold]
    true, false = sum(above), len(above) - sum(above)
    missed = told.true - true
    rest = told.all_pairs - true - false - missed
    return Result(told.name, with_id, way, threshold, true, false, missed, rest, 2 * true / (2 * true + false + missed))


def best(told: Set, pairs: Sequence[Pair]) -> float:
    """The threshold with the best F1, by the labels."""
    true = count = 0
    found, highest = 0.0, -1.0
    ordered = sorted(pairs, reverse=True)
    for place, (weight, one, other) in enumerate(ordered):
        true += is_one(one, other)
        count += 1
        if place + 1 < len(ordered) and ordered[place + 1][0] == weight:
            continue
        f1 = 2 * true / (count + told.true)
        if f1 > highest:
            found, highest = weight, f1
    return found


def run() -> int:
    """Runs everything, about two minutes; 1 when a rival at its best is better than ours without labels."""
    results: list[Result] = []
    beaten = 0
    for told in sets():
        for with_id in (False, True):
            begun = time.perf_counter()
            pairs, threshold = ours.weigh(told, with_id=with_id)
            results.append(at(told, pairs, threshold, with_id=with_id, way="ours, threshold without labels"))
            results.append(at(told, pairs, best(told, pairs), with_id=with_id, way="ours, best threshold"))
            ways = {"splink": rivals.by_splink(told, with_id=with_id)}
            ways |= rivals.by_recordlinkage(told, with_id=with_id)
            for way, found in ways.items():
                results.append(at(told, found, best(told, found), with_id=with_id, way=f"{way}, best threshold"))
            print(f"\n{told.name}, {'with' if with_id else 'without'} the id ({time.perf_counter() - begun:.0f} s)")
            print(f"  {'':40}{'F1':>8}{'TP':>7}{'FP':>6}{'FN':>6}{'TN':>11}")
            told_now = results[-len(ways) - 2 :]
            beaten += max(one.f1 for one in told_now) > told_now[0].f1
            for one in told_now:
                print(
                    f"  {one.way:40}{one.f1:8.5f}{one.true_positive:7}{one.false_positive:6}"
                    f"{one.false_negative:6}{one.true_negative:11}"
                )
    _OUT.parent.mkdir(parents=True, exist_ok=True)
    _OUT.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n", encoding="utf-8")
    return 1 if beaten else 0
