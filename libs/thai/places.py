"""Provinces, districts, sub-districts and villages by the registry's codes (DOPA, TIS 1099).

A province has two digits, a district four, a sub-district six, each beginning with the code above it; two more make a
village (moo). Codes that the registry has given up are kept, since old records hold them.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final

PROVINCE, DISTRICT, SUB_DISTRICT, VILLAGE = 2, 4, 6, 8
REGIONS: Final = 13
UNKNOWN_PART: Final = "99"
_LETTER_FROM: Final = 100
_LAST_VILLAGE: Final = 359


@dataclass(frozen=True, slots=True)
class Place:
    """A place by its code. `name_en`, `postcode` and the coordinates (degrees, a point inside) may be missing."""

    code: str
    name_th: str
    name_en: str
    postcode: str
    latitude: float | None
    longitude: float | None
    is_current: bool


class PlaceError(ValueError):
    """There is no such place. `reason` is PLACE_FORMAT or PLACE_UNKNOWN."""

    def __init__(self, reason: str, message: str) -> None:
        """`message` names the rule, never the value."""
        super().__init__(message)
        self.reason = reason


@functools.cache
def _places() -> Mapping[str, Place]:
    text = resources.files(__package__).joinpath("data/places.tsv").read_text(encoding="utf-8")
    places = {}
    for line in text.splitlines()[1:]:
        code, name_th, name_en, postcode, latitude, longitude, current = line.split("\t")
        north, east = (float(latitude), float(longitude)) if latitude else (None, None)
        places[code] = Place(code, name_th, name_en, postcode, north, east, current == "1")
    return MappingProxyType(places)


@functools.cache
def _regions() -> Mapping[str, int]:
    text = resources.files(__package__).joinpath("data/health_regions.tsv").read_text(encoding="utf-8")
    return MappingProxyType({line[:PROVINCE]: int(line[PROVINCE + 1 :]) for line in text.splitlines()[1:]})


@functools.cache
def _children() -> Mapping[str, tuple[str, ...]]:
    children: dict[str, list[str]] = {}
    for code in _places():
        children.setdefault(code[:-2], []).append(code)
    return MappingProxyType({code: tuple(sorted(below)) for code, below in children.items()})


def find(code: str) -> Place | None:
    """The place with that code of two, four or six digits, or None. A village's code finds its sub-district."""
    return _places().get(code[:SUB_DISTRICT] if len(code) == VILLAGE else code)


def require(code: str) -> Place:
    """The place with that code. Raises PlaceError PLACE_FORMAT or PLACE_UNKNOWN."""
    if re.fullmatch(r"[0-9]{2}(?:[0-9]{2}){0,2}(?:[0-9A-Z][0-9])?", code) is None:
        raise PlaceError("PLACE_FORMAT", "a place is two, four, six or eight characters")
    place = find(code)
    if place is None:
        raise PlaceError("PLACE_UNKNOWN", "the registry has no such place")
    return place


def provinces() -> tuple[str, ...]:
    """The codes of the 77 provinces."""
    return _children()[""]


def children(code: str) -> tuple[str, ...]:
    """The codes directly below, in order; () for a sub-district or an unknown code."""
    return _children().get(code, ())


def province_of(code: str) -> str:
    """The code of the province, from any longer code. Raises PlaceError for none."""
    return require(code[:PROVINCE]).code


def district_of(code: str) -> str:
    """The code of the district, from its own or any longer code. Raises PlaceError for a province or none."""
    if len(code) < DISTRICT:
        raise PlaceError("PLACE_FORMAT", "a province lies in no district")
    return require(code[:DISTRICT]).code


def sub_district_of(code: str) -> str:
    """The code of the sub-district, from its own or a village's code. Raises PlaceError for a shorter one or none."""
    if len(code) < SUB_DISTRICT:
        raise PlaceError("PLACE_FORMAT", "a province or district lies in no sub-district")
    return require(code[:SUB_DISTRICT]).code


def health_region(code: str) -> int:
    """The health region, 1 to 13, of the province that the code begins with. Raises PlaceError for none."""
    region = _regions().get(code[:PROVINCE])
    if region is None:
        raise PlaceError("PLACE_UNKNOWN", "the registry has no such province")
    return region


def provinces_of_region(region: int) -> tuple[str, ...]:
    """The codes of the provinces of a health region, in order; () for none."""
    return tuple(code for code, number in sorted(_regions().items()) if number == region)


def compose(province: str, district: str = "", sub_district: str = "") -> str:
    """The longest known code of three two-digit parts as the 43 files write them.

    99 is unknown, and what stands after an unknown part is not believed; "" if not even the province is known.
    """
    known = ""
    for part in (province, district, sub_district):
        if part == UNKNOWN_PART or find(known + part) is None or not part:
            break
        known += part
    return known


def split(code: str) -> tuple[str, str, str]:
    """The three two-digit parts of a code, 99 for those that it does not reach."""
    told = code.ljust(SUB_DISTRICT, "9")
    return told[:2], told[2:4], told[4:6]


def full_name(code: str) -> str:
    """The place in Thai with what it lies in, as on an envelope. Raises PlaceError for none."""
    place = require(code)
    in_bangkok = place.code.startswith("10")
    words = ("", "เขต", "แขวง") if in_bangkok else ("จ.", "อ.", "ต.")
    parts = [
        f"{word}{require(place.code[:length]).name_th}"
        for word, length in zip(words, (PROVINCE, DISTRICT, SUB_DISTRICT), strict=True)
        if length <= len(place.code)
    ]
    return " ".join(reversed(parts))


def parse_village(text: str) -> int | None:
    """The number of a village of two characters: 01 to 99, A0 for 100 to Z9 for 359; None for 99, unknown.

    00, a municipality without villages, is 0. Raises PlaceError PLACE_FORMAT.
    """
    if re.fullmatch(r"[0-9A-Z][0-9]", text) is None:
        raise PlaceError("PLACE_FORMAT", "a village is two digits, or a letter and a digit")
    if text == UNKNOWN_PART:
        return None
    first = ord(text[0]) - ord("A") + 10 if text[0].isalpha() else int(text[0])
    return first * 10 + int(text[1])


def format_village(number: int | None) -> str:
    """The two characters of a village: 99 for unknown (and for the ninety-ninth). Raises PlaceError PLACE_FORMAT."""
    if number is None:
        return UNKNOWN_PART
    if not 0 <= number <= _LAST_VILLAGE:
        raise PlaceError("PLACE_FORMAT", f"villages are numbered up to {_LAST_VILLAGE}")
    if number < _LETTER_FROM:
        return f"{number:02d}"
    return f"{chr(ord('A') + number // 10 - 10)}{number % 10}"
