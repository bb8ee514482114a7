"""Measurements of the body: vital signs and what is measured when a chronic disease is followed or looked for.

Codes: the vital-signs profiles of FHIR R4 (hl7.org/fhir/R4/observation-vitalsigns.html) and LOINC.
"""

from enum import StrEnum
from typing import NamedTuple

from services.exchange.mapping.pieces import (
    LOINC,
    TERMINOLOGY,
    About,
    Draft,
    Json,
    Row,
    columns,
    concept,
    date_of,
    encounter,
    epoch_of,
    number_of,
    patient,
    quantity,
    resource_id,
)


class Sign(StrEnum):
    """What was measured. The value stands in ids and must not change."""

    BLOOD_PRESSURE = "BP"
    TEMPERATURE = "BTEMP"
    PULSE = "PR"
    BREATHING = "RR"
    WEIGHT = "WEIGHT"
    HEIGHT = "HEIGHT"
    WAIST = "WAIST"
    SUGAR = "BSLEVEL"
    SECOND_BLOOD_PRESSURE = "BP2"


class _Measure(NamedTuple):
    loinc: str
    display: str
    unit: str
    ucum: str


_MEASURES = {
    Sign.TEMPERATURE: _Measure("8310-5", "Body temperature", "Cel", "Cel"),
    Sign.PULSE: _Measure("8867-4", "Heart rate", "/min", "/min"),
    Sign.BREATHING: _Measure("9279-1", "Respiratory rate", "/min", "/min"),
    Sign.WEIGHT: _Measure("29463-7", "Body weight", "kg", "kg"),
    Sign.HEIGHT: _Measure("8302-2", "Body height", "cm", "cm"),
    Sign.WAIST: _Measure("8280-0", "Waist circumference at umbilicus by tape measure", "cm", "cm"),
}
# NCDSCREEN.BSTEST: venous or capillary, fasting or not. 9 says that nothing was measured.
_SUGAR = {
    "1": _Measure("1558-6", "Fasting glucose [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"),
    "2": _Measure("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL"),
    "3": _Measure("1556-0", "Fasting glucose [Mass/volume] in Capillary blood", "mg/dL", "mg/dL"),
    "4": _Measure("32016-8", "Glucose [Mass/volume] in Capillary blood", "mg/dL", "mg/dL"),
}
_CATEGORY = {
    name: [concept(f"{TERMINOLOGY}/observation-category", name)] for name in ("vital-signs", "laboratory", "exam")
}

_FOLLOW_UP = columns(
    "CHRONICFU", "PID", "DATE_SERV", "WEIGHT", "HEIGHT", "WAIST_CM", "SBP", "DBP", "D_UPDATE"
)  # fmt: skip
_SCREENING = columns(
    "NCDSCREEN", "PID", "DATE_SERV", "WEIGHT", "HEIGHT", "WAIST_CM", "SBP_1", "DBP_1", "SBP_2", "DBP_2", "BSLEVEL", "BSTEST",
    "D_UPDATE",
)  # fmt: skip
_NUTRITION = columns("NUTRITION", "PID", "DATE_SERV", "WEIGHT", "HEIGHT", "D_UPDATE")

FOLLOW_UP_SIGNS = (Sign.WEIGHT, Sign.HEIGHT, Sign.WAIST, Sign.BLOOD_PRESSURE)
SCREENING_SIGNS = (*FOLLOW_UP_SIGNS, Sign.SECOND_BLOOD_PRESSURE, Sign.SUGAR)
NUTRITION_SIGNS = (Sign.WEIGHT, Sign.HEIGHT)


def sign_id(organization_id: str, key: tuple[str, ...], kind: Sign) -> str:
    """The id of one measurement of a row: `key` is the file and the row's key."""
    return resource_id("Observation", organization_id, *key, kind.value)


def sign(about: About, key: tuple[str, ...], kind: Sign, at: str | None, value: str, updated_at: int) -> list[Draft]:
    """One measurement; none where the value is 0, which the files write for what was not measured."""
    number = number_of(value)
    if not number:
        return []
    measure = _MEASURES[kind]
    code = concept(LOINC, measure.loinc, measure.display)
    return [
        _observation(
            about, key, kind, "vital-signs", code, at, updated_at, quantity(number, measure.unit, measure.ucum)
        )
    ]


def blood_pressure(
    about: About, key: tuple[str, ...], at: str | None, systolic: str, diastolic: str, updated_at: int,
    kind: Sign = Sign.BLOOD_PRESSURE,
) -> list[Draft]:  # fmt: skip
    """Both pressures as one Observation with components; none where one is 0."""
    upper, lower = number_of(systolic), number_of(diastolic)
    if not upper or not lower:
        return []
    draft = _observation(
        about, key, kind, "vital-signs", concept(LOINC, "85354-9", "Blood pressure panel with all children optional"), at,
        updated_at, None,
    )  # fmt: skip
    assert draft.body is not None  # noqa: S101 made here with a body
    draft.body["component"] = [
        {
            "code": concept(LOINC, "8480-6", "Systolic blood pressure"),
            "valueQuantity": quantity(upper, "mmHg", "mm[Hg]"),
        },
        {
            "code": concept(LOINC, "8462-4", "Diastolic blood pressure"),
            "valueQuantity": quantity(lower, "mmHg", "mm[Hg]"),
        },
    ]
    return [draft]


def follow_up(row: Row, about: About) -> list[Draft]:
    """CHRONICFU: weight, height, waist and blood pressure."""
    pid, day, weight, height, waist, systolic, diastolic, updated = _FOLLOW_UP(row)
    key, at, updated_at = ("CHRONICFU", pid, day), date_of(day), epoch_of(updated)
    return [
        *_body(about, key, at, updated_at, ((Sign.WEIGHT, weight), (Sign.HEIGHT, height), (Sign.WAIST, waist))),
        *blood_pressure(about, key, at, systolic or "0", diastolic or "0", updated_at),
    ]


def screening(row: Row, about: About) -> list[Draft]:
    """NCDSCREEN: as a follow-up, with a second blood pressure and the blood sugar."""
    pid, day, weight, height, waist, first_upper, first_lower, second_upper, second_lower, sugar, test, updated = (
        _SCREENING(row)
    )
    key, at, updated_at = ("NCDSCREEN", pid, day), date_of(day), epoch_of(updated)
    drafts = [
        *_body(about, key, at, updated_at, ((Sign.WEIGHT, weight), (Sign.HEIGHT, height), (Sign.WAIST, waist))),
        *blood_pressure(about, key, at, first_upper or "0", first_lower or "0", updated_at),
        *blood_pressure(
            about, key, at, second_upper or "0", second_lower or "0", updated_at, Sign.SECOND_BLOOD_PRESSURE
        ),
    ]
    measure, level = _SUGAR.get(test), number_of(sugar)
    if measure and level:
        code = concept(LOINC, measure.loinc, measure.display)
        value = quantity(level, measure.unit, measure.ucum)
        drafts.append(_observation(about, key, Sign.SUGAR, "laboratory", code, at, updated_at, value))
    return drafts


def nutrition(row: Row, about: About) -> list[Draft]:
    """NUTRITION: a child's weight and height."""
    pid, day, weight, height, updated = _NUTRITION(row)
    measured = ((Sign.WEIGHT, weight), (Sign.HEIGHT, height))
    return _body(about, ("NUTRITION", pid, day), date_of(day), epoch_of(updated), measured)


def _body(
    about: About, key: tuple[str, ...], at: str | None, updated_at: int, measured: tuple[tuple[Sign, str], ...]
) -> list[Draft]:
    return [draft for kind, value in measured if value for draft in sign(about, key, kind, at, value, updated_at)]


def _observation(
    about: About, key: tuple[str, ...], kind: Sign, category: str, code: Json, at: str | None, updated_at: int,
    value: Json | None,
) -> Draft:  # fmt: skip
    observation = sign_id(about.organization_id, key, kind)
    body: Json = {
        "resourceType": "Observation",
        "id": observation,
        "status": "final",
        "category": _CATEGORY[category],
        "code": code,
        "subject": patient(about),
    }
    if about.encounter_id:
        body["encounter"] = encounter(about)
    if at:
        body["effectiveDateTime"] = at
    if value is not None:
        body["valueQuantity"] = value
    return Draft("Observation", observation, body, updated_at)
