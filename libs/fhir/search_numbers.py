"""Numbers, quantities and ranges, as spans of numbers; and places on earth."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeGuard

# What stands for no bound.
INFINITY: Final = math.inf


class Token(NamedTuple):
    """A code with its system; the system is empty where none is stated."""

    system: str
    code: str


class Number(NamedTuple):
    """A number, a quantity or a range, from `low` to `high`; of a place on earth its latitude and its longitude."""

    path: str
    low: float
    high: float
    # Of the unit; what is not stated is empty.
    system: str = ""
    code: str = ""
    unit: str = ""
    # The codes beside it, where a composite asks for both together.
    about: tuple[Token, ...] = ()


def is_number(value: Any) -> TypeGuard[float]:
    """True for a JSON number."""
    return type(value) is int or type(value) is float


def number_of(  # noqa: PLR0911 an answer for each type
    value: Any, path: str, type_name: str, about: tuple[Token, ...] = ()
) -> Number | None:
    """An element of a type that numbers and quantities are of, as a span of numbers; None where it says none."""
    if is_number(value):
        return Number(path, float(value), float(value), about=about)
    if type(value) is not dict:
        return None
    if type_name == "Location.position":
        latitude, longitude = value.get("latitude"), value.get("longitude")
        if is_number(latitude) and is_number(longitude):
            return Number(path, float(latitude), float(longitude))
        return None
    if type_name == "Range":
        low, high = value.get("low") or {}, value.get("high") or {}
        if not (is_number(low.get("value")) or is_number(high.get("value"))):
            return None
        unit = low if is_number(low.get("value")) else high
        return _quantity(path, low.get("value"), high.get("value"), unit, about)
    if type_name == "SampledData":
        return _sampled(path, value, about)
    amount = value.get("value")
    if not is_number(amount):
        return None
    if type_name == "Money":
        return Number(path, float(amount), float(amount), "urn:iso:std:iso:4217", value.get("currency", ""), "", about)
    comparator = value.get("comparator", "")
    low, high = (None if comparator[:1] == "<" else amount), (None if comparator[:1] == ">" else amount)
    return _quantity(path, low, high, value, about)


def _quantity(path: str, low: Any, high: Any, unit: Mapping[str, Any], about: tuple[Token, ...]) -> Number:
    return Number(
        path,
        float(low) if is_number(low) else -INFINITY,
        float(high) if is_number(high) else INFINITY,
        unit.get("system", ""),
        unit.get("code", ""),
        unit.get("unit", ""),
        about,
    )


def _sampled(path: str, value: Mapping[str, Any], about: tuple[Token, ...]) -> Number | None:
    """From the lowest to the highest of the samples."""
    origin = value.get("origin") or {}
    factor = value.get("factor", 1)
    offset = origin.get("value", 0)
    if not (is_number(factor) and is_number(offset) and type(value.get("data")) is str):
        return None
    samples = [float(one) * factor + offset for one in value["data"].split() if _SAMPLE.fullmatch(one)]
    if not samples:
        return None
    return _quantity(path, min(samples), max(samples), origin, about)


_SAMPLE = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
