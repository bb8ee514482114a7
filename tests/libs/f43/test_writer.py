"""Zips, written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.f43.archive import Archive, parse_name
from libs.f43.reader import open_table
from libs.f43.writer import ArchiveWriter, archive_name
from libs.thai.dates import BANGKOK
from tests.libs.f43.zips import a_row

MADE_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=BANGKOK)


def test_the_name_is_that_of_the_standard_in_bangkok_time():
    assert archive_name("99001", MADE_AT.astimezone(UTC)) == "F43_99001_20260102030405.zip"
    name = parse_name(archive_name("99001", MADE_AT))
    assert name is not None
    assert name.made_at == MADE_AT


def test_what_is_written_is_read(tmp_path: Path):
    rows = [a_row(PID=str(number)) for number in range(10_000)]
    with ArchiveWriter(tmp_path, "99001", MADE_AT) as writer:
        assert writer.write("PERSON", rows) == 10_000
        assert writer.write("HOME", []) == 0
    with Archive(writer.path) as archive:
        assert archive.files == ("HOME", "PERSON")
        table = open_table(archive, "PERSON")
        assert table.missing == table.unknown == ()
        assert [row for _, row in table.rows()] == rows
        content = b"".join(archive.chunks("PERSON"))
    assert content.count(b"\r\n") == 10_001
    assert not content.startswith(b"\xef\xbb\xbf")


def test_a_value_can_never_break_the_form(tmp_path: Path):
    with ArchiveWriter(tmp_path, "99001", MADE_AT) as writer:
        writer.write("PERSON", [a_row(NAME="a|b\r\nc\0d")])
    with Archive(writer.path) as archive:
        ((_, row),) = open_table(archive, "PERSON").rows()
    assert row == a_row(NAME="a b  cd")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path):
    found = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        with ArchiveWriter(tmp_path / place, "99001", MADE_AT) as writer:
            writer.write("PERSON", [a_row()])
        found.append(writer.path.read_bytes())
    assert found[0] == found[1]


def test_a_writer_that_fails_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(ValueError, match="values"), ArchiveWriter(tmp_path, "99001", MADE_AT) as writer:
        writer.write("PERSON", [["too", "short"]])
    assert list(tmp_path.iterdir()) == []
