"""Writes a benchmark: registrations in one file, whose they are in another.

It is made in parts of some thousand registrations, each from a seed of its own, so that memory stays flat, several
processes can share the work, and the bytes are the same however many do.
"""

import csv
import hashlib
import io
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tools.population.draws import Draws, Table
from tools.thaibench import sending
from tools.thaibench.lives import TODAY, Household, Maker, Person
from tools.thaibench.rates import Ids, Level, Rates, rates_of
from tools.thaibench.sending import COLUMNS, Clerk, Sent

TRUTH_COLUMNS: Final = ("record_id", "person_id", "traps", "made")
PART: Final = 10_000
_PARTS_AHEAD: Final = 2
# How many registrations somebody has in the years of the benchmark: 1, 2, 3, …
_REGISTRATIONS: Final = Table((50, 26, 13, 7, 4))
_MANY: Final = 100_000_000
_TODAY: Final = TODAY.toordinal()


@dataclass(frozen=True, slots=True)
class Plan:
    """A benchmark that is yet to be written. The same plan gives the same bytes."""

    size: int
    seed: int
    ids: Ids = Ids.WITHOUT
    level: Level = Level.STANDARD
    # Two files to be linked, in place of one with duplicates.
    is_pair: bool = False

    @property
    def name(self) -> str:
        """What drives every draw."""
        return f"thaibench {self.seed} {self.ids} {self.level}"

    @property
    def rates(self) -> Rates:
        """At which rates it is written."""
        return rates_of(self.level, self.ids)


@dataclass(frozen=True, slots=True)
class WrittenBench:
    """What was written, in how many seconds."""

    registrations: tuple[Path, ...]
    truth: Path
    records: int
    persons: int
    seconds: float


def write(plan: Plan, directory: Path, jobs: int = 1) -> WrittenBench:
    """Writes registrations.csv (or a.csv and b.csv), truth.csv and made.json; what was there is replaced."""
    began = time.perf_counter()
    directory.mkdir(parents=True, exist_ok=True)
    names = ("a.csv", "b.csv") if plan.is_pair else ("registrations.csv",)
    paths = tuple(directory / name for name in names)
    truth = directory / "truth.csv"
    records = persons = 0
    with ExitStack() as files:
        outs = [files.enter_context(path.open("w", encoding="utf-8", newline="")) for path in (*paths, truth)]
        for out, columns in zip(outs, (*(COLUMNS for _ in paths), TRUTH_COLUMNS), strict=True):
            out.write(",".join(columns) + "\n")
        for part in _parts(plan, jobs):
            for out, text in zip(outs, part.texts, strict=True):
                out.write(text)
            records += part.records
            persons += part.persons
    seconds = time.perf_counter() - began
    made = {**asdict(plan), "records": records, "persons": persons, "rates": asdict(plan.rates)}
    (directory / "made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return WrittenBench(paths, truth, records, persons, seconds)


@dataclass(frozen=True, slots=True)
class _Part:
    """The text of a part for each file, the truth last."""

    texts: tuple[str, ...]
    records: int
    persons: int


def _parts(plan: Plan, jobs: int) -> Iterator[_Part]:
    numbers = range(-(-plan.size // PART))
    if jobs == 1 or len(numbers) == 1:
        for number in numbers:
            yield _part(plan, number)
        return
    # Spawned: a fork would take over the locks of whatever threads the caller has.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        # Only so many parts at once as memory should hold.
        window = jobs * _PARTS_AHEAD
        for start in range(0, len(numbers), window):
            yield from pool.map(
                _part, *zip(*((plan, number) for number in numbers[start : start + window]), strict=True)
            )


def _part(plan: Plan, number: int) -> _Part:
    size = min(PART, plan.size - number * PART)
    draws = Draws(f"{plan.name} {number}")
    sent = list(_registrations(plan, number, size, draws))
    _shuffle(draws, sent)
    outs = [io.StringIO() for _ in range(3 if plan.is_pair else 2)]
    writers = [csv.writer(out, lineterminator="\n") for out in outs]
    for place, (person, registration) in enumerate(sent):
        record_id = _record_id(plan, number * PART + place)
        side = int(draws.chance(0.5)) if plan.is_pair else 0
        writers[side].writerow(registration.row(record_id))
        writers[-1].writerow((record_id, f"p{person.number:09d}", " ".join(person.traps), registration.made))
    persons = len({person.number for person, _ in sent})
    return _Part(tuple(out.getvalue() for out in outs), size, persons)


def _registrations(plan: Plan, number: int, size: int, draws: Draws) -> Iterator[tuple[Person, Sent]]:
    rates = plan.rates
    maker = Maker(plan.seed, draws, rates, number * PART * 4)
    clerk = Clerk(draws, rates, plan.ids)
    made = 0
    while True:
        household = maker.household()
        for person in household.members:
            for registration in _of_person(person, household, draws, clerk, rates):
                yield person, registration
                made += 1
                if made == size:
                    return


def _of_person(person: Person, household: Household, draws: Draws, clerk: Clerk, rates: Rates) -> Iterable[Sent]:
    facilities: list[str] = []
    for turn in range(draws.position(_REGISTRATIONS) + 1):
        is_newborn = turn == 0 and person.since == person.born.toordinal() and draws.chance(rates.unnamed_newborn)
        day = person.born.toordinal() if is_newborn else draws.between(person.since, _TODAY - 1)
        facility = sending.facility_near(draws, person.home_on(day).place_code)
        if facility in facilities and not draws.chance(rates.twice_at_one):
            facility = sending.facility_near(draws, draws.pick(household.members).home_on(day).place_code)
        facilities.append(facility)
        yield clerk.write(person, household, day, facility, is_newborn=is_newborn and person.mother is not None)


def _shuffle(draws: Draws, things: list[tuple[Person, Sent]]) -> None:
    """Fisher and Yates, by draws that stay the same between versions of Python."""
    for place in range(len(things) - 1, 0, -1):
        other = draws.between(0, place)
        things[place], things[other] = things[other], things[place]


def _record_id(plan: Plan, place: int) -> str:
    """Tells nothing of the person nor of the place in the file."""
    digest = hashlib.blake2b(f"{plan.seed} {place}".encode(), digest_size=6).hexdigest()
    return f"r{digest}"
