"""What sort of number an identifier is, and whether it can be one."""

import re
from enum import IntEnum

from libs.thai import citizen_id, identifiers
from libs.thai.citizen_id import PersonClass
from libs.thai.identifiers import Local, parse_local
from services.patient_index.model import Identifier

_PASSPORTS = "http://hl7.org/fhir/sid/passport-"
_COUNTRY = re.compile("[A-Z]{3}")
# Longer than any that is issued (ICAO Doc 9303 prints nine characters), for papers that are no booklets.
_PASSPORT = re.compile("[A-Z0-9]{3,20}")
_PERMIT = re.compile("[A-Z0-9][A-Z0-9/-]{2,19}")
_FACILITIES = "https://terms.sil-th.org/hcode/"


class IdentifierClass(IntEnum):
    """Numbers as in the contract."""

    CITIZEN = 1
    NATURALIZED = 2
    TEMPORARY = 3
    UNREGISTERED = 4
    SYNTHETIC = 5
    PASSPORT = 6
    WORK_PERMIT = 7
    FACILITY = 8
    OTHER = 9


_BY_PERSON_CLASS = {
    PersonClass.UNREGISTERED: IdentifierClass.UNREGISTERED,
    PersonClass.TEMPORARY: IdentifierClass.TEMPORARY,
    PersonClass.CHILD_OF_TEMPORARY: IdentifierClass.TEMPORARY,
    PersonClass.NATURALIZED_OR_ADDED_SINCE_1992: IdentifierClass.NATURALIZED,
    PersonClass.SYNTHETIC: IdentifierClass.SYNTHETIC,
}


def class_of(identifier: Identifier) -> IdentifierClass:
    """The class of a normalized identifier that is sound."""
    if identifier.system == identifiers.CITIZEN_ID:
        return _BY_PERSON_CLASS.get(citizen_id.person_class(identifier.value), IdentifierClass.CITIZEN)
    if identifier.system.startswith(_PASSPORTS):
        return IdentifierClass.PASSPORT
    if identifier.system == identifiers.WORK_PERMIT:
        return IdentifierClass.WORK_PERMIT
    local = parse_local(identifier.system)
    is_of_person = local is not None and local.kind in (Local.HN, Local.PID)
    return IdentifierClass.FACILITY if is_of_person else IdentifierClass.OTHER


def what_is_wrong(identifier: Identifier) -> str:
    """Why a normalized number of another sort than a citizen id cannot be one; empty where it can."""
    system, value = identifier.system, identifier.value
    if system.startswith(_PASSPORTS):
        if not _COUNTRY.fullmatch(system.removeprefix(_PASSPORTS)):
            return "a passport's system ends with its country, three letters as in ISO 3166"
        return "" if _PASSPORT.fullmatch(value) else "a passport's number is three to twenty letters and digits"
    if system == identifiers.WORK_PERMIT:
        return "" if _PERMIT.fullmatch(value) else "a work permit's number is three to twenty letters and digits"
    if system.startswith(_FACILITIES) and parse_local(system) is None:
        return "the system names no facility, or nothing that a facility numbers"
    return ""
