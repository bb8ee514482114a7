"""FHIR's dates as spans of time: 2024-03 is a month, 2024-03-01T08:30 a minute; a date without a zone is a Thai one."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from libs.clock import BANGKOK
from libs.fhir.primitives import TESTS

# What an open end stands for. Inside of what PostgreSQL and Python both hold in every zone.
BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)
END: Final = datetime(9999, 12, 30, tzinfo=UTC)
_YEAR, _MONTH, _DAY, _MINUTE, _SECOND = 4, 7, 10, 16, 19
_DECEMBER = 12


class Span(NamedTuple):
    """From `low` up to, and without, `high`; both UTC."""

    low: datetime
    high: datetime


def span_of(text: str) -> Span | None:
    """The span that a date, dateTime or instant names; None for what is none."""
    if not TESTS["dateTime"](text) or text[:_YEAR] in {"0001", "9999"}:
        return None
    if len(text) <= _DAY:
        return _day_or_more(text)
    # Second 60 is a leap second, which Python does not know: the second after it begins there.
    leap = text[_MINUTE + 1 : _SECOND] == "60"
    plain = text[: _MINUTE + 1] + "59" + text[_SECOND:] if leap else text
    fraction = len(plain) > _SECOND and plain[_SECOND] == "."
    moment = datetime.fromisoformat(_microseconds(plain)).astimezone(UTC)
    low = moment + timedelta(seconds=1) if leap else moment
    return Span(low, low + (timedelta(milliseconds=1) if fraction else timedelta(seconds=1)))


def asked(text: str) -> Span | None:
    """As `span_of`, for a search: there the seconds and the zone may be missing."""
    if len(text) == _MINUTE:
        span = span_of(text + ":00+07:00")
        return Span(span.low, span.low + timedelta(minutes=1)) if span else None
    if len(text) == _SECOND and text[_DAY] == "T":
        return span_of(text + "+07:00")
    # A plus sign that was not escaped in a URL arrives as a space.
    plain = text.replace(" ", "+")
    if len(plain) > _MINUTE and plain[_DAY] == "T" and plain[_MINUTE] in "Z+-":
        span = span_of(plain[:_MINUTE] + ":00" + plain[_MINUTE:])
        return Span(span.low, span.low + timedelta(minutes=1)) if span else None
    return span_of(plain)


def span_of_value(value: Any, type_name: str) -> Span | None:
    """The span of an element of type date, dateTime, instant, Period or Timing; None where it says none."""
    if type_name in {"date", "dateTime", "instant"}:
        return span_of(value) if isinstance(value, str) else None
    if not isinstance(value, dict):
        return None
    if type_name == "Period":
        start, end = span_of(value.get("start", "")), span_of(value.get("end", ""))
        if start is None and end is None:
            return None
        return Span(start.low if start else BEGINNING, end.high if end else END)
    if type_name == "Timing":
        events = [span for event in value.get("event", ()) if (span := span_of(event))]
        bounds = span_of_value((value.get("repeat") or {}).get("boundsPeriod"), "Period")
        spans = [*events, bounds] if bounds else events
        return Span(min(one.low for one in spans), max(one.high for one in spans)) if spans else None
    return None


def _day_or_more(text: str) -> Span:
    year, month = int(text[:_YEAR]), int(text[_YEAR + 1 : _MONTH] or 1)
    if len(text) == _DAY:
        low = datetime(year, month, int(text[_MONTH + 1 :]), tzinfo=BANGKOK)
        high = low + timedelta(days=1)
    elif len(text) == _MONTH:
        low = datetime(year, month, 1, tzinfo=BANGKOK)
        high = low.replace(year=year + month // _DECEMBER, month=month % _DECEMBER + 1)
    else:
        low = datetime(year, 1, 1, tzinfo=BANGKOK)
        high = low.replace(year=year + 1)
    return Span(low.astimezone(UTC), high.astimezone(UTC))


def _microseconds(text: str) -> str:
    """Python 3.11 reads at most six digits of a second."""
    if len(text) <= _SECOND or text[_SECOND] != ".":
        return text
    end = _SECOND + 1
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[:_SECOND] + "." + text[_SECOND + 1 : end][:6].ljust(6, "0") + text[end:]
