"""The registry's places."""

import pytest

from libs.thai import places
from libs.thai.places import PlaceError


def test_there_are_77_provinces_in_13_health_regions():
    assert len(places.provinces()) == 77
    assert {places.health_region(code) for code in places.provinces()} == set(range(1, 14))
    assert sum(len(places.provinces_of_region(region)) for region in range(1, 14)) == 77
    assert places.health_region("10") == 13
    assert places.health_region("501406") == 1
    assert places.provinces_of_region(7) == ("40", "44", "45", "46")


def test_every_place_lies_in_another():
    current = [code for province in places.provinces() for code in places.children(province)]
    assert len([code for code in current if places.require(code).is_current]) == 928
    below = [code for district in current for code in places.children(district)]
    assert len([code for code in below if places.require(code).is_current]) == 7438
    assert all(code.startswith(places.district_of(code)) for code in below)


def test_a_place_is_known_in_thai_and_roman():
    place = places.require("500101")
    assert (place.name_th, place.name_en, place.postcode) == ("ศรีภูมิ", "Si Phum", "50200")
    assert place.latitude is not None
    assert place.longitude is not None
    assert 18 < place.latitude < 19
    assert 98 < place.longitude < 100


def test_a_place_is_written_with_what_it_lies_in():
    assert places.full_name("500101") == "ต.ศรีภูมิ อ.เมืองเชียงใหม่ จ.เชียงใหม่"
    assert places.full_name("100101") == "แขวงพระบรมมหาราชวัง เขตพระนคร กรุงเทพมหานคร"
    assert places.full_name("50") == "จ.เชียงใหม่"


def test_longer_codes_lead_to_shorter_ones():
    assert places.province_of("50010103") == "50"
    assert places.district_of("50010103") == "5001"
    assert places.sub_district_of("50010103") == "500101"
    assert places.find("50010103") == places.find("500101")
    for function, code in ((places.district_of, "50"), (places.sub_district_of, "5001")):
        with pytest.raises(PlaceError):
            function(code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "PLACE_FORMAT"),
        ("5", "PLACE_FORMAT"),
        ("501", "PLACE_FORMAT"),
        ("ab", "PLACE_FORMAT"),
        ("00", "PLACE_UNKNOWN"),
        ("509999", "PLACE_UNKNOWN"),
    ],
)
def test_what_is_no_place_is_an_error(code, reason):
    with pytest.raises(PlaceError) as caught:
        places.require(code)
    assert caught.value.reason == reason


def test_parts_of_the_43_files_compose_as_far_as_they_are_known():
    assert places.compose("50", "01", "01") == "500101"
    assert places.compose("50", "01", "99") == "5001"
    assert places.compose("50", "99", "01") == "50"
    assert places.compose("99", "99", "99") == places.compose("") == places.compose("00") == ""
    assert places.compose("50", "01", "77") == "5001"
    assert places.split("5001") == ("50", "01", "99")
    assert places.split("500101") == ("50", "01", "01")


def test_village_numbers_above_99_have_a_letter():
    assert places.parse_village("07") == 7
    assert places.parse_village("00") == 0
    assert places.parse_village("99") is None
    assert places.parse_village("A0") == 100
    assert places.parse_village("Z9") == 359
    assert all(
        places.parse_village(places.format_village(number)) == number for number in (*range(99), *range(100, 360))
    )
    for text in ("", "7", "a0", "AA", "100"):
        with pytest.raises(PlaceError):
            places.parse_village(text)
    with pytest.raises(PlaceError):
        places.format_village(360)
    assert places.format_village(None) == "99"
