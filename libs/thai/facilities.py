"""Codes of health facilities, in the three forms that are in use side by side.

Five digits (HCODE5), given one by one to each facility; the older nine digits, which are the five with two zeros on
either side; and since 1 October 2024 two capital letters for the type of facility with seven digits, which are the
five with two zeros before them. The meaning of the letters has not been published as a table, so they cannot be made
from the five digits: they are learned from the facility.
"""

import re
from dataclasses import dataclass
from typing import Final

_FIVE: Final = re.compile(r"[0-9]{5}")
_OLD: Final = re.compile(r"00([0-9]{5})00")
_OLD_SHAPE: Final = re.compile(r"[0-9]{9}")
_NEW: Final = re.compile(r"([A-Z]{2})([0-9]{7})")
# Written where the facility is not known.
_UNKNOWN: Final = frozenset({"00000", "000000000"})


class FacilityCodeError(ValueError):
    """The text is no facility code. `reason` is FACILITY_CODE_FORMAT or FACILITY_CODE_UNKNOWN (the code for none)."""

    def __init__(self, reason: str, message: str) -> None:
        """`message` names the rule, never the value."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FacilityCode:
    """One facility's code in the forms that are known or follow from what was given; None where nothing follows."""

    code5: str | None
    new9: str | None
    old9: str | None

    @property
    def preferred(self) -> str:
        """The five digits where they are known, else the newest form: what identifiers are made of."""
        return self.code5 or self.new9 or self.old9 or ""

    @property
    def is_reserved(self) -> bool:
        """True for 9xxxx, which no facility is given: synthetic facilities have them."""
        return self.code5 is not None and self.code5.startswith("9")


def parse(text: str) -> FacilityCode:
    """Reads any of the three forms. Raises FacilityCodeError."""
    told = text.strip().upper()
    if told in _UNKNOWN:
        raise FacilityCodeError("FACILITY_CODE_UNKNOWN", "the code says that the facility is not known")
    if _FIVE.fullmatch(told):
        return FacilityCode(told, None, old9_of(told))
    if match := _NEW.fullmatch(told):
        code5 = match[2][2:] if match[2].startswith("00") else None
        return FacilityCode(code5, told, old9_of(code5) if code5 else None)
    if match := _OLD.fullmatch(told):
        return FacilityCode(match[1], None, told)
    if _OLD_SHAPE.fullmatch(told):
        return FacilityCode(None, None, told)
    raise FacilityCodeError("FACILITY_CODE_FORMAT", "a facility code is five digits, nine, or two letters and seven")


def is_valid(text: str) -> bool:
    """True for a code in one of the three forms that is not the code for none."""
    try:
        parse(text)
    except FacilityCodeError:
        return False
    return True


def code5_of(text: str) -> str | None:
    """The five digits that a code in any form holds; None where they do not follow. Raises FacilityCodeError."""
    return parse(text).code5


def old9_of(code5: str) -> str:
    """The older nine digits. Raises FacilityCodeError FACILITY_CODE_FORMAT unless given five digits."""
    return f"00{_require_five(code5)}00"


def new9_of(letters: str, code5: str) -> str:
    """The new form from the letters that the facility was given and its five digits. Raises FacilityCodeError."""
    if re.fullmatch(r"[A-Z]{2}", letters) is None:
        raise FacilityCodeError("FACILITY_CODE_FORMAT", "the type of facility is two capital letters")
    return f"{letters}00{_require_five(code5)}"


def _require_five(code5: str) -> str:
    if _FIVE.fullmatch(code5) is None:
        raise FacilityCodeError("FACILITY_CODE_FORMAT", "the code is not five digits")
    return code5
