"""Thai names and titles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.thai import names
from libs.thai.names import PREFIXES, PrefixGroup

THAI = st.text(alphabet=st.characters(min_codepoint=0x0E01, max_codepoint=0x0E4E), max_size=20)


@pytest.mark.parametrize(
    ("written", "code", "rest"),
    [
        ("นายสมชาย", "003", "สมชาย"),
        ("นาย  สมชาย", "003", "สมชาย"),
        ("ด.ช.ก้อง", "001", "ก้อง"),
        ("ดช.ก้อง", "001", "ก้อง"),
        ("เด็กหญิงมานี", "002", "มานี"),
        ("น.ส. สุดา", "004", "สุดา"),
        ("นางสาวสุดา", "004", "สุดา"),
        ("นางสุดา", "005", "สุดา"),
        ("ว่าที่ ร.ต. มานะ", "219", "มานะ"),
        ("ว่าที่ร้อยตรีมานะ", "219", "มานะ"),
        ("พลเอกประสงค์", "200", "ประสงค์"),
        ("พระ สมชาย", "831", "สมชาย"),
        ("Mr. John", "003", "John"),
        ("MISS Anna", "004", "Anna"),
    ],
)
def test_a_title_inside_a_name_is_taken_out(written, code, rest):
    prefix, name = names.split_prefix(written)
    assert prefix is not None
    assert (prefix.code, name) == (code, rest)


@pytest.mark.parametrize(
    "name", ["สมชาย", "นายิกา", "นายก", "คุณากร", "ขุนพล", "พระพาย", "พลอย", "พันธ์", "เจ้าอาวาส", "Mira", ""]
)
def test_a_name_that_only_begins_like_a_title_is_left_whole(name):
    assert names.split_prefix(name) == (None, name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("น\u0e33\u0e49", "น\u0e49\u0e33"),
        ("น\u0e4d\u0e49\u0e32", "น\u0e49\u0e33"),
        ("น\u0e49\u0e4d\u0e32", "น\u0e49\u0e33"),
        ("เเสง", "แสง"),
        ("ท\u0e48\u0e35", "ท\u0e35\u0e48"),
        ("ท\u0e35\u0e48\u0e48", "ท\u0e35\u0e48"),
        ("ทีี", "ที"),
        ("สม\u200bชาย", "สมชาย"),
        ("\ufeffสมชาย", "สมชาย"),
        ("  สม   ชาย ", "สม ชาย"),
        ("สม\u00a0ชาย", "สม ชาย"),
        ("\u0e48สมชาย", "สมชาย"),
        ("Some\u0301", "Somé"),
    ],
)
def test_a_name_comes_to_its_one_spelling(written, meant):
    assert names.normalize(written) == meant


@given(THAI)
def test_normalizing_twice_changes_nothing_more(text):
    once = names.normalize(text)
    assert names.normalize(once) == once


@given(st.text(max_size=30))
def test_no_text_at_all_breaks_it(text):
    names.clean(text, text, text[:3])
    names.is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "--",
        "...",
        "ไม่ทราบ",
        "ไม่ทราบชื่อ",
        "ไม่ ทราบ",
        "ไม่มีนามสกุล",
        "UNKNOWN",
        "n/a",
        "xxx",
        "ๆๆๆ",
        "บุตรนางสมศรี",
        "๑๒",
    ],
)
def test_what_stands_for_no_name_is_known(text):
    assert names.is_placeholder(text)


@pytest.mark.parametrize("text", ["สมชาย", "ออ", "อี๊ด", "A", "Na Ayutthaya", "ณ อยุธยา", "บุตรดี", "ลูกแก้ว"])
def test_a_short_or_odd_name_is_a_name(text):
    assert not names.is_placeholder(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("001", "003"),
        ("002", "004"),
        ("004", "005"),
        ("002", "005"),
        ("003", "218"),
        ("", "003"),
        (None, None),
        ("003", "831"),
        ("999", "005"),
    ],
)
def test_a_change_of_title_within_a_life_is_no_conflict(one, other):
    assert not names.prefixes_conflict(one, other)
    assert not names.prefixes_conflict(other, one)


@pytest.mark.parametrize(("one", "other"), [("003", "005"), ("001", "002"), ("831", "004")])
def test_titles_of_two_sexes_conflict(one, other):
    assert names.prefixes_conflict(one, other)
    assert names.prefixes_conflict(other, one)


def test_the_registry_has_504_titles():
    assert len(PREFIXES) == 504
    assert PREFIXES["005"].sex == "female"
    assert PREFIXES["001"].group is PREFIXES["003"].group is PrefixGroup.MALE
    assert PREFIXES["832"].group is PrefixGroup.MONASTIC


def test_a_title_is_found_in_any_form():
    assert names.find_prefix("น.ส.") is names.find_prefix("นางสาว") is names.find_prefix("004") is PREFIXES["004"]
    assert names.find_prefix("สมชาย") is None


def test_cleaning_takes_the_code_before_the_written_title():
    cleaned = names.clean("น.ส.สุดา", "-", "005")
    assert cleaned.prefix is PREFIXES["005"]
    assert (cleaned.given, cleaned.family) == ("สุดา", "")
    assert names.clean("น.ส.สุดา", "ใจดี", "???").prefix is PREFIXES["004"]


def test_match_keys_ignore_case_blanks_and_order_of_marks():
    assert names.match_key("Na  Ayutthaya") == names.match_key("na-ayutthaya")
    assert names.match_key("ท\u0e48\u0e35 ดี") == names.match_key("ท\u0e35\u0e48ดี")
