"""Dates of both eras."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.thai import dates
from libs.thai.dates import DateError, PartialDate

DAYS = st.dates(min_value=date(1850, 1, 1), max_value=date(2399, 12, 31))


@given(DAYS)
def test_a_file_date_reads_back(day):
    assert dates.parse_f43_date(dates.format_f43_date(day)) == day


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 12, 31)))
def test_a_date_for_people_reads_back_from_the_buddhist_era(day):
    assert dates.parse_human_date(dates.format_human_date(day)) == day
    assert dates.parse_human_date(dates.format_thai_date(day)) == day


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 1, 1)), st.times())
def test_a_moment_reads_back_in_bangkok_time(day, at):
    local = datetime.combine(day, at.replace(microsecond=0), dates.BANGKOK)
    assert dates.parse_f43_datetime(dates.format_f43_datetime(local.astimezone(UTC))) == local


def test_years_above_2400_are_buddhist():
    assert dates.common_era(2400) == 2400
    assert dates.common_era(2401) == 1858
    assert dates.parse_f43_date("25670229") == date(2024, 2, 29)
    assert dates.parse_human_date("29/02/2567") == dates.parse_human_date("29/02/2024") == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "DATE_EMPTY"),
        ("   ", "DATE_EMPTY"),
        ("2024-02-29", "DATE_FORMAT"),
        ("2024022", "DATE_FORMAT"),
        ("๒๐๒๔๐๒๒๙", "DATE_FORMAT"),
        ("20230229", "DATE_IMPOSSIBLE"),
        ("20241301", "DATE_IMPOSSIBLE"),
        ("00000000", "DATE_IMPOSSIBLE"),
        ("17991231", "DATE_IMPOSSIBLE"),
    ],
)
def test_a_bad_date_tells_its_reason_and_not_itself(text, reason):
    with pytest.raises(DateError) as caught:
        dates.parse_f43_date(text)
    assert caught.value.reason == reason
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize("text", ["31/02/2567", "1/1/67", "2567", "first of May", "32/01/2567"])
def test_a_date_that_nobody_can_read_is_an_error(text):
    with pytest.raises(DateError):
        dates.parse_human_date(text)


def test_written_months_and_thai_digits_are_read():
    assert dates.parse_human_date("๒ ม.ค. ๒๕๖๗") == date(2024, 1, 2)
    assert dates.parse_human_date("2 มกราคม พ.ศ. 2567") == date(2024, 1, 2)
    assert dates.parse_human_date("2-1-2567") == dates.parse_human_date("2024-01-02") == date(2024, 1, 2)


def test_times_have_four_or_six_digits():
    assert dates.parse_f43_time("0930") == time(9, 30)
    assert dates.parse_f43_time("093015") == time(9, 30, 15)
    for text, reason in (("930", "TIME_FORMAT"), ("2460", "TIME_IMPOSSIBLE"), ("", "TIME_FORMAT")):
        with pytest.raises(DateError) as caught:
            dates.parse_f43_time(text)
        assert caught.value.reason == reason


def test_a_partial_date_keeps_what_is_known():
    assert str(dates.parse_partial_date("2510")) == "1967"
    assert str(dates.parse_partial_date("25100500")) == str(dates.parse_partial_date("1967-05")) == "1967-05"
    assert str(dates.parse_partial_date("19670512")) == "1967-05-12"
    assert dates.parse_partial_date("25100000") == PartialDate(1967)
    with pytest.raises(DateError):
        dates.parse_partial_date("19670012")


def test_a_partial_date_may_be_each_day_that_it_holds():
    year = PartialDate(1967)
    assert (year.earliest, year.latest) == (date(1967, 1, 1), date(1967, 12, 31))
    assert PartialDate(1968, 2).latest == date(1968, 2, 29)
    assert year.may_be(PartialDate(1967, 5, 12))
    assert not year.may_be(PartialDate(1968, 1, 1))


def test_thailand_is_a_day_ahead_of_utc_in_the_evening():
    assert dates.bangkok_date(datetime(2026, 1, 1, 17, 0, tzinfo=UTC)) == date(2026, 1, 2)
    assert dates.BANGKOK.utcoffset(None) == timedelta(hours=7)


@given(DAYS, DAYS)
def test_age_grows_by_one_at_each_birthday(born, day):
    age = dates.age_on(born, day)
    assert age == day.year - born.year - (1 if (day.month, day.day) < (born.month, born.day) else 0)
    assert (age >= 0) == (day >= born)
