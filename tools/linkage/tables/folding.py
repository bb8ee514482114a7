"""Values as they are compared: one spelling for what is written in many ways; None where nothing is said."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from libs.thai import dates, names

_NUMERIC: Final = re.compile(r"(\d{1,4})[-/. ](\d{1,2})[-/. ](\d{1,4})(?:[T ].*)?")
_PLAIN: Final = re.compile(r"\d{8}")
_PHONE_DIGITS: Final = 9
_FEWEST_DIGITS: Final = 6
_MONTHS: Final = 12
_YEAR_LETTERS: Final = 4
_NOTHING: Final = frozenset(
    {"", "-", "na", "n/a", "nan", "none", "null", "unknown", "missing", "ไม่ทราบ", "ไม่ระบุ", "ไม่มี"}
)
_SEXES: Final = {
    **dict.fromkeys(("m", "male", "1", "ช", "ชาย", "boy", "man"), "male"),
    **dict.fromkeys(("f", "female", "2", "ญ", "หญิง", "girl", "woman"), "female"),
}

Fold = Callable[[str], str | None]


def letters_of(text: str, otherwise: str = "") -> str:
    """Letters, marks and digits of one case; `otherwise` for all else."""
    told = names.normalize(text).casefold()
    return "".join(letter if unicodedata.category(letter)[0] in "LMN" else otherwise for letter in told)


def given(text: str) -> str | None:
    """A given name without title, letters only."""
    return None if _says_nothing(text) else names.match_key(names.clean(text, "").given) or None


def family(text: str) -> str | None:
    """A family name, letters only."""
    return None if _says_nothing(text) or names.is_placeholder(text) else names.match_key(text) or None


def whole_name(text: str) -> tuple[str, str]:
    """Given and family name of a name in one; "Surname, Given" as well."""
    if "," in text:
        last, _, first = text.partition(",")
        return first.strip(), last.strip()
    _, told = names.split_prefix(text)
    first, _, last = told.partition(" ")
    return first, last.strip()


def sex(text: str) -> str | None:
    """male, female, or what stands there."""
    told = text.casefold().strip(". ")
    return None if _says_nothing(text) else _SEXES.get(told, told)


def phone(text: str) -> str | None:
    """The last nine digits; None of fewer than six."""
    digits = "".join(str(unicodedata.digit(letter)) for letter in text if letter.isdigit())[-_PHONE_DIGITS:]
    return digits if len(digits) >= _FEWEST_DIGITS and len(set(digits)) > 1 else None


def code(text: str) -> str | None:
    """Letters and digits, of one case."""
    told = letters_of(text)
    return None if _says_nothing(text) or not told or (len(set(told)) == 1 and len(told) > _YEAR_LETTERS) else told


def words(text: str) -> str | None:
    """Words of one case, parted by single blanks."""
    told = " ".join(letters_of(text, " ").split())
    return None if _says_nothing(text) or not told else told


def birth(values: Sequence[str]) -> Fold:
    """How a column writes days: which of two numbers is the month shows where one is above 12. Day first where nothing shows.

    Reads YYYYMMDD, years first or last, Thai months, either era; answers YYYYMMDD, or the digits of what is no date, which
    may still be a slip of one.
    """
    seen = [match for value in values if (match := _NUMERIC.fullmatch(value)) and len(match[1]) < _YEAR_LETTERS]
    is_month_first = any(int(match[2]) > _MONTHS for match in seen) and not any(
        int(match[1]) > _MONTHS for match in seen
    )

    def fold(text: str) -> str | None:
        if _says_nothing(text):
            return None
        if match := _NUMERIC.fullmatch(text):
            one, two, three = match[1], match[2], match[3]
            if len(one) == _YEAR_LETTERS:
                return _day(one, two, three)
            return _day(three, one, two) if is_month_first else _day(three, two, one)
        if _PLAIN.fullmatch(text):
            # Days first where the first four digits are no year and the last four are.
            is_year_last = not _is_year(text[:4]) and _is_year(text[4:])
            return _day(text[4:], text[2:4], text[:2]) if is_year_last else _day(text[:4], text[4:6], text[6:])
        try:
            return f"{dates.parse_human_date(text):%Y%m%d}"
        except dates.DateError:
            return "".join(letter for letter in text if letter.isdigit()) or None

    return fold


def _day(year: str, month: str, day: str) -> str:
    told = dates.common_era(int(year))
    return f"{told:04d}{int(month):02d}{int(day):02d}"


def _is_year(text: str) -> bool:
    return dates.common_era(int(text)) in range(1800, 2200)


def _says_nothing(text: str) -> bool:
    return text.casefold() in _NOTHING
