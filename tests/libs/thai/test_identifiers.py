"""Identifier systems of both families."""

import pytest

from libs.thai import identifiers
from libs.thai.identifiers import Local, LocalSystem


@pytest.mark.parametrize(
    ("spelling", "system"),
    [
        ("https://www.dopa.go.th", identifiers.CITIZEN_ID),
        ("http://www.dopa.go.th/", identifiers.CITIZEN_ID),
        ("https://terms.sil-th.org/id/th-cid", identifiers.CITIZEN_ID),
        ("HTTPS://terms.sil-th.org/id/TH-CID/", identifiers.CITIZEN_ID),
        ("https://bps.moph.go.th/hcode/5", identifiers.FACILITY),
        ("https://bps.moph.go.th/hcode/9", identifiers.FACILITY),
        ("https://www.this.or.th/tmt/gp", identifiers.TMT),
        ("https://hl7.org/fhir/sid/passport-THA", identifiers.PASSPORT),
        ("https://terms.sil-th.org/id/th-molwp", identifiers.WORK_PERMIT),
        ("https://phr1.moph.go.th/api/CodingSystem?System=vaccine_code", identifiers.VACCINE),
    ],
)
def test_both_families_come_to_one_spelling(spelling, system):
    assert identifiers.normalize(spelling) == system


@pytest.mark.parametrize(
    "system", ["urn:oid:1.2.3", "https://example.org/ids", "https://phr1.moph.go.th/api/CodingSystem?System=other", ""]
)
def test_an_unknown_system_is_left_as_it_is(system):
    assert identifiers.normalize(f" {system} ") == system


@pytest.mark.parametrize("kind", list(Local))
@pytest.mark.parametrize("code", ["99001", "AA0099001"])
def test_a_local_system_tells_whose_it_is(code, kind):
    assert identifiers.parse_local(identifiers.local(code, kind)) == LocalSystem(code, kind)


def test_local_systems_name_the_form_of_the_code():
    assert identifiers.local("99001", Local.HN) == "https://terms.sil-th.org/hcode/5/99001/HN"
    assert identifiers.local("aa0099001", Local.AN) == "https://terms.sil-th.org/hcode/9/AA0099001/AN"
    with pytest.raises(ValueError, match="five or nine"):
        identifiers.local("123", Local.HN)


@pytest.mark.parametrize(
    "system",
    [
        identifiers.CITIZEN_ID,
        "https://terms.sil-th.org/hcode/5/AA0099001/HN",
        "https://terms.sil-th.org/hcode/5/99001/Unheard",
        "https://terms.sil-th.org/hcode/5/99001",
    ],
)
def test_other_systems_are_nobodys_own(system):
    assert identifiers.parse_local(system) is None
