"""Claim files become claims, each visit one."""

from collections.abc import Sequence

from services.exchange.model import Counts, Format, State
from tests.services.exchange.files import HCODE, a_zip, people
from tests.services.exchange.running import Exchange

HEADERS = {
    "INS": "HN|INSCL|SUBTYPE|CID|HCODE|AN|SEQ|PERMITNO",
    "PAT": "HCODE|HN|CHANGWAT",
    "OPD": "HN|CLINIC|DATEOPD|TIMEOPD|SEQ|UUC",
    "ODX": "HN|DATEDX|CLINIC|DIAG|DXTYPE|DRDX|PERSON_ID|SEQ",
    "IPD": "HN|AN|DATEADM|TIMEADM|DATEDSC",
    "IDX": "AN|DIAG|DXTYPE|DRDX",
    "CHT": "HN|AN|DATE|TOTAL|PAID|PTTYPE|PERSON_ID|SEQ|OPD_MEMO|INVOICE_NO|INVOICE_LT",
    "CHA": "HN|AN|DATE|CHRGITEM|AMOUNT|PERSON_ID|SEQ",
    "DRU": "HCODE|HN|AN|CLINIC|PERSON_ID|DATE_SERV|DID|DIDNAME|AMOUNT|DRUGPRICE|DRUGCOST|DIDSTD|SEQ|USE_STATUS|TOTAL",
    "ADP": "HN|AN|DATEOPD|TYPE|CODE|QTY|RATE|SEQ|TOTAL",
}


def claim_files(**rows: Sequence[str]) -> bytes:
    """A zip of claim files with these rows."""
    return a_zip({f"{file}.txt": "\r\n".join([HEADERS[file], *told, ""]) for file, told in rows.items()})


def a_visit(seq: str, hn: str) -> dict[str, list[str]]:
    """The rows of one visit."""
    return {
        "INS": [f"{hn}|UCS|89||{HCODE}||{seq}|PP0001"],
        "PAT": [f"{HCODE}|{hn}|50"],
        "OPD": [f"{hn}|00100|20240215|0930|{seq}|1"],
        "ODX": [f"{hn}|20240215|00100|E119|4|ว1||{seq}", f"{hn}|20240215|00100|J069|1|ว1||{seq}"],
        "CHT": [f"{hn}||20240215|100.00|0|||{seq}||INV{seq}|1"],
        "CHA": [f"{hn}||20240215|41|50.00||{seq}", f"{hn}||20240215|C1|50.00||{seq}"],
        "DRU": [f"{HCODE}|{hn}||00100||20240215|D1|PARA|20|2.50|1|100000000000000000000001|{seq}|2|50.00"],
    }


def together(*told: dict[str, list[str]]) -> dict[str, list[str]]:
    """The rows of several visits, file by file."""
    files: dict[str, list[str]] = {}
    for one in told:
        for file, rows in one.items():
            files.setdefault(file, []).extend(rows)
    return files


CLAIMS = claim_files(**together(a_visit("1", "660001"), a_visit("2", "660002"), a_visit("9", "999999")))


async def test_each_visit_of_a_known_person_is_one_claim(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(3)}))
    finished = await exchange.take_in(CLAIMS, Format.F16)
    assert finished.state is State.SUCCEEDED
    assert sorted(invoice for _, invoice in exchange.hood.claims) == ["INV1", "INV2"]
    claim = exchange.hood.claims[HCODE, "INV1"]
    assert (claim.scheme, claim.service_date, claim.authen_code) == ("UCS", "2024-02-15", "PP0001")
    assert list(claim.diagnoses) == ["J069", "E119"]
    lines = [(one.number, one.charge_group, one.code, one.quantity, one.unit_price.satang) for one in claim.lines]
    assert lines == [(1, "41", "100000000000000000000001", 20, 250), (2, "C1", "C1", 1, 5000)]
    assert finished.counts("OPD") == Counts(created=2, rejected=1)
    assert finished.counts("PAT") == Counts(skipped=3)


async def test_the_rows_of_an_unknown_person_are_rejected_each_with_its_line(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(3)}))
    finished = await exchange.take_in(CLAIMS, Format.F16)
    assert ("INS", 4, "HN", "PERSON_UNKNOWN") in finished.reasons
    assert {row.reason for row in (one.rejection for one in finished.rejected)} == {"PERSON_UNKNOWN"}
    assert sum(file.counts.rejected for file in finished.files) == len(finished.rejected)
    elsewhere = next(one.rejection for one in finished.rejected if one.file == "DRU")
    assert "INS line 4" in elsewhere.message


async def test_the_same_claims_in_another_zip_are_unchanged(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(3)}))
    await exchange.take_in(claim_files(**a_visit("1", "660001")), Format.F16)
    again = await exchange.take_in(claim_files(**together(a_visit("1", "660001"), a_visit("2", "660002"))), Format.F16)
    assert again.counts("OPD") == Counts(created=1, unchanged=1)


async def test_a_row_that_names_no_visit_is_rejected(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(1)}))
    rows = a_visit("1", "660001")
    rows["CHA"].append("660001||20240215|41|50.00||")
    finished = await exchange.take_in(claim_files(**rows), Format.F16)
    assert finished.reasons == [("CHA", 4, "SEQ", "VISIT_MISSING")]
    assert finished.counts("CHA") == Counts(created=2, rejected=1)


async def test_a_claim_file_in_cp874_is_read(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(1)}))
    rows = a_visit("1", "660001")
    rows["DRU"][0] = rows["DRU"][0].replace("PARA", "พาราเซตามอล")
    files = {file: "\r\n".join([HEADERS[file], *told, ""]).encode("cp874") for file, told in rows.items()}
    finished = await exchange.take_in(a_zip({f"{file}.txt": told for file, told in files.items()}), Format.F16)
    assert finished.state is State.SUCCEEDED
    assert exchange.hood.claims[HCODE, "INV1"].lines[0].description == "พาราเซตามอล"
