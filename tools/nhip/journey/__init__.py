"""One citizen's way through the platform: from a hospital's file to the citizen's screen."""

from functools import partial
from pathlib import Path

from rich.console import Console

from tools.nhip.journey import accounts, care, say
from tools.nhip.journey.course import Course
from tools.nhip.journey.trip import Trip
from tools.nhip.sample import Sample
from tools.nhip.target import Target

STEPS = (
    ("hospital A sends its 43 files", care.send_the_file),
    ("a doctor at hospital B reads a stranger's summary", care.meet_the_doctor),
    ("hospital B records dengue, and is kept from a harmful drug", care.record_the_visit),
    ("hospital B's claim is decided line by line, and paid", accounts.be_paid),
    ("the case stands on the line list and in its district's week", accounts.be_counted),
    ("the citizen sees who looked, and refuses hospital B", say.look_and_decide),
    ("the two registrations are parted and joined again", say.part_and_join),
)


def run(
    target: Target, sample: Sample, report: Path, *, console: Console | None = None, patience_seconds: float = 0.0
) -> bool:
    """Walks the journey, prints each step, writes the report; whether every step did what it should."""
    course = Course(console or Console(), patience_seconds=patience_seconds)
    trip = Trip(target, sample, console or Console(), number=f"{sample.seed}-{sample.people}")
    try:
        course.walk([(name, partial(act, trip)) for name, act in STEPS])
    finally:
        trip.close()
        course.write(report, sample.seed, sample.people)
    return course.is_well
