"""Comparisons of what is told of people, ready to be trained: names, births, places, numbers.

Each gives a comparison as a model's JSON has it; m and u are where EM begins. Columns are those of `person`, or any that
are of the same form.
"""

from typing import Any, Final

Told = dict[str, Any]

# Of Jaro and Winkler's similarity: spelling variants lie above the first, rhyming names above the second.
_SIMILAR: Final = 0.92
_CLOSE: Final = 0.82
# One letter of so many may be a slip; of fewer it is mostly another name.
_LONG: Final = 5
# Spellings of one sound differ in so many letters: สุวรรณ is สุวัน. Names that rhyme in their consonants differ in more.
_HEARD: Final = 3
# Two spellings each borne by so many, and neither by so many times more, are two names.
_BEARERS: Final = 3
_TIMES: Final = 40
# What two agree in by chance is never rarer than so, however rare the value: a slip makes rare values too.
_RAREST_NAME: Final = 1e-5
_RAREST_NUMBER: Final = 1e-7


def level(name: str, m: float, u: float, when: Told | None = None, frequencies: str = "", least: float = 0.0) -> Told:
    """A level as a model's JSON has it."""
    told: Told = {"level": name, "m": m, "u": u}
    if when:
        told["when"] = when
    if frequencies:
        told |= {"frequencies": frequencies, "least_frequency": least}
    return told


def equal(column: str) -> Told:
    """The same on both sides."""
    return {"test": "equal", "column": column}


def alike(column: str, least: float) -> Told:
    """Jaro and Winkler's similarity."""
    return {"test": "alike", "column": column, "least": least}


def slips(column: str, most: int, letters: int) -> Told:
    """So many letters wrong, in words of so many."""
    return {"test": "slips", "column": column, "most": most, "letters": letters}


def begin(column: str, letters: int) -> Told:
    """The first letters are the same."""
    return {"test": "begin", "column": column, "letters": letters}


def any_of(*of: Told) -> Told:
    """One of these."""
    return {"test": "any", "of": list(of)}


def all_of(*of: Told) -> Told:
    """All of these."""
    return {"test": "all", "of": list(of)}


def name(column: str, other: str) -> Told:
    """A name with its keys of sound, and `other`, with which it may have changed places.

    Columns: the name, `<name>_sound`, `<name>_roman`, `<name>_skeleton` (libs.thai.sounds), `<name>_bearers` (how many
    records spell it so).
    """
    near = any_of(alike(column, _CLOSE), slips(column, 1, _LONG))
    return {
        "field": column,
        "missing": [column],
        "levels": [
            level("exact", 0.85, 0.001, equal(column), column, _RAREST_NAME),
            level("crossed", 0.001, 1e-6, {"test": "crossed", "column": column, "other": other}),
            level(
                "sound", 0.03, 5e-4,
                any_of(
                    all_of(equal(f"{column}_sound"), begin(f"{column}_sound", 2), slips(column, _HEARD, 2)),
                    all_of(equal(f"{column}_roman"), begin(f"{column}_roman", 3)),
                ),
            ),
            level(
                "rival", 0.002, 0.01,
                all_of(near, {"test": "rivals", "column": f"{column}_bearers", "least": _BEARERS, "times": _TIMES}),
            ),
            level("similar", 0.05, 0.002, any_of(alike(column, _SIMILAR), slips(column, 1, _LONG))),
            level("skeleton", 0.01, 0.002, all_of(equal(f"{column}_skeleton"), begin(f"{column}_skeleton", 2))),
            level("close", 0.02, 0.01, alike(column, _CLOSE)),
            level("different", 0.05, 0.98),
        ],
    }  # fmt: skip


def birth() -> Told:
    """A birth: columns `birth` (YYYYMMDD, where all is known), `birth_year`, `birth_month`, `birth_mday` (numbers)."""
    year = equal("birth_year")
    day = all_of(equal("birth_month"), equal("birth_mday"))
    return {
        "field": "birth",
        "missing": ["birth_year"],
        "levels": [
            level("exact", 0.9, 5e-5, equal("birth")),
            level("partial", 0.02, 5e-4, all_of(year, {"test": "lacks", "column": "birth"})),
            level("swapped", 0.005, 5e-5, all_of(year, {"test": "crossed", "column": "birth_month", "other": "birth_mday"})),
            # A year of two digits read in the wrong era, or one that was not converted, or twice.
            level("era", 0.005, 5e-5, all_of(day, {"test": "apart", "column": "birth_year", "by": [43, 57, 543]})),
            level(
                "slip", 0.02, 0.001,
                any_of(slips("birth", 1, 8), all_of(day, {"test": "within", "column": "birth_year", "most": 1})),
            ),
            level(
                "near", 0.01, 0.004,
                any_of(
                    all_of(day, {"test": "within", "column": "birth_year", "most": 9}),
                    all_of(year, any_of(equal("birth_month"), equal("birth_mday"))),
                ),
            ),
            level("different", 0.03, 0.99),
        ],
    }  # fmt: skip


def same(column: str, m: float, u: float, *, is_weighed_by_frequency: bool = False) -> Told:
    """The same or not."""
    told = column if is_weighed_by_frequency else ""
    return {
        "field": column,
        "missing": [column],
        "levels": [level("same", m, u, equal(column), told), level("different", 1 - m, 1 - u)],
    }


def place(column: str) -> Told:
    """A registry's six digits of a home: sub-district, district, province."""
    return {
        "field": column,
        "missing": [column],
        "levels": [
            level("sub_district", 0.6, 0.001, equal(column), column, _RAREST_NAME),
            level("district", 0.1, 0.002, begin(column, 4)),
            level("province", 0.1, 0.03, begin(column, 2)),
            level("different", 0.2, 0.96),
        ],
    }


def number(column: str, u: float) -> Told:
    """A number of digits: a telephone, or one that somebody issued."""
    return {
        "field": column,
        "missing": [column],
        "levels": [
            level("same", 0.9, u, equal(column), column, _RAREST_NUMBER),
            level("slip", 0.01, 10 * u, slips(column, 1, 7)),
            level("different", 0.09, 1 - 11 * u),
        ],
    }
