"""Dates as Thai health data write them.

The 43 and 16 files write the Common Era without separators; people and NHSO statements write dd/mm/yyyy of the
Buddhist Era, which is 543 years ahead. A year above 2400 is Buddhist: nobody alive was born in a Common Era year
that high, and no record is older than the Buddhist year 2400 (1857). Thailand has had one time zone, UTC+7 without
daylight saving, since 1920.

Errors say which rule was broken and never repeat the value, which may be somebody's birth date.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

BANGKOK: Final = timezone(timedelta(hours=7), "Asia/Bangkok")

BUDDHIST_OFFSET: Final = 543
_BUDDHIST_FROM: Final = 2400
_OLDEST: Final = 1800
_DATE_LENGTH: Final = 8
_DATETIME_LENGTH: Final = 14
_HOUR_MINUTE: Final = 4
_HOUR_MINUTE_SECOND: Final = 6
_HUMAN = re.compile(r"(\d{1,2})\s*[/.\-]\s*(\d{1,2})\s*[/.\-]\s*(\d{4})")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")

_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            ("มกราคม", "ม.ค."),
            ("กุมภาพันธ์", "ก.พ."),
            ("มีนาคม", "มี.ค."),
            ("เมษายน", "เม.ย."),
            ("พฤษภาคม", "พ.ค."),
            ("มิถุนายน", "มิ.ย."),
            ("กรกฎาคม", "ก.ค."),
            ("สิงหาคม", "ส.ค."),
            ("กันยายน", "ก.ย."),
            ("ตุลาคม", "ต.ค."),
            ("พฤศจิกายน", "พ.ย."),
            ("ธันวาคม", "ธ.ค."),
        ),
        start=1,
    )
    for name in names
}
_MONTH_NAMES: Final = tuple(name for name in _MONTHS if not name.endswith("."))
_WRITTEN = re.compile(r"(\d{1,2})\s*(" + "|".join(map(re.escape, _MONTHS)) + r")\s*(?:พ\.ศ\.\s*)?(\d{4})")


class DateError(ValueError):
    """A date or time cannot be read. `reason` is stable: DATE_EMPTY, DATE_FORMAT, DATE_IMPOSSIBLE, TIME_FORMAT."""

    def __init__(self, reason: str, message: str) -> None:
        """`message` names the rule, never the value."""
        super().__init__(message)
        self.reason = reason


class DateFormatError(DateError):
    """The text has another shape than a date or time of this kind."""


class DateImpossibleError(DateError):
    """The shape is right, but the calendar or the clock has no such moment."""


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date of which only the year, or year and month, may be known. Orders are left to the caller."""

    year: int
    month: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        """ISO 8601 with the precision that is known, which is FHIR's `date`."""
        parts = [f"{self.year:04d}"]
        if self.month is not None:
            parts.append(f"{self.month:02d}")
            if self.day is not None:
                parts.append(f"{self.day:02d}")
        return "-".join(parts)

    @property
    def earliest(self) -> date:
        """The first day it can mean."""
        return date(self.year, self.month or 1, self.day or 1)

    @property
    def latest(self) -> date:
        """The last day it can mean."""
        month = self.month or 12
        return date(self.year, month, self.day or calendar.monthrange(self.year, month)[1])

    def may_be(self, other: "PartialDate") -> bool:
        """True if both can mean the same day."""
        return self.earliest <= other.latest and other.earliest <= self.latest


def common_era(year: int) -> int:
    """The year in the Common Era: years above 2400 are Buddhist."""
    return year - BUDDHIST_OFFSET if year > _BUDDHIST_FROM else year


def parse_f43_date(text: str) -> date:
    """Reads YYYYMMDD. Tolerates a Buddhist year, a common slip. Raises DateError."""
    if len(text) != _DATE_LENGTH or not (text.isascii() and text.isdigit()):
        raise _misshapen(text, "a date is eight digits, year month day")
    return _date(int(text[:4]), int(text[4:6]), int(text[6:]))


def parse_f43_datetime(text: str) -> datetime:
    """Reads YYYYMMDDHHMMSS as Bangkok time. Raises DateError."""
    if len(text) != _DATETIME_LENGTH or not (text.isascii() and text.isdigit()):
        raise _misshapen(text, "a date and time is fourteen digits, year month day hour minute second")
    day = parse_f43_date(text[:_DATE_LENGTH])
    return datetime.combine(day, parse_f43_time(text[_DATE_LENGTH:]), BANGKOK)


def parse_f43_time(text: str) -> time:
    """Reads HHMMSS or HHMM, without a zone. Raises DateError: TIME_FORMAT, TIME_IMPOSSIBLE."""
    if len(text) not in (_HOUR_MINUTE, _HOUR_MINUTE_SECOND) or not (text.isascii() and text.isdigit()):
        raise DateFormatError("TIME_FORMAT", "a time is four or six digits, hour minute second")
    try:
        return time(int(text[:2]), int(text[2:4]), int(text[4:] or 0))
    except ValueError:
        raise DateImpossibleError("TIME_IMPOSSIBLE", "the clock has no such time") from None


def parse_human_date(text: str) -> date:
    """Reads dd/mm/yyyy (also with . or -), yyyy-mm-dd and "2 มกราคม 2567", of either era. Raises DateError."""
    told = text.strip().translate(_THAI_DIGITS)
    if match := _HUMAN.fullmatch(told):
        return _date(int(match[3]), int(match[2]), int(match[1]))
    if match := _ISO.fullmatch(told):
        return _date(int(match[1]), int(match[2]), int(match[3]))
    if match := _WRITTEN.fullmatch(told):
        return _date(int(match[3]), _MONTHS[match[2]], int(match[1]))
    raise _misshapen(told, "a date is day/month/year")


def parse_partial_date(text: str) -> PartialDate:
    """Reads YYYY, YYYYMM, YYYYMMDD or the same with hyphens, of either era; 00 stands for an unknown part.

    Raises DateError.
    """
    told = text.strip().replace("-", "")
    if len(told) not in (4, 6, 8) or not (told.isascii() and told.isdigit()):
        raise _misshapen(told, "a date is a year, a year and month, or a full date")
    year, month, day = common_era(int(told[:4])), int(told[4:6] or 0), int(told[6:] or 0)
    if month == 0 and day:
        raise DateImpossibleError("DATE_IMPOSSIBLE", "a day needs its month")
    _date(year, month or 1, day or 1)
    return PartialDate(year, month or None, day or None)


def format_f43_date(day: date) -> str:
    """Writes YYYYMMDD."""
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def format_f43_datetime(moment: datetime) -> str:
    """Writes YYYYMMDDHHMMSS in Bangkok time; a moment without a zone is taken as Bangkok's."""
    local = moment.astimezone(BANGKOK) if moment.tzinfo else moment
    return local.strftime("%Y%m%d%H%M%S") if local.year > _OLDEST else f"{local.year:04d}{local:%m%d%H%M%S}"


def format_human_date(day: date) -> str:
    """Writes dd/mm/yyyy of the Buddhist Era."""
    return f"{day.day:02d}/{day.month:02d}/{day.year + BUDDHIST_OFFSET}"


def format_thai_date(day: date) -> str:
    """Writes the date as it is spoken: 2 มกราคม 2567."""
    return f"{day.day} {_MONTH_NAMES[day.month - 1]} {day.year + BUDDHIST_OFFSET}"


def bangkok_date(moment: datetime) -> date:
    """The day on which the moment falls in Thailand; a moment without a zone is taken as UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(BANGKOK).date()


def age_on(born: date, day: date) -> int:
    """Full years lived on that day; negative before birth."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


_THAI_DIGITS: Final = {ord("๐") + digit: str(digit) for digit in range(10)}


def _date(year: int, month: int, day: int) -> date:
    told = common_era(year)
    if told < _OLDEST:
        raise DateImpossibleError("DATE_IMPOSSIBLE", "the year is too long ago")
    try:
        return date(told, month, day)
    except ValueError:
        raise DateImpossibleError("DATE_IMPOSSIBLE", "the calendar has no such day") from None


def _misshapen(text: str, message: str) -> DateFormatError:
    return DateFormatError("DATE_FORMAT", message) if text.strip() else DateFormatError("DATE_EMPTY", "no date given")
