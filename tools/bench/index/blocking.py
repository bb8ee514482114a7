"""The pairs of one person that blocking never compares, on a benchmark without ids, and why."""

from collections import Counter, defaultdict
from csv import DictReader
from itertools import combinations
from pathlib import Path

from services.patient_index import wire
from services.patient_index.rules.blocking import MAX_BLOCK, keys_of
from services.patient_index.rules.registering import features_of, normalized
from tools.bench.index.filling import lines
from tools.thaibench.registering import registration_of

_REASONS = (
    ("newborn without a name", ("newborn",)),
    ("foreign name spelt as heard", ("heard",)),
    ("monk's name", ("monastic-name",)),
    ("name changed by marriage or at the registry", ("name-changed",)),
    ("birth date wrong or in part", ("birth:", "first-of-january", "year-alone")),
    ("name misspelt", ("given:", "family:", "exchanged", "no-family")),
)


def missed(directory: Path) -> tuple[int, int, Counter[str]]:
    """Pairs of one person, how many of them share no block, and these by the first reason that applies."""
    with (directory / "truth.csv").open(encoding="utf-8", newline="") as truth:
        made = [told["made"] for told in DictReader(truth)]
    keys, persons = [], defaultdict(list)
    bearers: Counter[tuple[int, int]] = Counter()
    for place, (row, person) in enumerate(lines(directory)):
        found = keys_of(features_of(wire.filed_of(registration_of(row), normalized)))
        keys.append(found)
        bearers.update(found)
        persons[person].append(place)
    pairs = lost = 0
    reasons: Counter[str] = Counter()
    for members in persons.values():
        for one, other in combinations(members, 2):
            pairs += 1
            if not any(bearers[key] <= MAX_BLOCK for key in set(keys[one]) & set(keys[other])):
                lost += 1
                reasons[_reason(f"{made[one]} {made[other]}")] += 1
    return pairs, lost, reasons


def _reason(made: str) -> str:
    return next((reason for reason, marks in _REASONS if any(mark in made for mark in marks)), "other")
