"""Slips of finger, ear and calendar."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.population.draws import Draws, Table
from tools.thaibench import slips, words
from tools.thaibench.rates import STANDARD

KINDS = Table(STANDARD.slips)


@given(st.integers(0, 10**6))
def test_a_slip_changes_a_name_and_leaves_it_near(seed):
    draws = Draws(str(seed))
    name = words.given_name(draws, "female", 1990).thai
    told, kind = slips.slip(draws, name, KINDS)
    assert kind in slips.KINDS
    assert told != name
    assert abs(len(told) - len(name)) <= 3


@pytest.mark.parametrize(("letter", "near"), [("ก", "หดำแ"), ("ส", "าวนใ"), ("พ", "ำะด")])
def test_neighbours_lie_side_by_side_on_the_kedmanee_keyboard(letter, near):
    assert set(near) <= set(slips._NEIGHBOURS[letter])


@pytest.mark.parametrize(("plain", "shifted"), [("ะ", "ธ"), ("ส", "ศ"), ("ร", "ณ"), ("า", "ษ"), ("่", "๋")])
def test_shift_makes_the_letter_above(plain, shifted):
    assert slips._SHIFTS[plain] == shifted
    assert slips._SHIFTS[shifted] == plain


def test_a_name_of_one_letter_is_left_alone():
    assert slips.slip(Draws("1"), "ก", KINDS) == ("ก", "")


def test_days_and_months_change_places_where_the_calendar_allows():
    assert slips.swap_birth(date(1984, 3, 11)) == "1984-11-03"
    assert slips.swap_birth(date(1984, 3, 29)) == "1984-03-29"


def test_eras_are_confused_as_people_confuse_them():
    assert slips.buddhist_birth(date(1984, 2, 28)) == "2527-02-28"
    assert slips.misconvert_birth(date(1984, 2, 28)) == "1927-02-28"


@given(st.dates(date(1910, 1, 1), date(2025, 12, 31)), st.integers(0, 10**6))
def test_a_date_with_a_wrong_digit_is_another_date(born, seed):
    told = date.fromisoformat(slips.change_birth(Draws(str(seed)), born))
    assert told != born
    assert sum(one != other for one, other in zip(told.isoformat(), born.isoformat(), strict=True)) == 1


@given(st.integers(0, 10**6))
def test_swapped_digits_are_the_same_digits(seed):
    told = slips.swap_digits(Draws(str(seed)), "9123456789015")
    assert told != "9123456789015"
    assert sorted(told) == sorted("9123456789015")
    assert told[0] == "9"
