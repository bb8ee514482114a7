"""Tables: CSV or TSV with a heading, in UTF-8 or the Thai code page.

Columns of code systems: `code`, `display`, and where there are any `display_th`, `display_en`, `parent` (several by blanks or
commas), `definition`, `inactive`; each further column is a property of its name. Files of the publishers of TMT, TMLT,
ICD-10-TM and ICD-9-CM have headings of their own: the most usual are known, others are named by `--column code=…`.
"""

import csv
import io
from collections.abc import Iterator, Mapping

from tools.terminology.reading import Json, Source, SourceError

_CODE = (
    "code",
    "tmtid",
    "tmt_id",
    "tpuid",
    "tmlt",
    "tmlt_code",
    "tmltcode",
    "icd10tm",
    "icd10",
    "icd9",
    "diagcode",
    "proccode",
    "std_code",
)
_DISPLAY = ("display", "fsn", "name", "tmlt_name", "term", "desc", "description", "diagename", "display_en", "name_en")
_THAI = ("display_th", "name_th", "diagtname", "thai", "desc_th")
_PARENT = ("parent", "parents", "super", "superclass")
_TRUE = frozenset({"1", "true", "y", "yes", "inactive", "retired"})


def concepts(source: Source) -> Iterator[Json]:
    """The concepts of a table. Raises SourceError, naming the line."""
    for line, row in _rows(source):
        columns = _columns(row, source)
        code = _cell(row, columns.get("code"))
        if not code:
            raise SourceError(f"{source.path.name}, line {line}: there is no code")
        thai = _cell(row, columns.get("display_th"))
        display = _cell(row, columns.get("display")) or thai
        used = set(columns.values())
        found: Json = {
            "code": code,
            "display": display,
            "definition": _cell(row, columns.get("definition")),
            "parents": [one for one in _cell(row, columns.get("parent")).replace(",", " ").split() if one != code],
            "designations": [{"language": "th", "text": thai}] if thai else [],
            "properties": [
                {"name": name, "text": value.strip()}
                for name, value in row.items()
                if name not in used and value and value.strip()
            ],
            "isInactive": _cell(row, columns.get("inactive")).lower() in _TRUE,
        }
        yield found


def mappings(source: Source) -> Iterator[Json]:
    """Lines of source_system, source_code, target_system, target_code, equivalence, target_display."""
    for line, row in _rows(source):
        found = {
            name: _cell(row, source.columns.get(column, column))
            for name, column in (
                ("sourceSystem", "source_system"),
                ("sourceCode", "source_code"),
                ("targetSystem", "target_system"),
                ("targetCode", "target_code"),
                ("equivalence", "equivalence"),
                ("targetDisplay", "target_display"),
            )
        }
        _require(source, line, found, "sourceSystem", "sourceCode", "targetSystem", "targetCode")
        yield dict(found)


def interactions(source: Source) -> Iterator[Json]:
    """Lines of atc_a, atc_b, severity, direction, text_th, text_en."""
    for line, row in _rows(source):
        found = {
            name: _cell(row, source.columns.get(column, column))
            for name, column in (
                ("atcA", "atc_a"),
                ("atcB", "atc_b"),
                ("severity", "severity"),
                ("direction", "direction"),
                ("textTh", "text_th"),
                ("textEn", "text_en"),
            )
        }
        found["direction"] = found["direction"] or "both"
        _require(source, line, found, "atcA", "atcB", "severity")
        yield dict(found)


def decoded(data: bytes, name: str) -> str:
    """The text of a file. Raises SourceError for neither UTF-8 nor the Thai code page."""
    for encoding in ("utf-8-sig", "cp874"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SourceError(f"{name}: the text is neither UTF-8 nor TIS-620")


def _rows(source: Source) -> Iterator[tuple[int, dict[str, str]]]:
    with source.member(".csv", ".tsv", ".txt") as file:
        text = decoded(file.read(), source.path.name)
    heading = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in heading else ",")
    if not reader.fieldnames:
        raise SourceError(f"{source.path.name}: the table has no heading")
    for row in reader:
        if None in row:
            raise SourceError(f"{source.path.name}, line {reader.line_num}: more cells than the heading has")
        yield reader.line_num, {str(name).strip(): value or "" for name, value in row.items()}


def _columns(row: Mapping[str, str], source: Source) -> dict[str, str]:
    """Own name → the file's."""
    by_lower = {name.lower().replace(" ", "_"): name for name in row}
    known = {
        "code": _CODE,
        "display": _DISPLAY,
        "display_th": _THAI,
        "parent": _PARENT,
        "definition": ("definition",),
        "inactive": ("inactive", "is_inactive"),
    }
    found = {own: by_lower[one] for own, names in known.items() for one in reversed(names) if one in by_lower}
    for own, named in source.columns.items():
        if named not in row:
            raise SourceError(f"{source.path.name}: there is no column {named}")
        found[own] = named
    if "code" not in found:
        raise SourceError(f"{source.path.name}: no column holds the code; name it by --column code=…")
    return found


def _cell(row: Mapping[str, str], column: str | None) -> str:
    return row.get(column, "").strip() if column else ""


def _require(source: Source, line: int, found: Mapping[str, str], *names: str) -> None:
    for name in names:
        if not found[name]:
            raise SourceError(f"{source.path.name}, line {line}: {name} is empty")
