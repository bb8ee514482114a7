"""Files and columns of the 43-file standard v2.4.1, in the order of the sheet.

Source: the data-structure sheet v2.4.1 of the Strategy and Planning Division, Ministry of Public Health; the table in
`data/columns.tsv` is rebuilt by `tools/f43_schema.py`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from types import MappingProxyType


class Kind(StrEnum):
    """How a file is sent: the whole register, the visits of a period, or visits with what was done elsewhere."""

    CUMULATIVE = "cumulative"
    SERVICE = "service"
    SEMI_SURVEY = "semi-survey"
    CORRECTION = "correction"


class Form(StrEnum):
    """How a value is written. All values travel as text."""

    TEXT = "text"
    DATE = "date"
    """YYYYMMDD, years of the Common Era."""
    DATETIME = "datetime"
    """YYYYMMDDHHMMSS, Bangkok time."""
    TIME = "time"
    """HHMMSS; HHMM is met as well."""
    YEAR = "year"
    NUMBER = "number"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column: `width` counts characters (0: no limit), `digits` and `decimals` are set for numbers."""

    name: str
    position: int
    type: str
    form: Form
    width: int
    digits: int
    decimals: int
    is_key: bool
    is_required: bool

    @property
    def came_with_v24(self) -> bool:
        """True for the nine-digit facility codes, which exports of older programs do not have."""
        return "HOSPCODE9" in self.name or "HOSP9" in self.name or (self.name.endswith("9") and self.width == _NEW_CODE)


# Width of the facility code that version 2.4.1 put beside the five-digit one in every file.
_NEW_CODE = 9


@dataclass(frozen=True)
class FileSpec:
    """One file: its columns in order, and where each stands in a row."""

    name: str
    kind: Kind
    columns: tuple[ColumnSpec, ...]

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Column names, in order: the header."""
        return tuple(column.name for column in self.columns)

    @functools.cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each column in a row, counted from 0."""
        return MappingProxyType({column.name: column.position for column in self.columns})

    @functools.cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the columns that identify a row."""
        return tuple(column.name for column in self.columns if column.is_key)

    def column(self, name: str) -> ColumnSpec:
        """Returns the column of that name; raises KeyError for none."""
        return self.columns[self.index[name]]


def _load() -> Mapping[str, FileSpec]:
    text = resources.files(__package__).joinpath("data/columns.tsv").read_text(encoding="utf-8")
    kinds: dict[str, Kind] = {}
    columns: dict[str, list[ColumnSpec]] = {}
    for line in text.splitlines()[1:]:
        file, kind, name, letter, form, width, digits, decimals, key, required = line.split("\t")
        kinds[file] = Kind(kind)
        of_file = columns.setdefault(file, [])
        spec = ColumnSpec(
            name, len(of_file), letter, Form(form), int(width), int(digits), int(decimals), key == "1", required == "1"
        )
        of_file.append(spec)
    return MappingProxyType({name: FileSpec(name, kinds[name], tuple(columns[name])) for name in columns})


FILES: Mapping[str, FileSpec] = _load()
"""Every file by its name, in the order of the sheet."""
