"""ISO weeks (ISO 8601), in Bangkok time."""

from datetime import date, datetime, timedelta

from libs.clock import BANGKOK

WEEK = timedelta(days=7)


def week_of(day: date) -> date:
    """The Monday of the day's week."""
    return day - timedelta(days=day.weekday())


def week_of_moment(moment: datetime) -> date:
    """The Monday of the week in which the moment lies in Bangkok."""
    return week_of(moment.astimezone(BANGKOK).date())


def week_text(monday: date) -> str:
    """`2026-W31`."""
    year, week, _ = monday.isocalendar()
    return f"{year:04d}-W{week:02d}"


def parse_week(text: str) -> date:
    """The Monday of `2026-W31`. Raises ValueError for a week that the year does not have."""
    year, _, week = text.partition("-W")
    return date.fromisocalendar(int(year), int(week), 1)
