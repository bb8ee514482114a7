"""How many visits of which kind arrive in a second, by the kinds of day that a platform must stand."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tools.load.visits import CLINIC, ELSEWHERE, FEVER, Citizen, Course, Visit, visit

# The first of the citizens who are treated again and again, and of those who are new; each run begins further on.
_KNOWN, _NEW = 0, 10_000_000


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of day. `shares` are weights of courses; `known` is the share of visits of people who have been there before."""

    name: str
    title: str
    shares: Mapping[Course, float]
    known: float
    # Visits a second of the whole country at its peak.
    country_rate: float


CLINIC_MORNING: Final = Profile("clinic-morning", "a clinic's morning", {CLINIC: 1.0}, 0.7, 70.0)
ANYWHERE: Final = Profile("anywhere", "the peak of 30 baht anywhere", {ELSEWHERE: 0.6, CLINIC: 0.4}, 0.6, 70.0)
OUTBREAK: Final = Profile("outbreak", "an outbreak", {FEVER: 0.5, CLINIC: 0.3, ELSEWHERE: 0.2}, 0.5, 70.0)
PROFILES: Final = (CLINIC_MORNING, ANYWHERE, OUTBREAK)
# Files instead of visits: what hospitals send at night.
NIGHTLY_FILES: Final = "nightly-files"


def visits(profile: Profile, facilities: Sequence[str], people: int, run: str, draws: Random) -> Iterator[Visit]:
    """Without end. `people` are known from before; `run` keeps the numbers of visits apart from those of other runs."""
    courses, weights = list(profile.shares), list(profile.shares.values())
    first = _NEW + int.from_bytes(run.encode()[-4:], "big")
    for number in itertools.count():
        course = draws.choices(courses, weights)[0]
        is_known = draws.random() < profile.known
        who = Citizen(_KNOWN + draws.randrange(people) if is_known else first + number)
        yield visit(course, who, facilities[draws.randrange(len(facilities))], f"{run}-{number}")


def first_visits(facilities: Sequence[str], people: int, run: str) -> Iterator[Visit]:
    """One visit of each person who is to be known from before."""
    for number in range(people):
        yield visit(CLINIC, Citizen(_KNOWN + number), facilities[number % len(facilities)], f"{run}-K{number}")
