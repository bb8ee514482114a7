"""What is compared of a person, and the model that was learnt for it."""

import pytest

from libs.linkage import person, scoring
from libs.linkage.model import read_model


def weigh(one, other):
    model = person.th_person_1()
    said = scoring.weigh(model, person.row_of(**one), person.row_of(**other))
    return {each.field: each.level for each in said}, scoring.grade(model, scoring.total(model, said))


_SOMCHAI = {
    "given": "สมชาย",
    "family": "ใจดีมาก",
    "birth": "1984-02-29",
    "sex": "male",
    "phone": "0812345678",
    "place": "100101",
}


@pytest.mark.parametrize(
    ("change", "field", "level"),
    [
        ({}, "given", "exact"),
        ({"given": "นายสมชาย"}, "given", "exact"),
        ({"given": "ด.ช.สมชาย"}, "given", "exact"),
        ({"given": "สมชาญ"}, "given", "sound"),
        ({"given": "สมชายย์"}, "given", "sound"),
        ({"given": "Somchai"}, "given", "skeleton"),
        ({"given": "Somchay"}, "given", "skeleton"),
        ({"given": "มานะ"}, "given", "different"),
        ({"given": "ไม่ทราบ"}, "given", "missing"),
        ({"given": "ใจดีมาก", "family": "สมชาย"}, "given", "crossed"),
        ({"family": "ใจตีมาก"}, "family", "similar"),
        ({"birth": "2527-02-29"}, "birth", "exact"),
        ({"birth": "1984"}, "birth", "partial"),
        ({"birth": "1984-01-01"}, "birth", "partial"),
        ({"birth": "1927-02-29"}, "birth", "missing"),
        ({"birth": "1984-02-19"}, "birth", "slip"),
        ({"birth": "1984-03-29"}, "birth", "slip"),
        ({"birth": "1984-11-29"}, "birth", "near"),
        ({"birth": ""}, "birth", "missing"),
        ({"birth": "1951-07-12"}, "birth", "different"),
        ({"place": "100102"}, "place", "district"),
        ({"place": "102201"}, "place", "province"),
        ({"place": ""}, "place", "missing"),
        ({"phone": "+66 81 234 5678"}, "phone", "same"),
        ({"phone": "0812345687"}, "phone", "slip"),
        ({"sex": "female"}, "sex", "different"),
    ],
)  # fmt: skip
def test_what_is_written_otherwise_is_at_the_level_that_says_how(change, field, level):
    levels, _ = weigh(_SOMCHAI, _SOMCHAI | change)
    assert levels[field] == level


def test_swapped_day_and_month_and_a_wrong_era_are_told_apart():
    born = _SOMCHAI | {"birth": "1984-02-03"}
    assert weigh(born, born | {"birth": "1984-03-02"})[0]["birth"] == "swapped"
    assert weigh(born, born | {"birth": "1927-02-03"})[0]["birth"] == "era"


def test_a_neighbour_swap_in_a_number_is_a_slip():
    one = _SOMCHAI | {"citizen_id": "9100000000016"}
    assert weigh(one, _SOMCHAI | {"citizen_id": "9100000000061"})[0]["citizen_id"] == "slip"


def test_a_latin_name_and_its_thai_weigh_as_one_person():
    levels, grade = weigh(_SOMCHAI, _SOMCHAI | {"given": "Somchai", "family": "Chaideemak"})
    assert levels["family"] == "skeleton"
    assert grade in ("certain", "probable")


def test_a_son_of_his_fathers_name_is_not_his_father():
    """The weight of all that kin share is high: the birth's level is what rules must hold them apart by."""
    levels, _ = weigh(_SOMCHAI, _SOMCHAI | {"birth": "2010-06-01"})
    assert levels["birth"] == "different"


def test_two_names_that_many_bear_are_rivals_and_a_slip_is_none():
    one = _SOMCHAI | {"given": "ธนวัฒน์", "given_bearers": 200}
    assert weigh(one, one | {"given": "ธนพัฒน์", "given_bearers": 150})[0]["given"] == "rival"
    assert weigh(one, one | {"given": "ธนพัฒน์", "given_bearers": 2})[0]["given"] == "similar"


def test_the_models_columns_are_those_of_a_row():
    assert set(person.th_person_1().columns) <= set(person.COLUMNS) == set(person.row_of())
    assert read_model(person.template(with_ids=False)).columns == tuple(
        column for column in read_model(person.template()).columns if column not in person.NUMBERS
    )
