"""Rights, by the four digits of the files."""

import pytest

from libs.f43.codes import CODES
from services.exchange.mapping.right import coverage_of, scheme_of
from tests.services.exchange.files import HCODE, a_row


@pytest.mark.parametrize(
    ("right", "scheme"),
    [
        ("0100", "UCS"),
        ("1100", "OFC"),
        ("1300", "OFC"),
        ("2101", "BKK"),
        ("2105", "LGO"),
        ("2401", "LGO"),
        ("3305", "OFC"),
        ("4200", "SSS"),
        ("8301", "STP"),
        ("8405", "NRH"),
        ("9100", ""),
    ],
)
def test_a_right_belongs_to_who_pays(right: str, scheme: str) -> None:
    assert scheme_of(right) == scheme


def test_every_right_of_the_standard_has_a_payer_but_paying_alone() -> None:
    assert [right for right in sorted(CODES["CARD", "INSTYPE_NEW"]) if not scheme_of(right)] == ["9100"]


def test_a_card_is_a_coverage() -> None:
    found = coverage_of(a_row("CARD", EXPIREDATE="20251231", SUB="99003"), "registration-1")
    assert found is not None
    assert (found.scheme, found.sub_scheme, found.card_number) == ("UCS", "89", "9001")
    assert (found.main_organization_id, found.primary_organization_id) == (HCODE, "99003")
    assert (found.starts_on, found.ends_on) == ("2023-01-01", "2025-12-31")


def test_a_card_without_a_start_holds_since_it_was_written() -> None:
    found = coverage_of(a_row("CARD", STARTDATE=""), "registration-1")
    assert found is not None
    assert (found.starts_on, found.ends_on) == ("2024-03-01", "")
