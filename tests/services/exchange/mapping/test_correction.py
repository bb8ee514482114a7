"""Rows that a facility takes back."""

import pytest

from services.exchange.mapping.correction import CorrectionError, correction
from services.exchange.mapping.files import RESOURCE_FILES
from services.exchange.mapping.pieces import About
from tests.services.exchange.files import HCODE, a_row

KEY = '{"HOSPCODE":"99001","PID":"1","DATE_DIAG":"20150601","CHRONIC":"E119"}'


@pytest.mark.parametrize("told", [KEY, KEY.replace('"', "'"), KEY.lower().replace("e119", "E119")])
def test_the_key_of_a_row_removes_what_it_became(told: str) -> None:
    (made,) = RESOURCE_FILES["CHRONIC"].drafts(a_row("CHRONIC"), About(HCODE, "registration-1"))
    (removed,) = correction(a_row("DATA_CORRECT", DATA_CORRECT=told), HCODE)
    assert (removed.type, removed.id, removed.body) == (made.type, made.id, None)


@pytest.mark.parametrize(
    ("values", "column", "reason"),
    [
        ({"TABLENAME": "NOTHING", "DATA_CORRECT": KEY}, "TABLENAME", "FILE_UNKNOWN"),
        ({"TABLENAME": "PERSON", "DATA_CORRECT": KEY}, "TABLENAME", "CORRECTION_UNSUPPORTED"),
        ({"DATA_CORRECT": "{not json"}, "DATA_CORRECT", "JSON_FORMAT"),
        ({"DATA_CORRECT": "[1, 2]"}, "DATA_CORRECT", "JSON_FORMAT"),
        ({"DATA_CORRECT": "__import__('os').getcwd()"}, "DATA_CORRECT", "JSON_FORMAT"),
        ({"DATA_CORRECT": '{"PID":"1"}'}, "DATA_CORRECT", "KEY_INCOMPLETE"),
        ({"DATA_CORRECT": KEY.replace("99001", "99002")}, "DATA_CORRECT", "ORGANIZATION_FOREIGN"),
    ],
)
def test_what_cannot_be_carried_out_says_where_and_why(values: dict[str, str], column: str, reason: str) -> None:
    with pytest.raises(CorrectionError) as error:
        correction(a_row("DATA_CORRECT", **values), HCODE)
    assert (error.value.column, error.value.reason) == (column, reason)
