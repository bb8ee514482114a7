"""A table as it comes: of any of the encodings and separators that spreadsheets and registries write."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SEPARATORS: Final = ",;\t|"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
# In windows-874 (TIS-620) every Thai letter is one of these bytes; in Latin-1 they are the letters of western Europe.
_THAI: Final = frozenset(range(0xA1, 0xFC))
_MOSTLY: Final = 0.5
_LEAST_TOGETHER: Final = 3


class TableError(ValueError):
    """A table cannot be used; the message names the file and says why, without repeating a value."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns in their order, and rows of as many values; what is empty is ""."""

    path: Path
    columns: tuple[str, ...]
    rows: list[list[str]]

    def values(self, column: str) -> list[str]:
        """A column, from the first row on."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]


def read_table(path: Path) -> Table:
    """The table of a file with a header: UTF-8, UTF-16 or windows-874, else Latin-1; parted by comma, semicolon, tab or bar.

    Raises TableError for a file that cannot be read, is empty, names a column twice or not at all, or has a row of more
    values than columns.
    """
    try:
        text = _text_of(path.read_bytes())
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from error
    if not text.strip():
        raise TableError(f"{path}: the file is empty")
    try:
        return _table(path, text)
    except csv.Error as error:
        raise TableError(f"{path}: {error}") from error


def _table(path: Path, text: str) -> Table:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text.lstrip().splitlines()[0]), strict=True)
    columns = tuple(name.strip() for name in next(line for line in lines if any(line)))
    if "" in columns:
        raise TableError(f"{path}: column {columns.index('') + 1} has no name")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise TableError(f"{path}: more than one column is named {twice[0]}")
    rows = []
    for line in lines:
        if not any(value.strip() for value in line):
            continue
        if len(line) > len(columns):
            raise TableError(f"{path}: line {lines.line_num} has {len(line)} values for {len(columns)} columns")
        rows.append([value.strip() for value in line] + [""] * (len(columns) - len(line)))
    if not rows:
        raise TableError(f"{path}: there is a header and nothing below it")
    return Table(path, columns, rows)


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)


def _text_of(raw: bytes) -> str:
    if raw.startswith(_UTF_16):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp874" if _is_thai(raw) else "latin-1", errors="replace")


def _is_thai(raw: bytes) -> bool:
    """Thai letters come in words; those of western Europe one at a time, among letters of ASCII."""
    high = together = run = 0
    for byte in raw:
        run = run + 1 if byte in _THAI else 0
        high += byte > 0x7F  # noqa: PLR2004 the last of ASCII
        together += _LEAST_TOGETHER if run == _LEAST_TOGETHER else run > _LEAST_TOGETHER
    return together > _MOSTLY * high
