"""What is written in many ways comes to one."""

import pytest

from tools.linkage.tables import folding


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        (["1990-04-13"], "1990-04-13 00:00:00", "19900413"),
        (["13/04/2533"], "13/04/2533", "19900413"),
        (["04/13/1990"], "04/05/1990", "19900405"),
        (["13.04.1990"], "04.05.1990", "19900504"),
        (["04/05/1990"], "04/05/1990", "19900504"),
        (["19900413"], "19900413", "19900413"),
        (["13041990"], "13041990", "19900413"),
        (["25330413"], "25330413", "19900413"),
        ([], "13 เมษายน 2533", "19900413"),
        ([], "19901399", "19901399"),
        ([], "1990", "1990"),
        ([], "-", None),
        ([], "", None),
    ],
)
def test_days_are_read_as_their_column_writes_them(column, text, expected):
    assert folding.birth(column)(text) == expected


@pytest.mark.parametrize(
    ("fold", "text", "expected"),
    [
        (folding.given, "นายสมชาย", "สมชาย"),
        (folding.given, "Mr. John-Paul", "johnpaul"),
        (folding.given, "ไม่ทราบ", None),
        (folding.family, "O'Neil", "oneil"),
        (folding.family, "-", None),
        (folding.sex, "F", "female"),
        (folding.sex, "ชาย", "male"),
        (folding.sex, "X", "x"),
        (folding.phone, "+66 81 234 5678", "812345678"),
        (folding.phone, "0000000000", None),
        (folding.code, " AB-12 3 ", "ab123"),
        (folding.code, "99999", None),
        (folding.words, "12, High  Street", "12 high street"),
        (folding.words, "หมู่บ้าน สุขใจ 2", "หมู่บ้าน สุขใจ 2"),
        (folding.words, "N/A", None),
    ],
)
def test_values_come_to_one_spelling(fold, text, expected):
    assert fold(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("นายสมชาย ใจดี", ("สมชาย", "ใจดี")),
        ("John Ronald Smith", ("John", "Ronald Smith")),
        ("Smith, John", ("John", "Smith")),
        ("สมชาย", ("สมชาย", "")),
    ],
)
def test_a_name_in_one_is_parted(text, expected):
    assert folding.whole_name(text) == expected
