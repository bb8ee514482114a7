"""What is compared of a registration in Thailand, and the model of it that was learnt on the tuning seeds of the benchmark.

    row = row_of(given="สมชาย", family="ใจดี", birth="2527-02-29", sex="male")
    scoring.total(th_person_1(), scoring.weigh(th_person_1(), row, other))

Files are brought to the same columns in SQL by `tools.linkage.batch.columns`; a test holds the two alike.
"""

import functools
import json
from importlib import resources
from typing import Final

from libs.linkage import fields
from libs.linkage.conditions import Row
from libs.linkage.model import Model, read_model
from libs.thai import dates, names, sounds
from libs.thai.dates import PartialDate

COLUMNS: Final = (
    "given", "given_sound", "given_roman", "given_skeleton", "given_bearers",
    "family", "family_sound", "family_roman", "family_skeleton", "family_bearers",
    "birth", "birth_year", "birth_month", "birth_mday", "sex", "phone", "place", "citizen_id", "other_id",
)  # fmt: skip
NUMBERS: Final = ("citizen_id", "other_id")
# 1 January is what is written where the day is not known, far more often than it is one's birthday.
_FIRST_OF_JANUARY: Final = (1, 1)
_PHONE: Final = 9
_FEWEST_DIGITS: Final = 8


def template(*, with_ids: bool = True) -> str:
    """The model before training, as JSON. Without ids, numbers that somebody issued are not compared."""
    comparisons = [
        fields.name("given", "family"),
        fields.name("family", "given"),
        fields.birth(),
        fields.same("sex", 0.99, 0.5),
        fields.place("place"),
        fields.number("phone", 1e-5),
    ]
    if with_ids:
        comparisons += [fields.number("citizen_id", 1e-7), fields.number("other_id", 1e-6)]
    thresholds = {"certain": 9.0, "probable": 3.0, "possible": -2.0}
    told = {"name": "th-person-0", "prior": 1e-6, "thresholds": thresholds, "comparisons": comparisons}
    return json.dumps(told, ensure_ascii=False)


@functools.cache
def th_person_1() -> Model:
    """The model that was learnt, without labels, on the tuning seeds of the Thai benchmark."""
    return read_model(resources.files(__package__).joinpath("data/th_person_1.json").read_text(encoding="utf-8"))


def row_of(
    *,
    given: str = "",
    family: str = "",
    given_roman: str = "",
    family_roman: str = "",
    birth: str = "",
    sex: str = "",
    phone: str = "",
    place: str = "",
    citizen_id: str = "",
    other_id: str = "",
    given_bearers: int | None = None,
    family_bearers: int | None = None,
) -> Row:
    """What is compared of one registration; what is not known is empty, and None in the row.

    Names as written, a title before the given name or not, Latin where no Thai is known or in `*_roman`; `birth` as
    YYYY[-MM[-DD]] of either era; `sex` is male or female; `place` six digits; `other_id` a passport's or a permit's number.
    The bearers are how many registrations spell the name so, if that is known: two spellings that many bear are two names.
    A birth that cannot be read is unknown.
    """
    clean = names.clean(given, family)
    told_sex = sex if sex in _SEXES else ((clean.prefix.sex or "") if clean.prefix else "")
    digits = "".join(letter for letter in phone if letter.isascii() and letter.isdigit())[-_PHONE:]
    return {
        **name_columns("given", names.match_key(clean.given), names.match_key(given_roman)),
        "given_bearers": given_bearers,
        **name_columns("family", names.match_key(clean.family), names.match_key(family_roman)),
        "family_bearers": family_bearers,
        **birth_columns(_birth(birth)),
        "sex": _SEXES.get(told_sex),
        "phone": digits if len(digits) >= _FEWEST_DIGITS else None,
        "place": place or None,
        "citizen_id": citizen_id or None,
        "other_id": other_id or None,
    }


_SEXES: Final = {"male": 1, "female": 2}


def name_columns(column: str, folded: str, roman: str) -> dict[str, str | int | None]:
    """A name and its keys of sound; where only Latin letters are known, they are the name."""
    told = folded or roman
    return {
        column: told or None,
        f"{column}_sound": sounds.sound_of(told) or None,
        f"{column}_roman": sounds.roman_sound_of(roman) or None,
        f"{column}_skeleton": sounds.skeleton_of(told) or None,
    }


def birth_columns(told: PartialDate | None) -> dict[str, str | int | None]:
    """A birth in its parts; the day and month are known together or not at all."""
    is_whole = told is not None and bool(told.day) and (told.month, told.day) != _FIRST_OF_JANUARY
    return {
        "birth": f"{told.year:04d}{told.month:02d}{told.day:02d}" if told and is_whole else None,
        "birth_year": told.year if told else None,
        "birth_month": told.month if told and is_whole else None,
        "birth_mday": told.day if told and is_whole else None,
    }


def _birth(text: str) -> PartialDate | None:
    if not text:
        return None
    try:
        return dates.parse_partial_date(text)
    except dates.DateError:
        return None
