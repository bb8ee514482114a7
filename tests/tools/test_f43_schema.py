"""The table of the 43 files, rebuilt from a published sheet."""

import json
from pathlib import Path

import pytest

from tools import f43_schema

COLUMNS = [
    {"name": "HOSPCODE", "type": "C", "width": "5", "pk": "Y", "notnull": "Y", "description": ""},
    {"name": "BORN", "type": "C", "width": "8", "pk": "", "notnull": "", "description": "ค.ศ. (YYYYMMDD)"},
    {"name": "AT", "type": "C", "width": "14", "pk": "", "notnull": "", "description": "(YYYYMMDDHHMMSS)"},
    {"name": "TIME", "type": "C", "width": "6", "pk": "", "notnull": "", "description": "ชั่วโมง นาที วินาที (HHMMSS)"},
    {
        "name": "PRICE",
        "type": "N",
        "width": "",
        "pk": "",
        "notnull": "Y",
        "description": "ไม่ เกิน 8 หลัก และทศนิยม 2 ตำแหน่ง",
    },
    {"name": "COST", "type": "N", "width": "", "pk": "", "notnull": "", "description": "ราคาทุนต่อหน่วย"},
    {"name": "WEIGHT", "type": "N", "width": "5", "pk": "", "notnull": "", "description": "จุดทศนิยม 1 ตำแหน่ง"},
    {"name": "YEAR", "type": "D", "width": "4", "pk": "", "notnull": "", "description": ""},
    {"name": "SPLIT NAME", "type": "C", "width": "13.00", "pk": "", "notnull": "", "description": ""},
]
SCHEMA = [{"file": "VISIT", "meta": "□ แฟ้มสะสม ☑ แฟ้มบริการ □ แฟ้มบริการกึ่งสำรวจ", "columns": COLUMNS}]


def test_forms_and_widths_are_read_from_type_width_and_note():
    found = {row[2]: (row[1], *row[4:]) for row in f43_schema.column_rows(SCHEMA)}
    assert found == {
        "HOSPCODE": ("service", "text", "5", "0", "0", "1", "1"),
        "BORN": ("service", "date", "8", "0", "0", "0", "0"),
        "AT": ("service", "datetime", "14", "0", "0", "0", "0"),
        "TIME": ("service", "time", "6", "0", "0", "0", "0"),
        "PRICE": ("service", "number", "11", "8", "2", "0", "1"),
        "COST": ("service", "number", "11", "8", "2", "0", "0"),
        "WEIGHT": ("service", "number", "5", "3", "1", "0", "0"),
        "YEAR": ("service", "year", "4", "0", "0", "0", "0"),
        "SPLITNAME": ("service", "text", "13", "0", "0", "0", "0"),
    }


@pytest.mark.parametrize(
    ("meta", "kind"),
    [("☑ แฟ้มสะสม □ แฟ้มบริการ", "cumulative"), ("☑ แฟ้มบริการกึ่งสำรวจ", "semi-survey"), ("", "service")],
)
def test_the_kind_is_the_one_that_is_ticked(meta, kind):
    schema = [{"file": "ANY", "meta": meta, "columns": COLUMNS[:1]}]
    assert [row[1] for row in f43_schema.column_rows(schema)] == [kind]


def test_both_tables_are_written(tmp_path: Path, monkeypatch, capsys):
    schema, lists, data = tmp_path / "schema.json", tmp_path / "lists", tmp_path / "data"
    lists.mkdir()
    data.mkdir()
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    (lists / "c_visit_time.csv").write_text("code,name\n1,one\n2,two\n", encoding="utf-8")
    (lists / "c_nowhere_else.csv").write_text("code,name\n1,one\n", encoding="utf-8")
    (lists / "c_instype.csv").write_text("code,instype_name\n0100,หลัก  ประกัน\n", encoding="utf-8")
    monkeypatch.setattr(f43_schema, "DATA", data)
    assert f43_schema.main([str(schema), str(lists)]) == 0
    assert "1 files, 9 columns, 3 codes" in capsys.readouterr().out
    codes = (data / "codes.tsv").read_text(encoding="utf-8").splitlines()
    assert codes[1].split("\t")[0].startswith("CARD.INSTYPE_NEW,SERVICE.INSTYPE")
    assert codes[1].endswith("\t0100\tหลัก ประกัน")
    assert codes[2:] == ["VISIT.TIME\t1\t", "VISIT.TIME\t2\t"]
    assert len((data / "columns.tsv").read_text(encoding="utf-8").splitlines()) == 10


def test_without_arguments_it_says_what_it_wants(capsys):
    assert f43_schema.main([]) == 2
    assert "SCHEMA.json" in capsys.readouterr().err
