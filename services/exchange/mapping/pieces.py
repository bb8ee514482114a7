"""The pieces that FHIR R4 resources are made of, from values as the 43 files write them.

Values were checked against the specification before: dates are real days, numbers are numbers. An empty value stands for
one that was not told, and gives None, which leaves its element out.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from libs.f43.schema import FILES
from libs.ids import derived_id
from libs.thai import identifiers
from libs.thai.dates import BANGKOK, parse_f43_date, parse_f43_datetime

Json = dict[str, Any]
Row = Sequence[str]

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
# Where an illness began, as a six-digit code; what surveillance counts by.
ILLNESS_PLACE = "https://nhip.th/fhir/StructureDefinition/illness-place"

_DATE_LENGTH = 8
_ICD10_CATEGORY = 3
_ICD9_CATEGORY = 2
_ICD9_LENGTH = 4
_DRUG24_LENGTH = 24
_TMT_LENGTHS = (6, 7)


class About(NamedTuple):
    """Whom a row is about, and in which visit. `encounter_id` is empty where the row names no visit that is known."""

    organization_id: str
    registration_id: str
    encounter_id: str = ""


class Draft(NamedTuple):
    """A resource to be stored under its id, or to be removed where `body` is None.

    `updated_at` is when the source wrote it, in seconds since the epoch; 0 where it does not say.
    """

    type: str
    id: str
    body: Json | None
    updated_at: int


def columns(file: str, *names: str) -> Callable[[Row], tuple[str, ...]]:
    """A function that picks these columns out of a row of the file, in this order. At least two."""
    at = FILES[file].index
    return itemgetter(*(at[name] for name in names))


def key_of(file: str) -> Callable[[Row], tuple[str, ...]]:
    """A function from a row to the values that tell it from other rows of its file and facility."""
    return columns(file, *key_columns(file))


def key_columns(file: str) -> tuple[str, ...]:
    """The key of the file without the facility, which stands in every id, in either of its spellings."""
    spec = FILES[file]
    return tuple(name for name in spec.key if name != "HOSPCODE" and not spec.column(name).came_with_v24)


def resource_id(resource_type: str, organization_id: str, file: str, *key: str) -> str:
    """The id of what a row became; the same row of the same facility gives the same id for ever."""
    return derived_id(resource_type, organization_id, file, *key)


def visit_id(organization_id: str, seq: str) -> str:
    """The id of the Encounter of an outpatient visit (SEQ)."""
    return derived_id("Encounter", organization_id, "SEQ", seq)


def stay_id(organization_id: str, an: str) -> str:
    """The id of the Encounter of an admission (AN)."""
    return derived_id("Encounter", organization_id, "AN", an)


@lru_cache(maxsize=16_384)
def date_of(value: str) -> str | None:
    """ISO 8601 date of YYYYMMDD, or of the day of YYYYMMDDHHMMSS."""
    return parse_f43_date(value[:_DATE_LENGTH]).isoformat() if value else None


def moment_of(value: str) -> str | None:
    """ISO 8601 moment in Bangkok of YYYYMMDDHHMMSS; the day alone where no more is told."""
    if len(value) <= _DATE_LENGTH:
        return date_of(value)
    return f"{date_of(value)}T{value[8:10]}:{value[10:12]}:{value[12:14] or '00'}+07:00"


def moment_at(day: str, time: str) -> str | None:
    """ISO 8601 moment of a day and a time of HHMM or HHMMSS; the day alone without a time."""
    return f"{date_of(day)}T{time[:2]}:{time[2:4]}:{time[4:6] or '00'}+07:00" if time and day else date_of(day)


@lru_cache(maxsize=16_384)
def _midnight(day: str) -> int:
    return int(parse_f43_datetime(f"{day}000000").timestamp())


def epoch_of(value: str) -> int:
    """Seconds since the epoch of D_UPDATE; a day alone is its midnight in Bangkok; 0 for nothing."""
    if not value:
        return 0
    midnight = _midnight(value[:_DATE_LENGTH])
    time = value[_DATE_LENGTH:]
    return midnight + int(time[:2] or 0) * 3600 + int(time[2:4] or 0) * 60 + int(time[4:6] or 0)


def iso_of(seconds: int) -> str:
    """The moment as FHIR writes an instant, in Bangkok."""
    return datetime.fromtimestamp(seconds, BANGKOK).isoformat()


def patient(about: About) -> Json:
    """A reference to the person as the facility filed them."""
    return {"reference": f"Patient/{about.registration_id}"}


def encounter(about: About) -> Json | None:
    """A reference to the visit, where one is known."""
    return {"reference": f"Encounter/{about.encounter_id}"} if about.encounter_id else None


def facility(code: str) -> Json | None:
    """A reference to a facility by its code: it need not be one that the platform knows."""
    return {"identifier": {"system": identifiers.FACILITY, "value": code}} if code else None


def concept(system: str, code: str, display: str | None = None, text: str | None = None) -> Json:
    """A CodeableConcept of one coding."""
    coding = {"system": system, "code": code}
    if display:
        coding["display"] = display
    made: Json = {"coding": [coding]}
    if text:
        made["text"] = text
    return made


def icd10(code: str) -> str:
    """ICD-10 with the dot, which the files leave out: E119 is E11.9."""
    told = code.strip().upper().replace(".", "")
    return f"{told[:_ICD10_CATEGORY]}.{told[_ICD10_CATEGORY:]}" if len(told) > _ICD10_CATEGORY else told


def icd10_concept(code: str, text: str | None = None) -> Json:
    """A diagnosis."""
    return concept(identifiers.ICD10, icd10(code), text=text)


def procedure_concept(code: str) -> Json:
    """A procedure: ICD-9-CM has two to four digits, ICD-10-TM's own procedures have more."""
    told = code.strip().upper().replace(".", "")
    if told.isdigit() and len(told) <= _ICD9_LENGTH:
        dotted = f"{told[:_ICD9_CATEGORY]}.{told[_ICD9_CATEGORY:]}" if len(told) > _ICD9_CATEGORY else told
        return concept(identifiers.ICD9CM, dotted)
    return concept(identifiers.ICD10TM, told)


def drug_concept(organization_id: str, code: str, name: str) -> Json:
    """A drug: the 24-digit standard code, a TMT number, or else the facility's own code."""
    if len(code) == _DRUG24_LENGTH and code.isdigit():
        system = identifiers.DRUG24
    elif len(code) in _TMT_LENGTHS and code.isdigit():
        system = identifiers.TMT
    else:
        system = identifiers.local(organization_id, identifiers.Local.DRUG)
    return concept(system, code, name or None, name or None)


def number_of(value: str) -> int | float | None:
    """The number; None for an empty value."""
    if not value:
        return None
    return float(value) if "." in value else int(value)


def quantity(value: float, unit: str, code: str = "") -> Json:
    """A quantity with its UCUM unit."""
    return {"value": value, "unit": unit, "system": UCUM, "code": code or unit}


def without_blanks(body: Json) -> Json:
    """The body without the elements that were not told: FHIR knows no null."""
    return {name: value for name, value in body.items() if value is not None}
