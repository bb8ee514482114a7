"""Rebuilds the packaged tables of the 43-file standard from a published schema and its code lists.

    python -m tools.f43_schema SCHEMA.json CODE_LIST_DIRECTORY

SCHEMA.json is a list of files, each with `file`, `meta` and `columns`; a column has `name`, `type`, `width`, `pk`,
`notnull` and `description`. CODE_LIST_DIRECTORY holds one `c_<file>_<column>.csv` for each coded column. What is
written to `libs/f43/data` is what the platform needs of them: `columns.tsv` and `codes.tsv`.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "libs" / "f43" / "data"

COLUMN_HEADER = ("file", "kind", "column", "type", "form", "width", "digits", "decimals", "key", "required")
CODE_HEADER = ("columns", "code", "name")

# The sheet ticks the kind of each file in a sentence; DATA_CORRECT has no such line.
_TICKED = (
    ("☑ แฟ้มบริการกึ่งสำรวจ", "semi-survey"),
    ("☑ แฟ้มสะสม", "cumulative"),
    ("☑ แฟ้มบริการ", "service"),
)
_UNTICKED = {"DATA_CORRECT": "correction"}

# Code lists that several columns share, or whose file is not named after file and column.
_SHARED_LISTS = {
    "c_instype": (
        "CARD.INSTYPE_NEW",
        "SERVICE.INSTYPE",
        "ADMISSION.INSTYPE",
        "CHARGE_OPD.INSTYPE",
        "CHARGE_IPD.INSTYPE",
    ),
    "c_chargeitem": ("CHARGE_OPD.CHARGEITEM", "CHARGE_IPD.CHARGEITEM"),
    "c_person_prename": ("PERSON.PRENAME", "PROVIDER.PRENAME"),
    "c_person_sex": ("PERSON.SEX", "PROVIDER.SEX"),
    "c_person_nation": ("PERSON.NATION",),
}

# Of these lists the platform shows the names; of the others the codes are enough.
_NAMED = {
    "c_labfu_labtest": "lab_name_en",
    "c_epi_vaccinetype": "vaccinetype_name",
    "c_instype": "instype_name",
    "c_provider_providertype": "providertype_name",
    "c_chargeitem": "chargeitem_name",
}

# A monetary column whose width the sheet leaves open holds eight digits and two decimals, like those it does tell.
_OPEN_DIGITS = 8
_OPEN_DECIMALS = 2
_FULL_DATE = 8
_ARGUMENTS = 2
_FULL_DATETIME = 14


def column_rows(schema: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yields one row of `columns.tsv` for each column, in the order of the sheet."""
    for file in schema:
        kind = _kind(file)
        for column in file["columns"]:
            name = column["name"].replace(" ", "")
            width = int(float(column["width"])) if column["width"] else 0
            form = _form(column["type"], width, column["description"])
            digits, decimals = _number_shape(width, column["description"]) if form == "number" else (0, 0)
            if form == "number":
                width = width or digits + (decimals + 1 if decimals else 0)
            numbers = (str(width), str(digits), str(decimals))
            flags = ("1" if column["pk"] else "0", "1" if column["notnull"] else "0")
            yield (file["file"], kind, name, column["type"], form, *numbers, *flags)


def code_rows(directory: Path, columns: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str, str]]:
    """Yields the columns that use it (joined by commas), code and name of each code of each list that a column uses."""
    for path in sorted(directory.glob("c_*.csv")):
        lists = _SHARED_LISTS.get(path.stem) or _own_list(path.stem, columns)
        if not lists:
            continue
        with path.open(encoding="utf-8-sig", newline="") as handle:
            records = list(csv.DictReader(handle))
        shown = _NAMED.get(path.stem)
        for record in records:
            name = " ".join((record.get(shown) or "").split()) if shown else ""
            yield ",".join(lists), record["code"].strip(), name


def _kind(file: Mapping[str, Any]) -> str:
    meta = str(file.get("meta", ""))
    for tick, kind in _TICKED:
        if tick in meta:
            return kind
    return _UNTICKED.get(file["file"], "service")


def _form(kind: str, width: int, description: str) -> str:
    if kind in ("N", "JSON"):
        return {"N": "number", "JSON": "json"}[kind]
    if kind == "DT" or (width == _FULL_DATETIME and "YYYYMMDDHHMMSS" in description):
        return "datetime"
    if kind == "D":
        return "date" if width == _FULL_DATE else "year"
    if width == _FULL_DATE and "YYYYMMDD" in description:
        return "date"
    return "time" if "(HHMMSS)" in description else "text"


def _number_shape(width: int, description: str) -> tuple[int, int]:
    """Digits before and after the point, as the sheet's note tells or as its width leaves room for."""
    told_digits = re.search(r"ไม่\s*เกิน\s*(\d+)\s*หลัก", description)
    told_decimals = re.search(r"ทศนิยม\s*(?:และเลขหลัง\s*จุด\s*)?(\d+)\s*(?:ตำแหน่ง|หลัก)", description)
    decimals = int(told_decimals[1]) if told_decimals else 0
    if told_digits:
        return int(told_digits[1]), decimals
    if width:
        return (width - decimals - 1 if decimals else width), decimals
    return (_OPEN_DIGITS, decimals or _OPEN_DECIMALS) if "ราคา" in description else (_OPEN_DIGITS, decimals)


def _own_list(stem: str, columns: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    told = stem.removeprefix("c_").upper()
    for file in sorted(columns, key=len, reverse=True):
        if told.startswith(f"{file}_") and told[len(file) + 1 :] in columns[file]:
            return (f"{file}.{told[len(file) + 1 :]}",)
    return ()


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    lines = ["\t".join(header), *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> int:
    """Writes both tables and tells their size; answers 2 when called without its two arguments."""
    if len(arguments) != _ARGUMENTS:
        sys.stderr.write(__doc__ or "")
        return 2
    schema = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    columns = list(column_rows(schema))
    names: dict[str, frozenset[str]] = {}
    for row in columns:
        names[row[0]] = names.get(row[0], frozenset()) | {row[2]}
    codes: list[tuple[str, ...]] = list(code_rows(Path(arguments[1]), names))
    _write(DATA / "columns.tsv", COLUMN_HEADER, columns)
    _write(DATA / "codes.tsv", CODE_HEADER, codes)
    sys.stdout.write(f"{len(names)} files, {len(columns)} columns, {len(codes)} codes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
