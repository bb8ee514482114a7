"""The index citizen: the one person whose history is written down here instead of drawn.

Fifty-four years old, with diabetes, hypertension and high lipids, allergic to amoxicillin, cared for at hospital A and
nowhere else. Name, sex and birthday come from the seed; what happened does not, so that a demonstration can rely on it.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from libs.thai.dates import BANGKOK
from tools.population import catalog
from tools.population.catalog import Drug
from tools.population.catalog import Test as LabTest
from tools.population.facilities import Facility
from tools.population.facts import Allergy, Chronic, LabResult, Registration, Stay, Visit
from tools.population.people import Person

CHRONIC: Final = ("E119", "I10", "E785")
MEDICATION: Final = (
    catalog.METFORMIN, catalog.GLIPIZIDE, catalog.AMLODIPINE, catalog.ENALAPRIL, catalog.SIMVASTATIN,
)  # fmt: skip
ALLERGY: Final = catalog.AMOXICILLIN
SAFE_DRUG: Final = catalog.PARACETAMOL

_CARE_DAYS: Final = (300, 210, 120, 30)
_SORE_THROAT_DAYS, _PNEUMONIA_DAYS, _PNEUMONIA_NIGHTS = 250, 160, 4
_ALLERGY_DAYS: Final = 700
_FLU_SHOT_DAYS: Final = 95
_COVID_DAYS: Final = (1500, 1420, 1200)
# Results of the four visits, in their order: it gets better.
_RESULTS: Final[tuple[tuple[LabTest, tuple[str, str, str, str]], ...]] = (
    (catalog.GLUCOSE, ("182", "165", "148", "131")),
    (catalog.HBA1C, ("8.6", "8.1", "7.5", "7.0")),
    (catalog.CREATININE, ("0.98", "1.02", "1.01", "0.99")),
    (catalog.EGFR, ("78", "75", "76", "77")),
    (catalog.POTASSIUM, ("4.3", "4.1", "4.2", "4.4")),
    (catalog.CHOLESTEROL, ("248", "226", "205", "188")),
    (catalog.LDL, ("162", "141", "124", "104")),
)
_PRESSURES: Final = ((156, 94), (148, 90), (140, 86), (132, 80))


@dataclass(frozen=True, slots=True)
class IndexCitizen:
    """What a demonstration needs to know of the index citizen. Codes are those of the 43 files."""

    person: Person
    citizen_id: str
    prefix: str
    prefix_th: str
    given_th: str
    family_th: str
    given_en: str
    family_en: str
    born: date
    sex: str
    hn: str
    pid: str
    place_code: str
    village: str
    house_no: str
    postcode: str
    phone: str
    scheme: str
    sub_scheme: str
    instype: str
    allergy: Drug
    safe_drug: Drug
    chronic: tuple[str, ...]
    medication: tuple[Drug, ...]

    @property
    def district(self) -> str:
        """Code of the home's district, four digits."""
        return self.place_code[:4]


def fill(registration: Registration, today: date, facility: Facility) -> None:
    """Writes the history into the index citizen's registration."""
    doctor = facility.practitioners_of("doctor")[0].provider
    nurse = facility.practitioners_of("nurse")[0].provider
    registration.allergies.append(Allergy(ALLERGY, today - timedelta(days=_ALLERGY_DAYS), "1", "4", "27"))
    for place, code in enumerate(CHRONIC):
        registration.chronic.append(Chronic(code, today - timedelta(days=2200 - place * 300)))
    registration.earlier_vaccines.extend(
        (today - timedelta(days=days), code) for days, code in zip(_COVID_DAYS, catalog.COVID_VACCINES, strict=True)
    )

    def visit(days: int, hour: int, clinic: str, complaint: str, *, fever: float, pressure: tuple[int, int]) -> Visit:
        at = datetime.combine(today - timedelta(days=days), time(hour, 20), BANGKOK)
        made = Visit("", at, clinic, complaint, fever, *pressure, 78, 18, 68.5, 162, doctor, nurse)
        registration.visits.append(made)
        return made

    for place, days in enumerate(_CARE_DAYS):
        care = visit(days, 9, catalog.MEDICINE, "มาตรวจตามนัด รับยาต่อเนื่อง", fever=36.6, pressure=_PRESSURES[place])
        care.diagnoses = tuple((code, "1" if code == CHRONIC[0] else "4") for code in CHRONIC)
        care.drugs = tuple((drug, drug.usual_amount) for drug in MEDICATION)
        care.results = tuple(LabResult(test, values[place]) for test, values in _RESULTS)
        care.next_visit = care.at.date() + timedelta(days=90)
        care.is_appointed = care.is_chronic_care = True
    throat = visit(
        _SORE_THROAT_DAYS, 10, catalog.GENERAL, "เจ็บคอ ไข้ 2 วัน แพ้ยาอะม็อกซีซิลลิน", fever=38.1, pressure=(138, 84)
    )
    throat.diagnoses = (("J029", "1"), ("Z880", "4"))
    throat.drugs = ((catalog.PARACETAMOL, 20), (catalog.AZITHROMYCIN, 6))
    throat.procedure = "9339"
    shot = visit(_FLU_SHOT_DAYS, 11, catalog.GENERAL, "มารับวัคซีนไข้หวัดใหญ่", fever=36.5, pressure=(134, 82))
    shot.diagnoses = (("Z251", "1"),)
    shot.vaccines = (catalog.FLU_VACCINE,)
    ill = visit(_PNEUMONIA_DAYS, 14, catalog.EMERGENCY, "ไข้สูง ไอ หอบเหนื่อย 3 วัน", fever=39.2, pressure=(142, 88))
    ill.diagnoses = (("J189", "1"),)
    ill.results = (LabResult(catalog.WHITE_CELLS, "15800"), LabResult(catalog.CREATININE, "1.10"))
    admitted = ill.at + timedelta(hours=2)
    ill.stay = Stay(
        "", catalog.WARD_MEDICINE, admitted, (admitted + timedelta(days=_PNEUMONIA_NIGHTS)).replace(hour=11, minute=0),
        (("J189", "1"), ("E119", "2"), ("I10", "2")), ((catalog.LEVOFLOXACIN, 4), (catalog.SALINE, 3)),
        ((catalog.PARACETAMOL, 20), (catalog.AZITHROMYCIN, 6)), "9394", "04520", 0.7742, doctor,
    )  # fmt: skip
