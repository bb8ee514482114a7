"""Time as an argument: services are handed a clock, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

# Thailand has no daylight saving, so that a fixed offset is exact and needs no zone database.
BANGKOK = timezone(timedelta(hours=7), "Asia/Bangkok")

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
