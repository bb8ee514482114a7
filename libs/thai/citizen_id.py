"""The thirteen-digit number of the civil registry (Department of Provincial Administration).

The last digit checks the others: with weights 13 down to 2 over the first twelve digits and s their weighted sum, it is
(11 - s mod 11) mod 10. The first digit tells how the person came into the registry. The registry issues none that
begin with 9, so synthetic people have those.
"""

from enum import Enum
from typing import Final

LENGTH: Final = 13
_PAYLOAD: Final = 12
_MODULUS: Final = 11
SYNTHETIC_FIRST_DIGIT: Final = "9"

# Weighted sums of every group of four digits, so that a check is three look-ups instead of twelve products.
_GROUP: Final = 4


def _weighted(first_weight: int) -> list[int]:
    sums = []
    for number in range(10**_GROUP):
        digits = f"{number:04d}"
        sums.append(sum(int(digit) * (first_weight - place) for place, digit in enumerate(digits)))
    return sums


_HIGH: Final = _weighted(13)
_MIDDLE: Final = _weighted(9)
_LOW: Final = _weighted(5)


class PersonClass(Enum):
    """How the holder came into the registry, by the first digit."""

    UNREGISTERED = "0"
    """Without registration status, registered migrant workers among them."""
    BORN_REGISTERED_IN_TIME = "1"
    BORN_REGISTERED_LATE = "2"
    REGISTERED_BEFORE_1984 = "3"
    """Thai or permanent resident, in a house register before 31 May 1984."""
    MOVED_IN_BEFORE_FIRST_CARD = "4"
    ADDED = "5"
    """Added to the register later or by correction."""
    TEMPORARY = "6"
    """Temporary residence or irregular entry."""
    CHILD_OF_TEMPORARY = "7"
    NATURALIZED_OR_ADDED_SINCE_1992 = "8"
    SYNTHETIC = "9"
    """Not issued by the registry: made up for tests and demonstrations."""


class CitizenIdError(ValueError):
    """The text is no citizen id. `reason` is CITIZEN_ID_FORMAT or CITIZEN_ID_CHECK_DIGIT; no digit is repeated."""

    def __init__(self, reason: str, message: str) -> None:
        """`message` names the rule, never the value."""
        super().__init__(message)
        self.reason = reason


def check_digit(first12: str) -> str:
    """The thirteenth digit for the first twelve. Raises CitizenIdError CITIZEN_ID_FORMAT for anything else."""
    if len(first12) != _PAYLOAD or not _is_digits(first12):
        raise CitizenIdError("CITIZEN_ID_FORMAT", "twelve digits are needed to make the thirteenth")
    return str(_check_value(first12))


def make(first12: str) -> str:
    """The complete number for its first twelve digits. Raises CitizenIdError CITIZEN_ID_FORMAT."""
    return first12 + check_digit(first12)


def is_valid(text: str) -> bool:
    """True for thirteen digits of which the last checks the others. No separators; see `normalize`."""
    return len(text) == LENGTH and _is_digits(text) and ord(text[_PAYLOAD]) - _ZERO == _check_value(text)


def is_synthetic(text: str) -> bool:
    """True for a valid number that the registry would never issue."""
    return text[:1] == SYNTHETIC_FIRST_DIGIT and is_valid(text)


def person_class(text: str) -> PersonClass:
    """How the holder came into the registry. Raises CitizenIdError if the number is not valid."""
    return PersonClass(require_valid(text)[0])


def require_valid(text: str) -> str:
    """Returns the number as it stands. Raises CitizenIdError CITIZEN_ID_FORMAT or CITIZEN_ID_CHECK_DIGIT."""
    if len(text) != LENGTH or not _is_digits(text):
        raise CitizenIdError("CITIZEN_ID_FORMAT", "a citizen id is thirteen digits")
    if not is_valid(text):
        raise CitizenIdError("CITIZEN_ID_CHECK_DIGIT", "the last digit does not check the others")
    return text


def normalize(text: str) -> str:
    """Removes blanks and hyphens as people write them (1-2345-67890-12-3) and turns Thai digits into Arabic ones.

    The result is not checked.
    """
    return text.translate(_SEPARATORS)


def format_for_people(text: str) -> str:
    """Writes 1-2345-67890-12-3. Raises CitizenIdError if the number is not valid."""
    told = require_valid(text)
    return f"{told[0]}-{told[1:5]}-{told[5:10]}-{told[10:12]}-{told[12]}"


_ZERO: Final = ord("0")
_SEPARATORS: Final = {
    **dict.fromkeys(map(ord, " -\u00a0\u200b\u2010\u2011\u2013"), None),
    **{ord("๐") + digit: str(digit) for digit in range(10)},
}


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _check_value(digits: str) -> int:
    total = _HIGH[int(digits[:4])] + _MIDDLE[int(digits[4:8])] + _LOW[int(digits[8:12])]
    return (_MODULUS - total % _MODULUS) % 10
