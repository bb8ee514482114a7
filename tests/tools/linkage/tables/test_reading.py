"""Tables as registries and spreadsheets write them, and those that cannot be used."""

import pytest

from tools.linkage.tables.columns import Role, guess
from tools.linkage.tables.reading import TableError, read_table

ROWS = "รหัส,ชื่อ,นามสกุล,วันเกิด\n1,สมชาย,ใจดี,13/04/2533\n2,มานี,มีนา,\n"


@pytest.fixture
def file(tmp_path):
    def written(content: bytes, name: str = "a.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp874", "tis-620"])
def test_thai_is_read_in_every_encoding_that_it_is_written_in(file, encoding):
    table = read_table(file(ROWS.encode(encoding)))
    assert table.columns == ("รหัส", "ชื่อ", "นามสกุล", "วันเกิด")
    assert table.rows == [["1", "สมชาย", "ใจดี", "13/04/2533"], ["2", "มานี", "มีนา", ""]]


def test_letters_of_western_europe_are_not_taken_for_thai(file):
    table = read_table(file("id;name\n1;José Muñoz\n2;Zoë Größe\n".encode("latin-1")))
    assert table.values("name") == ["José Muñoz", "Zoë Größe"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_shows_in_the_header_and_short_rows_are_filled(file, separator):
    content = "id,name,town\n1,Ann,York\n\n2,Bob\n".replace(",", separator)
    assert read_table(file(content.encode())).rows == [["1", "Ann", "York"], ["2", "Bob", ""]]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
        (b"id,name\n\n", "nothing below it"),
        (b"id,name,name\n1,a,b\n", "more than one column is named name"),
        (b"id,,name\n1,a,b\n", "column 2 has no name"),
        (b"id,name\n1,a,b\n", "line 2 has 3 values for 2 columns"),
        (b'id,name\n1,"a\n', "unexpected end of data"),
    ],
)
def test_what_is_no_table_says_why(file, content, why):
    with pytest.raises(TableError, match=why):
        read_table(file(content))


def test_columns_are_known_by_their_names_in_either_language(file):
    english = read_table(
        file(b"Rec_ID,First Name,Surname,DOB,Gender,Postcode,Street,SSN\n" + b"1,a,b,c,m,2a,d,3\n2,e,f,g,f,3b,h,4\n")
    )
    assert list(guess([english], {}).values()) == [
        Role.ID, Role.GIVEN, Role.FAMILY, Role.BIRTH, Role.SEX, Role.KIND, Role.KIND, Role.NUMBER,
    ]  # fmt: skip
    thai = read_table(file(ROWS.encode(), "thai.csv"))
    assert list(guess([thai], {}).values()) == [Role.ID, Role.GIVEN, Role.FAMILY, Role.BIRTH]


def test_columns_without_a_known_name_are_known_by_what_they_hold(file):
    rows = "".join(f"x,{place % 3},{1000 + place},street number {place}\n" for place in range(40))
    table = read_table(file(f"a,b,c,d\n{rows}".encode()))
    assert list(guess([table], {}).values()) == [Role.IGNORED, Role.KIND, Role.CODE, Role.TEXT]


def test_a_name_alone_is_a_whole_name_and_what_was_told_stands(file):
    table = read_table(file("ชื่อ,ref\nนายสมชาย ใจดี,1\nมานี มีนา,2\n".encode()))
    assert guess([table], {"ref": Role.NUMBER}) == {"ชื่อ": Role.NAME, "ref": Role.NUMBER}


def test_columns_that_are_not_in_both_files_are_named_or_left_out(file):
    one, other = read_table(file(b"id,name,town\n1,a,b\n")), read_table(file(b"id,town,dob\n1,a,b\n", "b.csv"))
    assert "name" not in guess([one, other], {})
    with pytest.raises(TableError, match=r"b\.csv: no column name"):
        guess([one, other], {"name": Role.NAME})
    with pytest.raises(TableError, match=r"b\.csv: no column name"):
        guess([one, other], {}, truth="name")
    with pytest.raises(TableError, match="no column to compare that both files have"):
        guess([one, read_table(file(b"id,mail\n1,a\n", "c.csv"))], {})
