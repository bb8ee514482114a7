"""The rows of a visit as one claim."""

from collections.abc import Mapping

import pytest

from services.exchange.mapping.claim import COLUMNS, ClaimError, ClaimRow, claim_of, visit_of
from services.exchange.mapping.pieces import stay_id, visit_id
from tests.services.exchange.files import HCODE

VISIT: Mapping[str, Mapping[str, str]] = {
    "INS": {"HN": "1", "INSCL": "ucs", "SEQ": "7", "PERMITNO": "PP1"},
    "OPD": {"HN": "1", "SEQ": "7", "DATEOPD": "20240215"},
    "ODX": {"SEQ": "7", "DIAG": "J06.9", "DXTYPE": "1"},
    "CHT": {"HN": "1", "SEQ": "7", "TOTAL": "60"},
    "DRU": {"HN": "1", "SEQ": "7", "DID": "D1", "DIDNAME": "PARA", "AMOUNT": "20", "DRUGPRICE": "0.75"},
}


def rows(changes: Mapping[str, Mapping[str, str] | None] | None = None) -> list[ClaimRow]:
    """The rows of the visit; of a file with these changes, or without the file."""
    made = []
    for position, file in enumerate(COLUMNS):
        change = (changes or {}).get(file, {})
        if change is None or (file not in VISIT and not change):
            continue
        told = {**VISIT.get(file, {}), **change}
        made.append(ClaimRow(file, position, 2, {name: told.get(name, "") for name in COLUMNS[file]}))
    return made


def lines(changes: Mapping[str, Mapping[str, str] | None]) -> list[tuple[str, str, int, int]]:
    claim = claim_of(HCODE, "SEQ/7", rows(changes), "registration-1")
    return [(one.charge_group, one.code, one.quantity, one.unit_price.satang) for one in claim.lines]


def test_a_visit_is_claimed_under_its_own_number_when_it_has_no_invoice() -> None:
    claim = claim_of(HCODE, "SEQ/7", rows(), "registration-1")
    assert (claim.invoice_number, claim.scheme, claim.service_date) == ("7", "UCS", "2024-02-15")
    assert (claim.encounter_id, claim.registration_id) == (visit_id(HCODE, "7"), "registration-1")
    assert list(claim.diagnoses) == ["J069"]


def test_an_admission_is_claimed_from_its_own_files() -> None:
    stay = {
        "INS": {"AN": "66", "SEQ": ""},
        "OPD": None,
        "ODX": None,
        "IPD": {"HN": "1", "AN": "66", "DATEADM": "20240210", "DATEDSC": "20240214"},
        "IDX": {"AN": "66", "DIAG": "A971", "DXTYPE": "1"},
    }
    claim = claim_of(HCODE, "AN/66", rows(stay), "registration-1")
    assert (claim.encounter_id, claim.service_date) == (stay_id(HCODE, "66"), "2024-02-10")
    assert claim.lines[0].charge_group == "31"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("41", "D1", 20, 75)]),
        ({"DRU": {"USE_STATUS": "1"}}, [("31", "D1", 20, 75)]),
        ({"DRU": {"DIDSTD": "7" * 24}}, [("41", "7" * 24, 20, 75)]),
        # Half a bottle is one thing at what it costs.
        ({"DRU": {"AMOUNT": "0.5", "DRUGPRICE": "30"}}, [("41", "D1", 1, 1500)]),
        ({"DRU": {"AMOUNT": "0.5", "DRUGPRICE": "30", "TOTAL": "16"}}, [("41", "D1", 1, 1600)]),
        ({"ADP": {"TYPE": "15", "CODE": "32203", "QTY": "2", "RATE": "40"}},
         [("41", "D1", 20, 75), ("71", "32203", 2, 4000)]),
        # The group's total is the sum of its items, and no line of its own.
        ({"CHA": {"CHRGITEM": "41", "AMOUNT": "15"}}, [("41", "D1", 20, 75)]),
        ({"CHA": {"CHRGITEM": "c1", "AMOUNT": "50"}}, [("41", "D1", 20, 75), ("C1", "C1", 1, 5000)]),
        ({"CHA": {"CHRGITEM": "C1", "AMOUNT": "0"}}, [("41", "D1", 20, 75)]),
    ],
)  # fmt: skip
def test_a_line_is_what_was_charged(changes: Mapping[str, Mapping[str, str]], expected: list[tuple]) -> None:
    assert lines(changes) == expected


@pytest.mark.parametrize(
    ("changes", "file", "column", "reason"),
    [
        ({"OPD": None}, "INS", "", "VISIT_UNKNOWN"),
        ({"INS": None}, "OPD", "", "RIGHT_MISSING"),
        ({"INS": {"INSCL": "?"}}, "INS", "INSCL", "SCHEME_UNKNOWN"),
        ({"ODX": None}, "OPD", "", "DIAGNOSIS_MISSING"),
        ({"ODX": {"DIAG": "??"}}, "ODX", "DIAG", "DIAGNOSIS_FORMAT"),
        ({"OPD": {"DATEOPD": "20240230"}}, "OPD", "DATEOPD", "DATE_IMPOSSIBLE"),
        ({"DRU": None}, "OPD", "", "LINES_MISSING"),
        ({"DRU": {"AMOUNT": "many"}}, "DRU", "AMOUNT", "NUMBER_FORMAT"),
        ({"DRU": {"DRUGPRICE": "-1"}}, "DRU", "DRUGPRICE", "NUMBER_FORMAT"),
        ({"DRU": {"DRUGPRICE": "NaN"}}, "DRU", "DRUGPRICE", "NUMBER_FORMAT"),
        ({"DRU": {"DID": ""}}, "DRU", "", "CODE_MISSING"),
        ({"CHA": {"CHRGITEM": "Z9", "AMOUNT": "5"}}, "CHA", "CHRGITEM", "CHARGE_GROUP_UNKNOWN"),
    ],
)
def test_what_cannot_be_claimed_names_the_row_and_column(
    changes: Mapping[str, Mapping[str, str] | None], file: str, column: str, reason: str
) -> None:
    with pytest.raises(ClaimError) as error:
        claim_of(HCODE, "SEQ/7", rows(changes), "registration-1")
    assert (error.value.row.file, error.value.column, error.value.reason) == (file, column, reason)


def test_an_admission_goes_before_the_visit_that_it_began_with() -> None:
    assert [visit_of(told) for told in ({"AN": "1", "SEQ": "2"}, {"SEQ": "2"}, {"AN": "", "SEQ": ""})] == [
        "AN/1", "SEQ/2", "",
    ]  # fmt: skip
