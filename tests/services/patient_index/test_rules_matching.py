"""Who is one person: told in examples, and in what must hold for all."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.patient_index.model import Features, Grade, Identifier, Sex
from services.patient_index.rules import comparing
from services.patient_index.rules.matching import (
    NUMBER_CONTRADICTED,
    SAME_NUMBER_AND_BIRTH,
    SAME_NUMBER_AND_NAME,
    SAME_PASSPORT_AND_BIRTH,
    Claim,
    match,
)
from services.patient_index.rules.soundness import Claimant, Claims, believed
from services.patient_index.rules.weighing import FS_1, probability, read_model
from tests.services.patient_index.people import a_number, a_person

NUMBER = a_number(1)


def grade(one: Features, other: Features, claim: Claim = Claim.SOUND) -> tuple[Grade, str]:
    found = match("other", one, other, claim)
    return found.grade, found.rule


SAME_PERSON = [
    ("the same form again", {}, {}),
    ("a boy grew up", {"prefix": "เด็กชาย"}, {"prefix": "นาย"}),
    ("moved to another province", {}, {"place": "100101", "phone": ""}),
    ("a slip in the family name", {}, {"family": "ใจดีงามม"}),
    ("day and month swapped", {"born": "1984-02-05"}, {"born": "1984-05-02"}),
    (
        "only roman letters, foreign",
        {"given": "", "family": "", "roman": ("Aung", "Min Thu")},
        {"given": "", "family": "", "roman": ("AUNG", "Minthu")},
    ),
]


@pytest.mark.parametrize(("why", "one", "other"), SAME_PERSON, ids=[example[0] for example in SAME_PERSON])
def test_demographics_alone_make_certain(why, one, other):
    assert grade(a_person(**one), a_person(**other)) == (Grade.CERTAIN, "")


NEVER_LINKED = [
    ("twins", {"given": "ธนพล"}, {"given": "กิตติ"}),
    ("twins with rhyming names", {"given": "ธนพล"}, {"given": "ธนพร"}),
    ("twins with numbers", {"given": "ธนพล", "number": NUMBER}, {"given": "ธนพร", "number": a_number(2)}),
    ("father and son of one name", {"born": "1960-01-01"}, {"born": "1984-02-29"}),
    ("father and son, one month and day", {"born": "1958-02-28"}, {"born": "1984-02-28"}),
    ("husband and wife", {}, {"given": "สมหญิง", "prefix": "นาง", "sex": Sex.FEMALE, "born": "1986-03-01"}),
    ("two valid numbers", {"number": NUMBER}, {"number": a_number(2)}),
    ("a namesake elsewhere", {"phone": ""}, {"born": "1990-07-07", "place": "100101", "phone": ""}),
    (
        "of one family name and birthday",
        {"phone": ""},
        {"given": "อรุณี", "sex": Sex.FEMALE, "place": "100101", "phone": ""},
    ),
    ("nobody knows who", {"given": "ไม่ทราบ", "family": "-"}, {"given": "ไม่ทราบ", "family": "-"}),
]


@pytest.mark.parametrize(("why", "one", "other"), NEVER_LINKED, ids=[example[0] for example in NEVER_LINKED])
def test_however_alike_these_are_not_linked(why, one, other):
    assert grade(a_person(**one), a_person(**other))[0] is not Grade.CERTAIN


def test_a_two_digit_buddhist_year_read_as_ours_is_recognised():
    confused, right = a_person(born="1927-02-28"), a_person(born="1984-02-28")
    assert comparing.birth_level(confused, right) == comparing.ERA
    assert grade(confused, right)[0] is Grade.PROBABLE


def test_a_changed_family_name_waits_for_review():
    before = a_person(prefix="นางสาว", given="วรรณา", sex=Sex.FEMALE)
    assert grade(before, replace(before, family="มั่งมีสุข"))[0] is Grade.PROBABLE


BIRTH_LEVELS = [
    ("1984-02-29", "1984-02-29", "exact"),
    ("1984-02-05", "1984-05-02", "swapped"),
    ("1984-02-05", "1985-02-05", "near"),
    ("1984-02-05", "1984-02-15", "near"),
    ("1984-12-31", "1985-01-01", "near"),
    ("1984-02-05", "1994-02-05", "near"),
    ("1984", "1984-02-05", "partial"),
    ("1984-03", "1984-02-05", "different"),
    ("1984-02-05", "1990-07-11", "different"),
    ("", "1990-07-11", "missing"),
]


@pytest.mark.parametrize(("one", "other", "level"), BIRTH_LEVELS)
def test_levels_of_birth_dates(one, other, level):
    assert comparing.birth_level(a_person(born=one), a_person(born=other)) == level


NUMBER_RULES = [
    ("born alike", {}, {"given": "เปลี่ยนชื่อ", "family": "มั่งมีสุข"}, (Grade.CERTAIN, SAME_NUMBER_AND_BIRTH)),
    ("named alike", {}, {"born": "1985-01-01"}, (Grade.CERTAIN, SAME_NUMBER_AND_NAME)),
    ("nothing alike", {}, {"given": "กิตติ", "family": "มั่งมีสุข", "born": "1991-01-01"}, (Grade.PROBABLE, NUMBER_CONTRADICTED)),
    ("other sex, other year", {}, {"sex": Sex.FEMALE, "born": "1991-01-01"}, (Grade.PROBABLE, NUMBER_CONTRADICTED)),
]  # fmt: skip


@pytest.mark.parametrize(("why", "one", "other", "expected"), NUMBER_RULES, ids=[rule[0] for rule in NUMBER_RULES])
def test_a_shared_citizen_id_needs_one_more_agreement(why, one, other, expected):
    assert grade(a_person(number=NUMBER, **one), a_person(number=NUMBER, **other)) == expected


def test_a_number_that_a_village_shares_says_nothing():
    one, other = a_person(number=NUMBER), a_person(number=NUMBER, given="กิตติ", family="มั่งมีสุข")
    found = match("other", one, other, Claim.SHARED)
    assert (found.rule, "citizen_id" in {field.field for field in found.fields}) == ("", False)
    assert found.grade is not Grade.CERTAIN


def test_a_passport_counts_with_nationality_and_birth_date():
    one = a_person(passport="MC1", nationality="048", given="", family="", roman=("Aung", "Thu"))
    other = replace(one, given_roman="khin")
    assert grade(one, other) == (Grade.CERTAIN, SAME_PASSPORT_AND_BIRTH)
    assert grade(one, replace(other, nationality="099"))[0] is not Grade.CERTAIN
    assert grade(one, replace(other, birth_date="1984-03-01"))[0] is not Grade.CERTAIN


def test_what_is_missing_weighs_nothing():
    weights = FS_1.weigh(a_person(), Features())
    assert {(field.level, field.weight) for field in weights} == {("missing", 0.0)}


def test_a_name_that_many_bear_weighs_less():
    one = a_person()
    shares = {"given_name|สมชาย": 0.02}
    assert FS_1.total(FS_1.weigh(one, one, shares)) == pytest.approx(FS_1.total(FS_1.weigh(one, one)) - 3.0)


def test_the_model_is_a_probability_at_every_level():
    for levels in FS_1.comparisons.values():
        assert sum(level.m for level in levels.values()) == pytest.approx(1.0, abs=1e-3)
        assert sum(level.u for level in levels.values()) == pytest.approx(1.0, abs=1e-3)


def test_a_model_that_leaves_a_field_out_is_refused():
    with pytest.raises(ValueError, match="each field"):
        read_model('{"name": "half", "prior": 0.5, "thresholds": {}, "comparisons": []}')


features = st.builds(
    a_person,
    number=st.sampled_from(["", NUMBER, a_number(2)]),
    given=st.sampled_from(["", "สมชาย", "สมชัย", "สมหญิง", "ธนพล"]),
    family=st.sampled_from(["", "ใจดีงาม", "ใจดีงามม", "มั่งมีสุข"]),
    roman=st.sampled_from([None, ("Somchai", "Jaidee"), ("Somchay", "Jaidee")]),
    born=st.sampled_from(["", "1984", "1984-02-05", "1984-05-02", "1985-02-05", "1927-02-05", "1960-01-01"]),
    sex=st.sampled_from([Sex.UNSPECIFIED, Sex.MALE, Sex.FEMALE]),
    place=st.sampled_from(["", "50", "5012", "501203", "100101"]),
    phone=st.sampled_from(["", "0812345678", "0898765432"]),
)


@given(features, features, st.sampled_from(Claim))
def test_a_match_is_the_same_from_either_side(one, other, claim):
    first, second = (match("other", *pair, claim, is_thorough=True) for pair in ((one, other), (other, one)))
    assert (first.grade, first.rule, first.fields) == (second.grade, second.rule, second.fields)


@given(features, features, st.sampled_from(Claim))
def test_two_valid_numbers_are_never_certain(one, other, claim):
    if comparing.have_other_citizen_ids(one, other):
        assert match("other", one, other, claim).grade is not Grade.CERTAIN


@given(st.floats(-2000, 2000))
def test_every_weight_is_a_probability(weight):
    assert 0.0 <= probability(weight) <= 1.0


def claimants(*people: Features) -> list[Claimant]:
    return [Claimant(str(index), f"person {index}", person) for index, person in enumerate(people)]


def test_one_slip_among_three_leaves_the_number_to_the_two():
    mine, slip = a_person(number=NUMBER), a_person(number=NUMBER, given="กิตติ", family="มั่งมีสุข", born="1991-01-01")
    assert believed(claimants(mine, slip)) == frozenset()
    assert believed(claimants(mine, slip, mine)) == {"0", "2"}


def test_a_dummy_number_is_nobodys():
    village = [
        a_person(number=NUMBER, given=f"{letter}นพล", family=f"{letter}{letter}มีสุข", born=f"19{year}-01-01")
        for year, letter in zip(range(40, 50), "กขคงจชซดตถ", strict=True)
    ]
    claims = Claims(claimants(*village))
    assert believed(claimants(*village)) == frozenset()
    assert claims.between("0", "1") is Claim.SHARED


@settings(max_examples=40)
@given(st.lists(features, min_size=1, max_size=7), st.randoms())
def test_whose_a_number_is_does_not_depend_on_who_came_first(people, chance):
    shown = claimants(*(replace(person, identifiers=(Identifier("system", "1"),)) for person in people))
    shuffled = [*shown]
    chance.shuffle(shuffled)
    one, other = believed(shown), believed(shuffled)
    assert len(one) == len(other)
    # Two groups of a third each are never both believed, so that the answer is one and the same.
    assert one == other
