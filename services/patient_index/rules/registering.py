"""What may be registered, and what of it is compared: checks, normal forms, features.

Messages name the place and the rule and never repeat a value.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from libs.errors import FieldViolation
from libs.ids import derived_id
from libs.thai import citizen_id, identifiers, names, places
from services.patient_index.model import Features, Filed, FiledName, Identifier, Sex
from services.patient_index.rules.identifying import what_is_wrong

CITIZEN_ID_INVALID = "CITIZEN_ID_INVALID"
IDENTIFIER_INVALID = "IDENTIFIER_INVALID"
BIRTH_DATE_INVALID = "BIRTH_DATE_INVALID"

# Nobody who can be treated was born before; older dates are slips, such as a year converted twice.
OLDEST_BIRTH = date(1850, 1, 1)
PASSPORTS = "http://hl7.org/fhir/sid/passport-"
_PHONE_DIGITS = 9
_YEAR, _YEAR_MONTH = 4, 7
_CACHED = 1 << 16


def registration_id_of(organization_id: str, local_number: str) -> str:
    """The id of a registration: the same organisation and number give the same one."""
    return derived_id("registration", organization_id, local_number)


def normalized(identifier: Identifier) -> Identifier:
    """The identifier in the platform's spelling: one system for each of the families in use, numbers without dressing."""
    system = _system(identifier.system)
    value = identifier.value.strip()
    if system == identifiers.CITIZEN_ID:
        value = citizen_id.normalize(value)
    elif system.startswith(PASSPORTS) or system == identifiers.WORK_PERMIT:
        value = value.replace(" ", "").upper()
    return Identifier(system, value)


def violations(filed: Filed, today: date) -> list[FieldViolation]:
    """Everything that is wrong with the content of a registration, by the path of its field within the registration.

    `filed` holds normalized identifiers. The contract's own rules (lengths, patterns) are not repeated here.
    """
    return list(_violations(filed, today))


def _violations(filed: Filed, today: date) -> Iterator[FieldViolation]:
    for name, text in (("organization_id", filed.organization_id), ("local_number", filed.local_number)):
        if not text.isprintable():
            yield _unprintable(name)
    if filed.registration_id not in ("", registration_id_of(filed.organization_id, filed.local_number)):
        description = "the id of a registration is made from organisation and number, and is not this one"
        yield FieldViolation("registration_id", "REGISTRATION_ID_INVALID", description)
    yield from _identifier_violations(filed.identifiers)
    if filed.birth_date and not _is_birth(filed.birth_date, today):
        description = "the birth date is no day of the calendar, lies in the future, or before 1850"
        yield FieldViolation("birth_date", BIRTH_DATE_INVALID, description)
    if filed.death_date:
        died = _first_day(filed.death_date)
        if died is None or died > today or died < (_first_day(filed.birth_date) or OLDEST_BIRTH):
            description = "the day of death is no day of the calendar, lies in the future, or before birth"
            yield FieldViolation("death_date", "DEATH_DATE_INVALID", description)
    if filed.place_code and places.find(filed.place_code) is None:
        yield FieldViolation("address.place_code", "PLACE_CODE_INVALID", "the registry has no such place")


def _identifier_violations(found: tuple[Identifier, ...]) -> Iterator[FieldViolation]:
    number = ""
    for index, identifier in enumerate(found):
        path = f"identifiers[{index}].value"
        if not identifier.value or not identifier.value.isprintable() or not identifier.system.isprintable():
            yield _unprintable(path)
        elif identifier.system == identifiers.CITIZEN_ID:
            if not citizen_id.is_valid(identifier.value):
                description = "a citizen id is thirteen digits, of which the last checks the others"
                yield FieldViolation(path, CITIZEN_ID_INVALID, description)
            elif number and identifier.value != number:
                yield FieldViolation(path, CITIZEN_ID_INVALID, "one person has one citizen id")
            number = number or identifier.value
        elif wrong := what_is_wrong(identifier):
            yield FieldViolation(path, IDENTIFIER_INVALID, wrong)


def _unprintable(path: str) -> FieldViolation:
    return FieldViolation(path, "TEXT_INVALID", "the text is blank or holds characters that cannot be printed")


def _first_day(text: str) -> date | None:
    """The first day that a date of the contract's form can mean; None if there is none."""
    try:
        if len(text) == _YEAR:
            return date(int(text), 1, 1)
        if len(text) == _YEAR_MONTH:
            return date(int(text[:4]), int(text[5:]), 1)
        return date.fromisoformat(text)
    except ValueError:
        return None


def _is_birth(text: str, today: date) -> bool:
    day = _first_day(text)
    return day is not None and OLDEST_BIRTH <= day <= today


def features_of(filed: Filed) -> Features:
    """What of a registration is compared with others."""
    given = family = given_roman = family_roman = ""
    sex = filed.sex if filed.sex in (Sex.MALE, Sex.FEMALE, Sex.OTHER) else Sex.UNSPECIFIED
    for name in filed.names:
        first, last, title_sex = folded(name)
        if is_thai(first or last):
            if not (given or family):
                given, family = first, last
        elif not (given_roman or family_roman):
            given_roman, family_roman = first, last
        sex = sex or title_sex
    return Features(
        given,
        family,
        given_roman,
        family_roman,
        filed.birth_date,
        int(sex),
        filed.place_code,
        folded_phone(filed.phone),
        filed.nationality,
        filed.identifiers,
    )


def folded(name: FiledName) -> tuple[str, str, int]:
    """Given and family name as they are compared, and the sex that the title tells (0 for none)."""
    given, sex = _given(name.given, name.prefix)
    return given, _family(name.family), sex


def folded_phone(text: str) -> str:
    """The digits that identify a telephone; empty for what is none."""
    digits = "".join(str(unicodedata.digit(letter)) for letter in text if letter.isdigit())[-_PHONE_DIGITS:]
    return digits if len(digits) >= _PHONE_DIGITS - 1 and len(set(digits)) > 1 else ""


def account_number(found: tuple[Identifier, ...]) -> Identifier | None:
    """The number by which the person may have an account: the citizen id, else the first passport."""
    passport = None
    for identifier in found:
        if identifier.system == identifiers.CITIZEN_ID:
            return identifier
        if passport is None and identifier.system.startswith(PASSPORTS):
            passport = identifier
    return passport


def opens_account(identifier: Identifier) -> bool:
    """True for a number by which a person may have an account."""
    return identifier.system == identifiers.CITIZEN_ID or identifier.system.startswith(PASSPORTS)


def number_of(found: tuple[Identifier, ...]) -> str:
    """The citizen id among identifiers; empty without one."""
    # A plain loop: this is asked of every pair several times, and a generator costs more than the answer.
    for one in found:
        if one.system == identifiers.CITIZEN_ID:
            return one.value
    return ""


@lru_cache(_CACHED)
def _given(given: str, prefix: str) -> tuple[str, int]:
    told = names.find_prefix(prefix) if prefix else None
    clean = names.clean(given, "", told.code if told else "")
    sex = clean.prefix.sex if clean.prefix else None
    return names.match_key(clean.given), int({"male": Sex.MALE, "female": Sex.FEMALE}.get(sex or "", Sex.UNSPECIFIED))


@lru_cache(_CACHED)
def _family(family: str) -> str:
    return "" if not family or names.is_placeholder(family) else names.match_key(family)


@lru_cache(1024)
def _system(system: str) -> str:
    return identifiers.normalize(system)


_THAI = re.compile("[\u0e01-\u0e5b]")


def is_thai(text: str) -> bool:
    """True if a text is written in Thai."""
    return _THAI.search(text) is not None
