"""Which weeks of which places alarm, and which weeks a changed count bears upon."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from libs.ids import derived_id
from services.surveillance.model import Cell, WeekCount
from services.surveillance.rules.ears import C2, Judgement
from services.surveillance.rules.weeks import WEEK

DETECTOR = C2
# Alerts are raised for provinces and for districts: two and four digits.
ALERT_LEVELS = (2, 4)


def alert_id(cell: Cell) -> str:
    """The id of the alert of a disease, place and week: the same whenever it is raised."""
    return derived_id("alert", DETECTOR.name, cell.disease_code, cell.place_code, cell.week_on.isoformat())


def cells_of(disease_code: str, place_code: str, week_on: date) -> Iterator[Cell]:
    """The cells at which a case is watched."""
    for digits in ALERT_LEVELS:
        if len(place_code) >= digits:
            yield Cell(disease_code, place_code[:digits], week_on)


def cells_bearing(changed: Iterable[Cell]) -> set[Cell]:
    """The cells whose judgement may differ once these counts changed: their own, and those they are baseline of."""
    bearing = set()
    for cell in changed:
        bearing.add(cell)
        for ahead in range(DETECTOR.guard + 1, DETECTOR.weeks_needed + 1):
            bearing.add(Cell(cell.disease_code, cell.place_code, cell.week_on + ahead * WEEK))
    return bearing


def has_baseline(week_on: date, earliest: date | None) -> bool:
    """True if the platform knew of cases early enough to judge this week.

    Weeks before the earliest case of any disease are unknown, not empty: a platform that was switched on last week must
    not take every ordinary count for an outbreak.
    """
    return earliest is not None and earliest <= week_on - DETECTOR.weeks_needed * WEEK


def judge_cell(cell: Cell, counts: Mapping[Cell, int], earliest: date | None) -> Judgement | None:
    """What the detector makes of a cell, from the counts of its place; a missing count is zero."""
    if not has_baseline(cell.week_on, earliest):
        return None
    weeks = [cell.week_on - back * WEEK for back in range(DETECTOR.weeks_needed, -1, -1)]
    series = [counts.get(Cell(cell.disease_code, cell.place_code, week), 0) for week in weeks]
    return DETECTOR.judge(series, len(series) - 1)


def judge_series(weeks: Sequence[tuple[date, int]], earliest: date | None) -> list[WeekCount]:
    """A gapless series with what the detector makes of each week that has a baseline."""
    counts = [count for _, count in weeks]
    judged = []
    for index, (week_on, count) in enumerate(weeks):
        judgement = DETECTOR.judge(counts, index) if has_baseline(week_on, earliest) else None
        if judgement is None:
            judged.append(WeekCount(week_on, count))
            continue
        judged.append(
            WeekCount(
                week_on, count, judgement.expected, judgement.upper_bound, judgement.score, is_alarm=judgement.is_alarm
            )
        )
    return judged
