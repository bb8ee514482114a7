"""What one ear hears alike."""

import pytest

from libs.thai.names import match_key
from libs.thai.sounds import roman_sound_of, skeleton_of, sound_of


@pytest.mark.parametrize(
    ("one", "other"),
    [("พงษ์", "พงศ์"), ("ศิริ", "สิริ"), ("วรรณ", "วัณ"), ("สุวรรณ", "สุวัน"), ("ประภา", "ปรพา"), ("ภัทร", "พัซ")],
)  # fmt: skip
def test_what_sounds_alike_has_one_sound(one, other):
    assert sound_of(one) == sound_of(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("phong", "pong"), ("wanna", "vanna"), ("thana", "tana"), ("siri", "siree"), ("chai", "jay")]
)
def test_romanisations_of_one_name_have_one_sound(one, other):
    assert roman_sound_of(one)[:3] == roman_sound_of(other)[:3] != ""


@pytest.mark.parametrize(
    "told",
    [
        "สมชาย Somchai Somchay Somjai",
        "ประเสริฐ Prasert",
        "ทรงศักดิ์ Songsak",
        "จันทร์เพ็ญ Chanphen Janpen",
        "ธรรมนูญ Thammanun Tammanoon",
        "วิชัย Wichai Vichai",
        "ณัฐพงษ์ ณัฐพงศ์ Nattapong Natthaphong",
        "หยิน ยิน Yin",
        "เพียวโซ่โม โพโสโม Phyosoemoe",
        "อรทัย Orathai Oratai",
        "วงศ์จัน วงจัน Wongchan Vongjan",
    ],
)
def test_a_name_has_one_skeleton_in_both_scripts(told):
    assert len({skeleton_of(match_key(name)) for name in told.split()}) == 1


@pytest.mark.parametrize(("one", "other"), [("สมชาย", "มานะ"), ("วิชัย", "ประเสริฐ"), ("Somchai", "ณัฐพงษ์")])
def test_other_names_have_other_skeletons(one, other):
    assert skeleton_of(match_key(one)) != skeleton_of(match_key(other))


def test_what_has_no_consonant_of_either_script_has_no_skeleton():
    assert skeleton_of("") == skeleton_of("aeiou") == skeleton_of("李") == ""
