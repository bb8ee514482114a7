"""Rows, streamed."""

import codecs
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.f43.archive import Archive, ArchiveError, Limits
from libs.f43.reader import RowError, open_table, tables
from libs.f43.schema import FILES
from tests.libs.f43.zips import a_row, a_text, a_zip

SPEC = FILES["PERSON"]


def read(content: str | bytes, **options):
    errors: list[RowError] = []
    with Archive(a_zip({"PERSON.txt": content})) as archive:
        table = open_table(archive, "PERSON")
        return table, list(table.rows(errors.append, **options)), errors


def reason_of(content: str | bytes, limits: Limits | None = None) -> str:
    with Archive(a_zip({"PERSON.txt": content}), limits or Limits()) as archive, pytest.raises(ArchiveError) as caught:
        list(open_table(archive, "PERSON").rows())
    assert caught.value.metadata["member"] == "PERSON.txt"
    return caught.value.reason


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp874"])
def test_a_file_reads_the_same_in_each_encoding_and_line_end(encoding, end):
    rows = [a_row(PID=str(number)) for number in range(5)]
    table, found, errors = read(a_text(rows, end=end).encode(encoding))
    assert [row for _, row in found] == rows
    assert [line for line, _ in found] == [2, 3, 4, 5, 6]
    assert table.encoding == ("cp874" if encoding == "cp874" else "utf-8")
    assert table.row_count == 5
    assert not errors


def test_the_last_line_need_not_end():
    _, found, _ = read(a_text([a_row()]).rstrip("\r\n"))
    assert len(found) == 1


def test_columns_are_found_by_their_names():
    text = "lname| pid |EXTRA|HOSPCODE|NAME\nใจดี|7|x|99001|สมชาย\n"
    table, found, _ = read(text)
    (line, row) = found[0]
    at = SPEC.index
    assert (line, row[at["PID"]], row[at["NAME"]], row[at["LNAME"]], row[at["CID"]]) == (2, "7", "สมชาย", "ใจดี", "")
    assert len(row) == len(SPEC.columns)
    assert table.unknown == ("EXTRA",)
    assert "CID" in table.missing
    assert "HOSPCODE9" in table.missing


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "HEADER_MISSING"),
        ("1|2|3\n", "HEADER_MISSING"),
        ("HOSPCODE|PID|pid\n", "HEADER_DUPLICATE"),
        ("HOSPCODE|NAME\n", "KEY_COLUMN_MISSING"),
        ("|" * 9999, "HEADER_MISSING"),
    ],
)
def test_a_header_that_cannot_be_used_is_an_error(text, reason):
    assert reason_of(text) == reason


def test_a_row_with_another_number_of_fields_is_told_and_the_rest_is_read():
    lines = a_text([a_row(PID="1"), a_row(PID="2"), a_row(PID="3")]).split("\r\n")
    lines[2] += "|one more"
    _, found, errors = read("\r\n".join(lines))
    assert [line for line, _ in found] == [2, 4]
    assert [(error.line, error.column, error.reason) for error in errors] == [(3, "", "FIELD_COUNT")]
    assert errors[0].raw == lines[2]
    assert "35 fields" in errors[0].message
    assert "สมชาย" not in repr(errors[0])


def test_blank_lines_are_passed_over_and_counted():
    text = a_text([a_row(PID="1")]) + "\r\n\r\n" + "|".join(a_row(PID="2")) + "\r\n"
    _, found, errors = read(text)
    assert [line for line, _ in found] == [2, 5]
    assert not errors


def test_blanks_around_values_are_removed():
    _, found, _ = read(a_text([a_row(NAME=" สมชาย ", PID="\t1")]))
    assert found[0][1] == a_row()


def test_a_letter_cut_in_two_spoils_its_own_row_only():
    rows = [a_row(PID=str(number)) for number in range(1, 4)]
    content = a_text(rows).encode()
    second = content.index("สมชาย".encode(), content.index("สมชาย".encode()) + 5)
    table, found, errors = read(content[:second] + content[second + 1 :])
    assert table.encoding == "utf-8"
    assert [row[SPEC.index["PID"]] for _, row in found] == ["1", "3"]
    assert [(error.line, error.column, error.reason) for error in errors] == [(3, "NAME", "ENCODING")]


def test_bytes_that_no_encoding_has_spoil_their_own_row_only():
    content = a_text([a_row(PID="1"), a_row(PID="2")]).encode("cp874")
    at = content.rindex("ใจดี".encode("cp874"))
    _, found, errors = read(content[:at] + b"\xfc" + content[at + 1 :])
    assert [row[SPEC.index["PID"]] for _, row in found] == ["1"]
    assert [(error.line, error.column, error.reason) for error in errors] == [(3, "LNAME", "ENCODING")]


def test_a_nul_is_told():
    _, found, errors = read(a_text([a_row(NAME="สม\0ชาย")]))
    assert not found
    assert [(error.column, error.reason) for error in errors] == [("NAME", "CONTROL_CHARACTER")]
    assert "\0" not in errors[0].raw


def test_only_line_feeds_end_lines():
    _, found, _ = read(a_text([a_row(NAME="ก\u2028ข\x0bค\x85ง")]))
    assert found[0][1][SPEC.index["NAME"]] == "ก\u2028ข\x0bค\x85ง"


def test_reading_goes_on_after_a_line():
    rows = [a_row(PID=str(number)) for number in range(5)]
    _, found, errors = read(a_text(rows) + "broken\n", after_line=4)
    assert [line for line, _ in found] == [5, 6]
    assert [error.line for error in errors] == [7]


def test_a_line_without_end_is_refused():
    assert reason_of(a_text([a_row(NAME="ก" * 500_000)]), Limits(line_bytes=600_000)) == "LINE_TOO_LONG"


def test_tables_come_in_the_order_of_import():
    members = {f"{name}.txt": a_text([], name) for name in ("DIAGNOSIS_OPD", "SERVICE", "PERSON")}
    with Archive(a_zip(members)) as archive:
        assert [table.spec.name for table in tables(archive)] == ["PERSON", "SERVICE", "DIAGNOSIS_OPD"]
        with pytest.raises(KeyError):
            open_table(archive, "HOME")


def test_memory_does_not_grow_with_the_file():
    row = "|".join(a_row(NAME="ก" * 50, LNAME="ข" * 50)) + "\r\n"
    text = "|".join(SPEC.names) + "\r\n" + row * 60_000
    source = a_zip({"PERSON.txt": text})
    size = len(text.encode())
    del text
    tracemalloc.start()
    try:
        with Archive(source) as archive:
            assert sum(1 for _ in open_table(archive, "PERSON").rows()) == 60_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 20_000_000
    assert peak < 8_000_000


@given(
    st.lists(
        st.lists(
            st.text(
                st.characters(
                    min_codepoint=0x20,
                    max_codepoint=0x0E5B,
                    exclude_characters="|\x85\xa0",
                    exclude_categories=["C", "Z"],
                )
            ),
            min_size=len(SPEC.columns),
            max_size=len(SPEC.columns),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_written_is_read(rows):
    _, found, errors = read(codecs.BOM_UTF8 + a_text(rows).encode())
    assert [row for _, row in found] == rows
    assert not errors
