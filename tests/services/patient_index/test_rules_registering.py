"""What may be registered, and what of it is compared."""

from dataclasses import replace
from datetime import date

import pytest

from libs.thai.identifiers import CITIZEN_ID
from services.patient_index.model import Features, FiledName, Identifier, KeyKind, Sex
from services.patient_index.rules.blocking import keys_of
from services.patient_index.rules.registering import (
    features_of,
    folded,
    folded_phone,
    normalized,
    registration_id_of,
    violations,
)
from tests.services.patient_index.people import HOSPITAL_A, HOSPITAL_B, a_filing, a_number, a_person

TODAY = date(2026, 11, 23)


def reasons(**told) -> list[tuple[str, str]]:
    return [(one.field, one.reason) for one in violations(a_filing(**told), TODAY)]


def test_a_sound_registration_has_no_violation():
    assert reasons(number=a_number(1), passport="MC123456") == []


@pytest.mark.parametrize("number", ["9000000000000", "123", "912345678901X", "๙๑๒๓"])
def test_a_citizen_id_whose_last_digit_does_not_check_is_refused(number):
    assert reasons(number=number) == [("identifiers[0].value", "CITIZEN_ID_INVALID")]


def test_the_second_of_two_citizen_ids_is_refused():
    filed = replace(a_filing(), identifiers=tuple(Identifier(CITIZEN_ID, a_number(seed)) for seed in (1, 2)))
    found = violations(filed, TODAY)
    assert [(one.field, one.reason) for one in found] == [("identifiers[1].value", "CITIZEN_ID_INVALID")]


@pytest.mark.parametrize(
    "born", ["2527-02-29", "1849-12-31", "2023-02-29", "1984-13-01", "2026-11-24", "1984-00", "0000"]
)
def test_a_birth_date_that_cannot_be_is_refused(born):
    assert reasons(born=born) == [("birth_date", "BIRTH_DATE_INVALID")]


@pytest.mark.parametrize("born", ["", "1984", "1984-02", "1984-02-29", "1850-01-01", "2026-11-23"])
def test_a_birth_date_of_any_precision_is_taken(born):
    assert reasons(born=born) == []


def test_a_place_that_the_registry_does_not_have_is_refused():
    assert reasons(place="509999") == [("address.place_code", "PLACE_CODE_INVALID")]


def test_no_message_repeats_the_value():
    for told in ({"number": "9000000000000"}, {"born": "2527-02-29"}, {"place": "509999"}, {"local_number": "a\x00b"}):
        (violation,) = violations(a_filing(**told), TODAY)
        assert not any(value in violation.description for value in told.values())


def test_both_families_of_systems_come_to_one():
    dressed = normalized(Identifier("https://www.dopa.go.th", " 9-0000-00000-01-7 "))
    assert dressed == Identifier(CITIZEN_ID, "9000000000017")


def test_the_same_organisation_and_number_are_the_same_registration():
    assert registration_id_of(HOSPITAL_A, "12") == registration_id_of(HOSPITAL_A, "12")
    assert registration_id_of(HOSPITAL_A, "12") != registration_id_of(HOSPITAL_B, "12")


@pytest.mark.parametrize(
    ("prefix", "given"),
    [("นาย", "สมชาย"), ("เด็กชาย", "สมชาย"), ("", "ด.ช.สมชาย"), ("", "นายสมชาย"), ("003", " สมชาย ")],
)
def test_a_title_is_no_part_of_the_name_and_tells_the_sex(prefix, given):
    assert folded(FiledName("th", prefix, given, "ใจดี")) == ("สมชาย", "ใจดี", Sex.MALE)


@pytest.mark.parametrize("given", ["-", "ไม่ทราบ", "unknown", "ไม่มีชื่อ", "บุตรนางสมหญิง", "..."])
def test_a_placeholder_is_no_name(given):
    features = a_person(given=given, family="-")
    assert features.given == features.family == ""
    assert {kind for kind, _ in keys_of(features)} == {KeyKind.PHONE}


def test_the_sex_is_taken_from_the_title_where_the_form_leaves_it_out():
    assert features_of(a_filing(prefix="นางสาว", sex=Sex.UNKNOWN)).sex == Sex.FEMALE


@pytest.mark.parametrize("phone", ["0812345678", "+66 81 234 5678", "081-234-5678", "๐๘๑๒๓๔๕๖๗๘"])
def test_one_telephone_in_many_spellings(phone):
    assert folded_phone(phone) == "812345678"


def test_names_are_told_apart_by_their_script():
    features = a_person(roman=("Somchai", "Jaidee-Ngam"))
    assert (features.given, features.given_roman, features.family_roman) == ("สมชาย", "somchai", "jaideengam")


def test_an_organisations_own_number_is_no_key():
    own = Identifier(f"https://terms.sil-th.org/hcode/5/{HOSPITAL_A}/HN", "7")
    features = Features(identifiers=(own,))
    assert keys_of(features, HOSPITAL_A, "7") == ()
    assert [kind for kind, _ in keys_of(features, HOSPITAL_B, "7")] == [KeyKind.IDENTIFIER]
