"""Zips from outside, trusted in nothing."""

import io
import struct
import zipfile

import pytest

from libs.errors import Kind
from libs.f43.archive import IMPORT_ORDER, Archive, ArchiveError, Limits, guess_file, parse_name
from libs.f43.reader import open_table
from libs.f43.schema import FILES
from tests.libs.f43.zips import a_row, a_text, a_zip

SOUND = a_text([a_row()])


def refused(source, limits=None) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught, Archive(source, limits or Limits()) as archive:
        for file in archive.files:
            for _ in open_table(archive, file).rows():
                pass
    assert caught.value.kind is Kind.INVALID_ARGUMENT
    return caught.value


def test_members_are_found_whatever_their_folder_and_case():
    with Archive(a_zip({"F43_99001/PERSON.txt": SOUND, "home.TXT": a_text([], "HOME")})) as archive:
        assert archive.files == ("HOME", "PERSON")
        assert archive.member("PERSON") == "F43_99001/PERSON.txt"
        assert archive.size("PERSON") == len(SOUND.encode())
        assert archive.strangers == ()


def test_people_come_before_what_was_done_for_them():
    order = IMPORT_ORDER.index
    assert sorted(IMPORT_ORDER) == sorted(FILES)
    assert order("PERSON") < order("SERVICE") < order("DIAGNOSIS_OPD")
    assert order("ADMISSION") < order("DRUG_IPD")


def test_a_wrongly_named_member_is_a_stranger_with_a_hint():
    names = ["person_99001_20260101.txt", "DRUG_OPD_99001.txt", "readme.txt", "PERSON.csv", "__MACOSX/._PERSON.txt"]
    with Archive(a_zip({"PERSON.txt": SOUND, **dict.fromkeys(names, "x")})) as archive:
        hints = {stranger.member: stranger.hint for stranger in archive.strangers}
    assert hints == {names[0]: "PERSON", names[1]: "DRUG_OPD", names[2]: None, names[3]: "PERSON"}


def test_the_longest_name_is_guessed():
    assert guess_file("drug_ipd_07487") == "DRUG_IPD"
    assert guess_file("NEWBORNCARE1") == "NEWBORNCARE"
    assert guess_file("personal") is None


def test_a_zip_of_wrongly_named_members_says_how_they_should_be_named():
    error = refused(a_zip({"person_99001.txt": SOUND}))
    assert error.reason == "ZIP_EMPTY"
    assert "PERSON.txt" in error.message


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all", SOUND.encode()])
def test_what_is_no_zip_is_refused(content):
    assert refused(io.BytesIO(content)).reason == "ZIP_UNREADABLE"


def test_a_zip_cut_off_is_refused():
    content = a_zip({"PERSON.txt": SOUND}).getvalue()
    assert refused(io.BytesIO(content[: len(content) // 2])).reason == "ZIP_UNREADABLE"


def test_a_damaged_member_is_refused_before_its_first_row():
    content = bytearray(
        a_zip({"PERSON.txt": a_text([a_row(PID=str(n)) for n in range(2000)])}, zipfile.ZIP_STORED).getvalue()
    )
    content[len(content) - 4000] ^= 0x01
    with Archive(io.BytesIO(bytes(content))) as archive, pytest.raises(ArchiveError) as caught:
        open_table(archive, "PERSON")
    assert caught.value.reason == "MEMBER_CORRUPT"
    assert caught.value.metadata["member"] == "PERSON.txt"


@pytest.mark.parametrize(
    "name", ["../PERSON.txt", "/PERSON.txt", "a/../../PERSON.txt", "C:/PERSON.txt", "a\\PERSON.txt"]
)
def test_a_name_that_leads_out_of_the_zip_is_refused(name):
    assert refused(a_zip({name: SOUND})).reason == "PATH_UNSAFE"


def test_a_link_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("PERSON.txt")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert refused(buffer).reason == "PATH_UNSAFE"


def test_two_members_of_one_file_are_refused():
    error = refused(a_zip({"a/PERSON.txt": SOUND, "b/person.txt": SOUND}))
    assert error.reason == "DUPLICATE_MEMBER"
    assert error.metadata["member"] == "b/person.txt"


def test_an_encrypted_member_is_refused():
    content = bytearray(a_zip({"PERSON.txt": SOUND}).getvalue())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + offset
        content[at : at + 2] = struct.pack("<H", struct.unpack("<H", content[at : at + 2])[0] | 1)
    error = refused(io.BytesIO(bytes(content)))
    assert error.reason == "MEMBER_ENCRYPTED"


def test_a_bomb_is_refused_by_ratio_and_by_size():
    bomb = a_zip({"PERSON.txt": SOUND + " " * 4_000_000})
    assert refused(bomb, Limits(ratio_from=1_000_000)).reason == "RATIO_TOO_HIGH"
    assert refused(bomb, Limits(member_bytes=1_000_000)).reason == "MEMBER_TOO_LARGE"
    assert (
        refused(a_zip({"PERSON.txt": SOUND, "x": "y" * 5000}), Limits(total_bytes=4000)).reason == "ARCHIVE_TOO_LARGE"
    )
    assert refused(a_zip({str(number): "" for number in range(9)}), Limits(members=8)).reason == "TOO_MANY_MEMBERS"


def test_members_that_share_bytes_are_refused():
    content = bytearray(a_zip({"PERSON.txt": SOUND, "HOME.txt": a_text([], "HOME")}).getvalue())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    assert refused(io.BytesIO(bytes(content))).reason == "MEMBER_UNREADABLE"


def test_an_unheard_of_compression_is_refused():
    assert refused(a_zip({"PERSON.txt": SOUND}, zipfile.ZIP_BZIP2)).reason == "MEMBER_UNREADABLE"


def test_the_name_of_a_zip_tells_whose_it_is_and_when():
    name = parse_name("up/F43_99001_20260102030405.ZIP")
    assert name is not None
    assert name.hospcode == "99001"
    assert name.made_at.isoformat() == "2026-01-02T03:04:05+07:00"
    assert parse_name("F43_99001_20261302030405.zip") is None
    assert parse_name("mine.zip") is None


def test_an_error_never_shows_what_is_unprintable():
    error = ArchiveError("X", "bad", "a\x1b[31m" + "b" * 500)
    assert "\x1b" not in error.message
    assert len(error.metadata["member"]) <= 120
