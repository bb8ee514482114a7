"""Rows as they should not be: put in among sound ones, so that an importer can be seen to refuse just these.

A spoiled row is a copy of a sound one with one thing wrong, under a key of its own: nothing that is true is lost when
it is refused, and nothing refers to it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from libs.f43.schema import FILES
from libs.thai import citizen_id

PERSON_UNKNOWN: Final = "PERSON_UNKNOWN"


@dataclass(frozen=True, slots=True)
class SpoiledRow:
    """Where a spoiled row stands. The header is line 1; `column` is "" where the whole row is meant."""

    hcode: str
    format: str
    file: str
    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Way:
    """How to spoil a row of a file: after which row, what is said of it, and the change."""

    after: int
    column: str
    reason: str
    change: Callable[[dict[str, str]], None]
    cut: bool = False


def _set(**values: str) -> Callable[[dict[str, str]], None]:
    return lambda row: row.update(values)


def _wrong_check_digit(row: dict[str, str]) -> None:
    sound = citizen_id.make("912345678901")
    row.update(PID="9999901", HN="9999901", CID=f"{sound[:12]}{(int(sound[12]) + 1) % 10}")


_WAYS: Final[Mapping[str, tuple[_Way, ...]]] = {
    "PERSON": (
        _Way(3, "CID", "CITIZEN_ID_CHECK_DIGIT", _wrong_check_digit),
        _Way(7, "BIRTH", "DATE_IMPOSSIBLE", _set(PID="9999902", HN="9999902", CID="", BIRTH="19850230")),
    ),
    "SERVICE": (
        _Way(5, "", "FIELD_COUNT", _set(SEQ="9999999901"), cut=True),
        _Way(9, "INSTYPE", "CODE_UNKNOWN", _set(SEQ="9999999902", INSTYPE="ZZZZ")),
    ),
    "DIAGNOSIS_OPD": (_Way(6, "PID", PERSON_UNKNOWN, _set(PID="9999903", SEQ="9999999903", DIAGCODE="J00")),),
    "DRUG_OPD": (_Way(4, "AMOUNT", "NUMBER_FORMAT", _set(AMOUNT="สิบเม็ด", DIDSTD="909999999999999999999999")),),
    "LABFU": (_Way(2, "LABRESULT", "REQUIRED", _set(LABRESULT="", LABTEST="0290201")),),
}


def spoil(hcode: str, file: str, lines: Iterable[str], spoiled: list[SpoiledRow]) -> Iterator[str]:
    """Yields the lines of a file with the spoiled ones among them, and adds those to `spoiled`."""
    ways = {way.after: way for way in _WAYS.get(file, ())}
    names = FILES[file].names
    number = 1
    for count, line in enumerate(lines, 1):
        yield line
        number += 1
        way = ways.get(count)
        if way is not None:
            row = dict(zip(names, line.split("|"), strict=True))
            way.change(row)
            bad = "|".join(row[name] for name in names)
            yield bad.rpartition("|")[0] if way.cut else bad
            number += 1
            spoiled.append(SpoiledRow(hcode, "f43", file, number, way.column, way.reason))
