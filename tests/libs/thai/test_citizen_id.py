"""The civil registry's number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.thai import citizen_id
from libs.thai.citizen_id import CitizenIdError, PersonClass

DIGITS = st.text(alphabet="0123456789", min_size=12, max_size=12)


def plain_check_digit(first12: str) -> int:
    """The rule as it is told: weights 13 down to 2."""
    total = sum(int(digit) * (13 - place) for place, digit in enumerate(first12))
    return (11 - total % 11) % 10


@given(DIGITS)
def test_the_check_digit_is_that_of_the_rule(first12):
    assert citizen_id.check_digit(first12) == str(plain_check_digit(first12))


@given(DIGITS)
def test_a_made_number_is_valid(first12):
    assert citizen_id.is_valid(citizen_id.make(first12))


@given(DIGITS, st.integers(1, 9))
def test_another_last_digit_is_never_valid(first12, shift):
    made = citizen_id.make(first12)
    assert not citizen_id.is_valid(made[:12] + str((int(made[12]) + shift) % 10))


@pytest.mark.parametrize(
    "text", ["", "912345678901", "91234567890100", "9123456789o10", "๙๑๒๓๔๕๖๗๘๙๐๑๐", "9123456789 10"]
)
def test_what_is_not_thirteen_digits_is_not_valid(text):
    assert not citizen_id.is_valid(text)
    with pytest.raises(CitizenIdError) as caught:
        citizen_id.require_valid(text)
    assert caught.value.reason == "CITIZEN_ID_FORMAT"


def test_an_error_never_repeats_the_number():
    wrong = "9123456789011"
    with pytest.raises(CitizenIdError) as caught:
        citizen_id.require_valid(wrong)
    assert caught.value.reason == "CITIZEN_ID_CHECK_DIGIT"
    assert wrong not in str(caught.value)


def test_only_numbers_that_begin_with_9_are_synthetic():
    assert citizen_id.is_synthetic(citizen_id.make("912345678901"))
    assert not citizen_id.is_synthetic(citizen_id.make("812345678901"))
    assert not citizen_id.is_synthetic("9123456789011")


def test_the_first_digit_tells_the_class():
    assert citizen_id.person_class(citizen_id.make("912345678901")) is PersonClass.SYNTHETIC
    assert citizen_id.person_class(citizen_id.make("012345678901")) is PersonClass.UNREGISTERED
    assert citizen_id.person_class(citizen_id.make("612345678901")) is PersonClass.TEMPORARY


@given(DIGITS)
def test_what_is_written_for_people_reads_back(first12):
    made = citizen_id.make(first12)
    assert citizen_id.normalize(citizen_id.format_for_people(made)) == made


def test_thai_digits_and_separators_are_read():
    assert citizen_id.normalize(" ๙-1234-56789-01-0\u200b") == "9123456789010"


def test_eleven_digits_make_no_number():
    with pytest.raises(CitizenIdError):
        citizen_id.make("91234567890")
