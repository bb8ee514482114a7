"""What is malformed gets a clear error that names the place, and leaves nothing half-written."""

import io
import zipfile

import pytest

from libs.thai import citizen_id
from services.exchange.formats.f43 import reading
from services.exchange.model import Counts, Format, State
from tests.services.exchange.files import a_row, a_zip, people, text_of, visits
from tests.services.exchange.running import Exchange
from tests.services.exchange.test_f16 import HEADERS

PERSON = text_of("PERSON", people(3))
HEADER = PERSON.splitlines()[0]
SOUND = {"PERSON": people(2)}


def _encrypted() -> bytes:
    data = bytearray(a_zip(SOUND))
    # The flag of an encrypted member, in its own header and in the directory's.
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PERSON.txt", b"0" * (40 << 20))
    return packed.getvalue()


def _damaged() -> bytes:
    data = bytearray(a_zip({**SOUND, "SERVICE": visits(2)}))
    data[data.index(b"SERVICE.txt") + 40] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"this is no zip", "ZIP_UNREADABLE"),
        (a_zip(SOUND)[:-30], "ZIP_UNREADABLE"),
        (_encrypted(), "MEMBER_ENCRYPTED"),
        (_bomb(), "RATIO_TOO_HIGH"),
        (_damaged(), "MEMBER_CORRUPT"),
        (a_zip({"readme.txt": "nothing of ours"}), "ZIP_EMPTY"),
        (a_zip({"../PERSON.txt": PERSON}), "PATH_UNSAFE"),
        (a_zip({"PERSON.txt": PERSON, "person.TXT": PERSON}), "DUPLICATE_MEMBER"),
        (a_zip({"PERSON.txt": ""}), "HEADER_MISSING"),
        (a_zip({"PERSON.txt": PERSON.partition("\n")[2]}), "HEADER_MISSING"),
        (a_zip({"PERSON.txt": PERSON.replace("PID", "CID", 1)}), "HEADER_DUPLICATE"),
        (a_zip({"PERSON.txt": PERSON.replace("PID", "ZZZ", 1)}), "KEY_COLUMN_MISSING"),
        (a_zip({"PERSON.txt": f"{HEADER}\r\n" + "1" * (2 << 20)}), "LINE_TOO_LONG"),
        (a_zip({**SOUND, "SERVICE.txt": "no|header"}), "HEADER_MISSING"),
    ],
)
async def test_a_zip_that_cannot_be_read_fails_whole(exchange: Exchange, data: bytes, reason: str) -> None:
    finished = await exchange.take_in(data)
    assert (finished.state, finished.found.error_reason) == (State.FAILED, reason)
    assert finished.found.error_message
    assert not finished.files
    assert not exchange.hood.calls, "nothing of it was sent to anybody"
    for table in ("import_chunks", "persons", "homes", "visits", "staged_parts", "rejected_rows"):
        assert await exchange.database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"OTHER.txt": "HN|SEQ"}, "ZIP_EMPTY"),
        ({"OPD.txt": ""}, "HEADER_MISSING"),
        ({"OPD.txt": "HN|HN|SEQ|DATEOPD"}, "HEADER_DUPLICATE"),
        ({"OPD.txt": "HN|CLINIC|DATEOPD"}, "KEY_COLUMN_MISSING"),
        ({"OPD.txt": HEADERS["OPD"], "a/opd.TXT": HEADERS["OPD"]}, "DUPLICATE_MEMBER"),
        ({"/OPD.txt": HEADERS["OPD"]}, "PATH_UNSAFE"),
    ],
)
async def test_claim_files_that_cannot_be_read_fail_whole(
    exchange: Exchange, files: dict[str, str], reason: str
) -> None:
    finished = await exchange.take_in(a_zip(files), Format.F16)
    assert (finished.state, finished.found.error_reason) == (State.FAILED, reason)
    assert not exchange.hood.calls


@pytest.mark.parametrize("file_format", [Format.F16, Format.FHIR])
@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"PK\x03\x04 cut off", "ZIP_UNREADABLE"), (_encrypted(), "MEMBER_ENCRYPTED"), (_bomb(), "RATIO_TOO_HIGH")],
)
async def test_the_other_formats_distrust_zips_as_well(
    exchange: Exchange, file_format: Format, data: bytes, reason: str
) -> None:
    finished = await exchange.take_in(data, file_format)
    assert (finished.state, finished.found.error_reason) == (State.FAILED, reason)


async def test_rows_that_are_not_sound_are_rejected_with_line_column_and_reason(exchange: Exchange) -> None:
    first, second, third = ("|".join(row) for row in people(3))
    lines = [HEADER, first, "too|few", second.replace("19800229", "19800230"), "", third.replace("สมชาย", "สม\0ชาย")]
    finished = await exchange.take_in(a_zip({"PERSON.txt": "\r\n".join([*lines, third])}))
    assert finished.reasons == [
        ("PERSON", 3, "", "FIELD_COUNT"),
        ("PERSON", 4, "BIRTH", "DATE_IMPOSSIBLE"),
        ("PERSON", 6, "NAME", "CONTROL_CHARACTER"),
    ]
    assert finished.counts("PERSON") == Counts(created=2, rejected=3)
    assert finished.found.rows_total == finished.found.rows_done == 5
    assert finished.rejected[0].rejection.row == "too|few"


async def test_a_row_of_another_facility_is_rejected(exchange: Exchange) -> None:
    finished = await exchange.take_in(a_zip({"PERSON": [a_row("PERSON", HOSPCODE="99002")]}))
    assert finished.reasons == [("PERSON", 2, "HOSPCODE", "ORGANIZATION_FOREIGN")]


async def test_children_of_a_rejected_person_are_rejected(exchange: Exchange) -> None:
    sound = citizen_id.make("900000000001")
    wrong = a_row("PERSON", CID=f"{sound[:12]}{(int(sound[12]) + 1) % 10}")
    finished = await exchange.take_in(
        a_zip({"PERSON": [wrong], "SERVICE": [a_row("SERVICE")], "CARD": [a_row("CARD")]})
    )
    assert finished.reasons == [
        ("PERSON", 2, "CID", "CITIZEN_ID_CHECK_DIGIT"),
        ("CARD", 2, "PID", "PERSON_UNKNOWN"),
        ("SERVICE", 2, "PID", "PERSON_UNKNOWN"),
    ]


async def test_a_file_of_nothing_but_wrong_rows_is_worked_through(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 10)
    rows = "\r\n".join([HEADER, *["wrong"] * 35, "|".join(people(1)[0])])
    finished = await exchange.take_in(a_zip({"PERSON.txt": rows}))
    assert finished.counts("PERSON") == Counts(created=1, rejected=35)
    assert [line for _, line, _, _ in finished.reasons] == list(range(2, 37))


async def test_a_file_in_cp874_is_read(exchange: Exchange) -> None:
    finished = await exchange.take_in(a_zip({"PERSON.txt": PERSON.encode("cp874")}))
    assert finished.counts("PERSON") == Counts(created=3)
    (body, *_) = (body for (kind, _), (_, body, _) in exchange.hood.resources.items() if kind == "Patient")
    assert "สมชาย".encode() in (body or b"")


async def test_strange_members_and_columns_are_told_of(exchange: Exchange) -> None:
    text = "\r\n".join(
        f"{line}|x" if number else f"{line}|EXTRA" for number, line in enumerate(PERSON.split("\r\n")[:-1])
    )
    finished = await exchange.take_in(a_zip({"PERSON.txt": text, "service_99001.txt": "a|b"}))
    notes = {file.file: file.note for file in finished.files}
    assert "EXTRA" in notes["PERSON"]
    assert "SERVICE.txt" in notes["service_99001.txt"]
