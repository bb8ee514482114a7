"""Rows, judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.f43.checks import Fault, compile_check
from libs.f43.schema import FILES, Form
from tests.libs.f43.zips import a_row

PERSON = compile_check(FILES["PERSON"])


def reasons(row: list[str], check=PERSON) -> list[tuple[str, str]]:
    return [(fault.column, fault.reason) for fault in check(row)]


def test_a_sound_row_has_no_fault():
    assert PERSON(a_row()) == ()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("PID", "", "REQUIRED"),
        ("PID", "1" * 16, "TOO_WIDE"),
        ("NAME", "ก" * 51, "TOO_WIDE"),
        ("SEX", "3", "CODE_UNKNOWN"),
        ("SEX", "", "REQUIRED"),
        ("PRENAME", "998", "CODE_UNKNOWN"),
        ("NATION", "ไทย", "CODE_UNKNOWN"),
        ("CID", "912345678901", "CITIZEN_ID_FORMAT"),
        ("CID", "๙๑๒๓๔๕๖๗๘๙๐๑๐", "CITIZEN_ID_FORMAT"),
        ("CID", "9123456789011", "CITIZEN_ID_CHECK_DIGIT"),
        ("MOTHER", "9123456789011", "CITIZEN_ID_CHECK_DIGIT"),
        ("BIRTH", "19700230", "DATE_IMPOSSIBLE"),
        ("BIRTH", "1970-1-1", "DATE_FORMAT"),
        ("BIRTH", "1970", "DATE_FORMAT"),
        ("BIRTH", "25130131", "DATE_BUDDHIST"),
        ("D_UPDATE", "20260102", "DATETIME_FORMAT"),
        ("D_UPDATE", "20260102250000", "DATETIME_FORMAT"),
        ("D_UPDATE", "20260230010000", "DATE_IMPOSSIBLE"),
        ("D_UPDATE", "25690102010000", "DATE_BUDDHIST"),
    ],
)
def test_a_fault_names_column_and_reason_but_no_value(column, value, reason):
    faults = PERSON(a_row(**{column: value}))
    assert [(fault.column, fault.reason) for fault in faults] == [(column, reason)]
    assert not value or value not in faults[0].message


def test_all_faults_of_a_row_are_told_in_the_order_of_columns():
    row = a_row(CID="1", NAME="", BIRTH="x")
    assert reasons(row) == [("CID", "CITIZEN_ID_FORMAT"), ("NAME", "REQUIRED"), ("BIRTH", "DATE_FORMAT")]


@pytest.mark.parametrize("column", ["CID", "HN", "MSTATUS", "MOVEIN", "FATHER", "PASSPORT"])
def test_a_column_that_may_be_empty_is_no_fault(column):
    assert PERSON(a_row(**{column: ""})) == ()


def test_a_column_that_the_file_lacks_is_not_required():
    lenient = compile_check(FILES["PERSON"], ("HOSPCODE9",))
    assert reasons(a_row(HOSPCODE9="")) == [("HOSPCODE9", "REQUIRED")]
    assert lenient(a_row(HOSPCODE9="")) == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("12", None),
        ("12.50", None),
        ("12.", "NUMBER_FORMAT"),
        ("-1", "NUMBER_FORMAT"),
        ("1,000", "NUMBER_FORMAT"),
        ("๑๒", "NUMBER_FORMAT"),
        ("1e3", "NUMBER_FORMAT"),
        ("123456789.00", "NUMBER_TOO_LARGE"),
    ],
)
def test_numbers_are_judged_by_their_digits(value, reason):
    check = compile_check(FILES["CHARGE_OPD"])
    found = dict(reasons(a_row("CHARGE_OPD", PRICE=value), check))
    assert found.get("PRICE") == reason


def test_times_may_lack_their_seconds():
    check = compile_check(FILES["SERVICE"])
    for value, is_sound in (("0930", True), ("093059", True), ("2400", False), ("9:30", False)):
        assert ("TIME_SERV" not in dict(reasons(a_row("SERVICE", TIME_SERV=value), check))) is is_sound


def test_several_codes_in_one_column_are_each_looked_up():
    check = compile_check(FILES["PROVIDER"])
    assert "PROVIDERTYPE" not in dict(reasons(a_row("PROVIDER", PROVIDERTYPE="01,011"), check))
    assert dict(reasons(a_row("PROVIDER", PROVIDERTYPE="01,zz"), check))["PROVIDERTYPE"] == "CODE_UNKNOWN"


def test_json_must_be_json():
    check = compile_check(FILES["DATA_CORRECT"])
    assert "DATA_CORRECT" not in dict(reasons(a_row("DATA_CORRECT", DATA_CORRECT='{"PID": "1"}'), check))
    assert dict(reasons(a_row("DATA_CORRECT", DATA_CORRECT="{'PID'"), check))["DATA_CORRECT"] == "JSON_FORMAT"


@pytest.mark.parametrize("file", FILES)
def test_an_empty_row_lacks_just_what_is_required(file):
    spec = FILES[file]
    required = [column.name for column in spec.columns if column.is_required]
    assert reasons([""] * len(spec.columns), compile_check(spec)) == [(name, "REQUIRED") for name in required]


@given(st.sampled_from(sorted(FILES)), st.data())
def test_the_fast_way_and_the_careful_way_agree(file, data):
    """One wrong value in a row that is otherwise empty is found as the column's own rule says."""
    spec = FILES[file]
    column = data.draw(st.sampled_from(spec.columns))
    value = data.draw(st.text(st.characters(exclude_characters="|\n\r\0"), max_size=20))
    row = [""] * len(spec.columns)
    row[column.position] = value
    lenient = compile_check(spec, spec.names)
    faults = lenient(row)
    assert all(isinstance(fault, Fault) and fault.column == column.name for fault in faults)
    if column.form is Form.TEXT and column.width and len(value) > column.width:
        assert faults
    if not value:
        assert not faults
