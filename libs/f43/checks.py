"""Judges one row against the specification: required, width, digits, real dates, code lists, citizen ids.

`compile_check` builds one regular expression and a few look-ups for a file, once; a sound row costs one match. Only a
row that fails is looked at column by column. What spans rows or files (links, duplicates, the future) is not judged
here.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from libs.f43.codes import CODES
from libs.f43.schema import ColumnSpec, FileSpec, Form
from libs.thai import citizen_id
from libs.thai.dates import DateError, parse_f43_date

# A list this short is written into the expression; a longer one is looked up.
_SHORT_LIST: Final = 32
_MOST_DECIMALS: Final = 6
_DATE_LENGTH: Final = 8
_NEWEST_YEAR: Final = 2400

# Columns that hold a citizen id.
CITIZEN_ID_COLUMNS: Final = frozenset({"CID", "FATHER", "MOTHER", "COUPLE"})

# Several codes joined by commas: the list is checked one by one.
_COMMA_JOINED: Final = frozenset({("PROVIDER", "PROVIDERTYPE")})

_MESSAGES: Final = {
    "REQUIRED": "the column must not be empty",
    "TOO_WIDE": "the value has more than {width} characters",
    "DATE_FORMAT": "a date is written YYYYMMDD",
    "DATE_IMPOSSIBLE": "the calendar has no such day",
    "DATE_BUDDHIST": "years are of the Common Era; this one is 543 ahead",
    "DATETIME_FORMAT": "a date and time is written YYYYMMDDHHMMSS",
    "TIME_FORMAT": "a time is written HHMMSS or HHMM",
    "YEAR_FORMAT": "a year is four digits of the Common Era",
    "NUMBER_FORMAT": "the value is no number",
    "NUMBER_TOO_LARGE": "the number has more than {digits} digits before the point",
    "CODE_UNKNOWN": "the value is not in the code list of the column",
    "CITIZEN_ID_FORMAT": "a citizen id is thirteen digits",
    "CITIZEN_ID_CHECK_DIGIT": "the last digit of the citizen id does not check the others",
    "JSON_FORMAT": "the value is no JSON",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value: the column, a stable reason, and a message without the value."""

    column: str
    reason: str
    message: str


@functools.cache
def compile_check(spec: FileSpec, missing: tuple[str, ...] = ()) -> Callable[[Sequence[str]], tuple[Fault, ...]]:
    """Returns a function from a row (one value per column, in order) to its faults; () for a sound row.

    `missing` are columns that the file at hand lacks (Table.missing): they are not required, for they cannot be there.
    The function keeps no state and may be shared.
    """
    absent = frozenset(missing)
    match = re.compile(
        "\x1f".join(_pattern(spec, column, required=_is_required(column, absent)) for column in spec.columns)
    ).fullmatch
    days = tuple(column.position for column in spec.columns if column.form in (Form.DATE, Form.DATETIME))
    ids = tuple(column.position for column in spec.columns if column.name in CITIZEN_ID_COLUMNS)
    lists = tuple(
        (column.position, CODES[spec.name, column.name])
        for column in spec.columns
        if (spec.name, column.name) in CODES
        and (spec.name, column.name) not in _COMMA_JOINED
        and len(CODES[spec.name, column.name]) > _SHORT_LIST
    )
    joined = tuple(column.position for column in spec.columns if (spec.name, column.name) in _COMMA_JOINED)
    structured = tuple(column.position for column in spec.columns if column.form is Form.JSON)
    careful = _careful_check(spec, absent)
    is_day, is_valid_id = _is_day, citizen_id.is_valid
    slow = bool(joined or structured)

    def check(row: Sequence[str]) -> tuple[Fault, ...]:
        if slow or match("\x1f".join(row)) is None:
            return careful(row)
        for position in days:
            value = row[position]
            if value and not is_day(value[:8]):
                return careful(row)
        for position in ids:
            value = row[position]
            if value and not is_valid_id(value):
                return careful(row)
        for position, codes in lists:
            value = row[position]
            if value and value not in codes:
                return careful(row)
        return ()

    return check


def _is_required(column: ColumnSpec, absent: frozenset[str]) -> bool:
    return column.is_required and column.name not in absent


def _pattern(spec: FileSpec, column: ColumnSpec, *, required: bool) -> str:
    codes = CODES.get((spec.name, column.name))
    if column.form in (Form.DATE, Form.DATETIME):
        core = r"[0-9]{8}" if column.form is Form.DATE else r"[0-9]{8}(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
    elif column.form is Form.TIME:
        core = r"(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?"
    elif column.form is Form.YEAR:
        core = r"[0-9]{4}"
    elif column.form is Form.NUMBER:
        core = rf"[0-9]{{1,{column.digits}}}(?:\.[0-9]{{1,{_MOST_DECIMALS}}})?"
    elif column.name in CITIZEN_ID_COLUMNS:
        core = r"[0-9]{13}"
    elif codes and len(codes) <= _SHORT_LIST and (spec.name, column.name) not in _COMMA_JOINED:
        core = "(?:" + "|".join(re.escape(code) for code in sorted(codes)) + ")"
        if all(len(code) == 1 for code in codes):
            core = "[" + "".join(sorted(codes)) + "]"
    else:
        most = str(column.width) if column.width else ""
        return rf"[^\x1f]{{{1 if required else 0},{most}}}"
    return core if required else f"(?:{core})?"


def _careful_check(spec: FileSpec, absent: frozenset[str]) -> Callable[[Sequence[str]], tuple[Fault, ...]]:
    judges = tuple(
        (
            column,
            _is_required(column, absent),
            CODES.get((spec.name, column.name)),
            (spec.name, column.name) in _COMMA_JOINED,
        )
        for column in spec.columns
    )

    def check(row: Sequence[str]) -> tuple[Fault, ...]:
        faults = []
        for (column, required, codes, is_joined), value in zip(judges, row, strict=True):
            if not value:
                reason = "REQUIRED" if required else None
            elif codes is not None and is_joined:
                reason = None if codes.issuperset(value.split(",")) else "CODE_UNKNOWN"
            elif codes is not None:
                reason = None if value in codes else "CODE_UNKNOWN"
            else:
                reason = _reason(column, value)
            if reason:
                message = _MESSAGES[reason].format(width=column.width, digits=column.digits)
                faults.append(Fault(column.name, reason, message))
        return tuple(faults)

    return check


def _reason(column: ColumnSpec, value: str) -> str | None:
    return _JUDGES[column.form](column, value)


def _date_reason(_: ColumnSpec, value: str) -> str | None:
    return _day_reason(value, "DATE_FORMAT")


def _datetime_reason(_: ColumnSpec, value: str) -> str | None:
    if re.fullmatch(r"[0-9]{8}(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]", value) is None:
        return "DATETIME_FORMAT"
    return _day_reason(value[:_DATE_LENGTH], "DATETIME_FORMAT")


def _time_reason(_: ColumnSpec, value: str) -> str | None:
    return None if re.fullmatch(r"(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9])?", value) else "TIME_FORMAT"


def _year_reason(_: ColumnSpec, value: str) -> str | None:
    return None if re.fullmatch(r"[0-9]{4}", value) else "YEAR_FORMAT"


def _json_reason(_: ColumnSpec, value: str) -> str | None:
    return None if _is_json(value) else "JSON_FORMAT"


def _text_reason(column: ColumnSpec, value: str) -> str | None:
    if column.name in CITIZEN_ID_COLUMNS:
        return _citizen_id_reason(value)
    return "TOO_WIDE" if column.width and len(value) > column.width else None


def _number_reason(column: ColumnSpec, value: str) -> str | None:
    number = re.fullmatch(rf"([0-9]+)(?:\.[0-9]{{1,{_MOST_DECIMALS}}})?", value)
    if number is None:
        return "NUMBER_FORMAT"
    return None if len(number[1]) <= column.digits else "NUMBER_TOO_LARGE"


def _citizen_id_reason(value: str) -> str | None:
    try:
        citizen_id.require_valid(value)
    except citizen_id.CitizenIdError as error:
        return error.reason
    return None


def _day_reason(value: str, misshapen: str) -> str | None:
    try:
        parse_f43_date(value)
    except DateError as error:
        return "DATE_IMPOSSIBLE" if error.reason == "DATE_IMPOSSIBLE" else misshapen
    return "DATE_BUDDHIST" if int(value[:4]) > _NEWEST_YEAR else None


@functools.lru_cache(maxsize=65_536)
def _is_day(value: str) -> bool:
    """True for eight digits that name a day of the Common Era. Days repeat, so most answers are remembered."""
    return _day_reason(value, "DATE_FORMAT") is None


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


_JUDGES: Final[Mapping[Form, Callable[[ColumnSpec, str], str | None]]] = {
    Form.TEXT: _text_reason,
    Form.DATE: _date_reason,
    Form.DATETIME: _datetime_reason,
    Form.TIME: _time_reason,
    Form.YEAR: _year_reason,
    Form.NUMBER: _number_reason,
    Form.JSON: _json_reason,
}
