"""Measurements, laboratory results and prescriptions that fit a person."""

from collections.abc import Collection, Iterable

from tools.population import catalog
from tools.population.catalog import Drug
from tools.population.catalog import Test as LabTest
from tools.population.draws import Draws
from tools.population.facts import Allergy, LabResult

_CHILD_BELOW, _ELDER_FROM = 15, 60


def vitals_of(draws: Draws, sex: str, age: int, temperature: float) -> tuple[float, int, int, int, int, float, int]:
    """Temperature, systolic and diastolic pressure, pulse, breaths, weight in kg and height in cm."""
    if age < _CHILD_BELOW:
        height = 52 + age * 7.2
        weight = max(3.2, 3.4 + age * 2.9)
        systolic, diastolic = 95 + age, 58 + age // 2
        pulse, breaths = 120 - age * 2, 30 - age // 2
    else:
        height = 168 if sex == "male" else 157
        weight = 66 if sex == "male" else 57
        systolic, diastolic = (131, 76) if age >= _ELDER_FROM else (119, 75)
        pulse, breaths = 78, 18
    return (
        round(draws.around(temperature, 0.3), 1),
        int(draws.around(systolic, 8)),
        int(draws.around(diastolic, 5)),
        int(draws.around(pulse, 6)),
        int(draws.around(breaths, 1)),
        round(max(2.5, draws.around(weight, weight / 10)), 1),
        int(max(45, draws.around(height, height / 40))),
    )


def laboratory_result(draws: Draws, test: LabTest, codes: Collection[str]) -> LabResult:
    """A result of the test for somebody with the diagnoses `codes`."""
    if test.code in catalog.QUALITATIVE:
        return LabResult(test, "Positive" if any(code.startswith("A9") for code in codes) else "Negative")
    mean, spread = test.mean, test.spread
    if test is catalog.GLUCOSE and "E119" in codes:
        mean, spread = 142, 25
    elif test is catalog.HBA1C and "E119" in codes:
        mean, spread = 7.4, 0.8
    elif test is catalog.CREATININE and "N183" in codes:
        mean, spread = 1.7, 0.3
    elif test is catalog.EGFR and "N183" in codes:
        mean, spread = 44, 6
    elif test is catalog.PLATELETS and any(code.startswith("A9") for code in codes):
        mean, spread = 82_000, 25_000
    return LabResult(test, f"{max(0.0, draws.around(mean, spread / 2)):.{test.decimals}f}")


def has_group(drugs: Iterable[Drug], allergies: Iterable[Allergy]) -> bool:
    """True if one of the drugs is, by group or ingredient, one that is not borne."""
    groups = {allergy.drug.group for allergy in allergies if allergy.drug.group}
    ingredients = {allergy.drug.ingredient for allergy in allergies}
    return any(drug.group in groups or drug.ingredient in ingredients for drug in drugs)


def safe_drugs(drugs: Iterable[Drug], allergies: Collection[Allergy]) -> tuple[tuple[Drug, int], ...]:
    """Those of the drugs that the person bears, with their usual amounts."""
    return tuple((drug, drug.usual_amount) for drug in drugs if not has_group((drug,), allergies))
