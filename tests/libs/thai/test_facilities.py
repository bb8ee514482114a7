"""Codes of facilities."""

import pytest

from libs.thai import facilities
from libs.thai.facilities import FacilityCode, FacilityCodeError


def test_each_form_gives_the_forms_that_follow_from_it():
    assert facilities.parse("00051") == FacilityCode("00051", None, "000005100")
    assert facilities.parse("000005100") == FacilityCode("00051", None, "000005100")
    assert facilities.parse("AA0000051") == FacilityCode("00051", "AA0000051", "000005100")
    assert facilities.parse(" aa0000051 ").new9 == "AA0000051"


def test_a_code_from_which_no_five_digits_follow_keeps_its_own():
    assert facilities.parse("AA1234567") == FacilityCode(None, "AA1234567", None)
    assert facilities.parse("123456789") == FacilityCode(None, None, "123456789")
    assert facilities.parse("AA1234567").preferred == "AA1234567"
    assert facilities.code5_of("123456789") is None


def test_forms_are_made_from_five_digits():
    assert facilities.new9_of("GA", "07476") == "GA0007476"
    assert facilities.old9_of("07476") == "000747600"
    assert facilities.code5_of("GA0007476") == "07476"
    for make in (lambda: facilities.new9_of("g", "07476"), lambda: facilities.old9_of("7476")):
        with pytest.raises(FacilityCodeError):
            make()


@pytest.mark.parametrize("text", ["", "1234", "123456", "A00000051", "AAA000051", "๑๒๓๔๕"])
def test_other_texts_are_no_codes(text):
    assert not facilities.is_valid(text)
    with pytest.raises(FacilityCodeError) as caught:
        facilities.parse(text)
    assert caught.value.reason == "FACILITY_CODE_FORMAT"


def test_the_code_for_no_facility_is_told_apart():
    with pytest.raises(FacilityCodeError) as caught:
        facilities.parse("00000")
    assert caught.value.reason == "FACILITY_CODE_UNKNOWN"


def test_codes_that_no_facility_is_given_are_reserved():
    assert facilities.parse("99001").is_reserved
    assert not facilities.parse("00051").is_reserved
