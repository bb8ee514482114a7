"""What hospitals of the synthetic country give, test, do and charge.

Drugs have codes of 24 digits as the national drug code does, made up: they begin with 90, which it does not use, and
their first ten digits stand for the ingredient. Tests and procedures have their published codes (ICD-10-TM laboratory
codes, ICD-9-CM). Prices are in satang.
"""
# ruff: noqa: E501 - tables, one thing to a line

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Drug:
    """A product. `group` is the class within which an allergy to one is an allergy to all, or ""."""

    code: str
    name: str
    ingredient: str
    group: str
    price: int
    cost: int
    usual_amount: int


def _drug(number: int, strength: int, name: str, group: str, *, price: int, amount: int) -> Drug:
    ingredient = name.split(" ", 1)[0].capitalize()
    code = f"90{number:08d}{strength:05d}{1:03d}{100_000 + number:06d}"
    return Drug(code, name, ingredient, group, price, price * 7 // 10, amount)


AMOXICILLIN: Final = _drug(1, 500, "AMOXICILLIN 500 MG CAPSULE", "penicillin", price=200, amount=21)
AMOXICLAV: Final = _drug(2, 1000, "AMOXICILLIN+CLAVULANATE 1 G TABLET", "penicillin", price=1200, amount=14)
DICLOXACILLIN: Final = _drug(3, 500, "DICLOXACILLIN 500 MG CAPSULE", "penicillin", price=300, amount=28)
COTRIMOXAZOLE: Final = _drug(4, 480, "CO-TRIMOXAZOLE 480 MG TABLET", "sulfonamide", price=100, amount=20)
IBUPROFEN: Final = _drug(5, 400, "IBUPROFEN 400 MG TABLET", "nsaid", price=100, amount=15)
DICLOFENAC: Final = _drug(6, 25, "DICLOFENAC 25 MG TABLET", "nsaid", price=100, amount=15)
NAPROXEN: Final = _drug(7, 250, "NAPROXEN 250 MG TABLET", "nsaid", price=200, amount=15)
ASPIRIN: Final = _drug(8, 81, "ASPIRIN 81 MG TABLET", "nsaid", price=100, amount=90)
PARACETAMOL: Final = _drug(9, 500, "PARACETAMOL 500 MG TABLET", "", price=50, amount=20)
ORS: Final = _drug(10, 5, "ORAL REHYDRATION SALTS POWDER", "", price=300, amount=5)
METFORMIN: Final = _drug(11, 500, "METFORMIN 500 MG TABLET", "", price=75, amount=180)
GLIPIZIDE: Final = _drug(12, 5, "GLIPIZIDE 5 MG TABLET", "", price=75, amount=90)
AMLODIPINE: Final = _drug(13, 5, "AMLODIPINE 5 MG TABLET", "", price=75, amount=90)
ENALAPRIL: Final = _drug(14, 5, "ENALAPRIL 5 MG TABLET", "", price=75, amount=90)
LOSARTAN: Final = _drug(15, 50, "LOSARTAN 50 MG TABLET", "", price=150, amount=90)
HYDROCHLOROTHIAZIDE: Final = _drug(16, 25, "HYDROCHLOROTHIAZIDE 25 MG TABLET", "", price=50, amount=90)
SIMVASTATIN: Final = _drug(17, 20, "SIMVASTATIN 20 MG TABLET", "", price=100, amount=90)
SALBUTAMOL: Final = _drug(18, 100, "SALBUTAMOL 100 MCG INHALER", "", price=9000, amount=1)
BUDESONIDE: Final = _drug(19, 200, "BUDESONIDE 200 MCG INHALER", "", price=15000, amount=1)
PREDNISOLONE: Final = _drug(20, 5, "PREDNISOLONE 5 MG TABLET", "", price=75, amount=30)
OMEPRAZOLE: Final = _drug(21, 20, "OMEPRAZOLE 20 MG CAPSULE", "", price=150, amount=14)
CHLORPHENIRAMINE: Final = _drug(22, 4, "CHLORPHENIRAMINE 4 MG TABLET", "", price=25, amount=20)
DEXTROMETHORPHAN: Final = _drug(23, 15, "DEXTROMETHORPHAN 15 MG TABLET", "", price=50, amount=20)
NORFLOXACIN: Final = _drug(24, 400, "NORFLOXACIN 400 MG TABLET", "quinolone", price=250, amount=10)
AZITHROMYCIN: Final = _drug(25, 250, "AZITHROMYCIN 250 MG CAPSULE", "macrolide", price=1500, amount=6)
CEFTRIAXONE: Final = _drug(26, 1000, "CEFTRIAXONE 1 G INJECTION", "cephalosporin", price=3500, amount=5)
LEVOFLOXACIN: Final = _drug(27, 500, "LEVOFLOXACIN 500 MG INJECTION", "quinolone", price=9000, amount=4)
SALINE: Final = _drug(28, 1000, "SODIUM CHLORIDE 0.9% 1000 ML INJECTION", "", price=4000, amount=3)
OSELTAMIVIR: Final = _drug(29, 75, "OSELTAMIVIR 75 MG CAPSULE", "", price=2500, amount=10)
FUROSEMIDE: Final = _drug(30, 40, "FUROSEMIDE 40 MG TABLET", "", price=50, amount=60)
SODIUM_BICARBONATE: Final = _drug(31, 300, "SODIUM BICARBONATE 300 MG TABLET", "", price=50, amount=90)
CALAMINE: Final = _drug(32, 60, "CALAMINE LOTION 60 ML", "", price=1200, amount=1)
FERROUS: Final = _drug(33, 200, "FERROUS FUMARATE 200 MG TABLET", "", price=50, amount=60)
CLOXACILLIN_INJECTION: Final = _drug(34, 1000, "CLOXACILLIN 1 G INJECTION", "penicillin", price=2500, amount=12)

ALLERGENS: Final = (
    AMOXICILLIN, AMOXICILLIN, DICLOXACILLIN, COTRIMOXAZOLE, COTRIMOXAZOLE, IBUPROFEN, DICLOFENAC, ASPIRIN, CEFTRIAXONE,
    NORFLOXACIN,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Test:
    """A laboratory test: its ICD-10-TM code, where its results lie, and how many decimals they are told with."""

    code: str
    mean: float
    spread: float
    decimals: int
    price: int
    __test__ = False


GLUCOSE: Final = Test("0531002", 95, 12, 0, 4000)
HBA1C: Final = Test("0531601", 5.5, 0.4, 1, 15000)
CHOLESTEROL: Final = Test("0541602", 195, 35, 0, 6000)
TRIGLYCERIDES: Final = Test("0546602", 140, 50, 0, 6000)
HDL: Final = Test("0541202", 50, 10, 0, 10000)
LDL: Final = Test("0541402", 120, 30, 0, 15000)
CREATININE: Final = Test("0581902", 0.9, 0.2, 2, 5000)
EGFR: Final = Test("0581904", 92, 15, 0, 5000)
POTASSIUM: Final = Test("0511402", 4.2, 0.4, 1, 6000)
HEMATOCRIT: Final = Test("0621201", 40, 4, 0, 3000)
WHITE_CELLS: Final = Test("0622201", 7500, 2000, 0, 3000)
PLATELETS: Final = Test("0622601", 250000, 50000, 0, 3000)
DENGUE_NS1: Final = Test("0749200", 0, 0, 0, 35000)
DENGUE_IGM: Final = Test("0749202", 0, 0, 0, 25000)
# Of these the result is a word.
QUALITATIVE: Final = frozenset({DENGUE_NS1.code, DENGUE_IGM.code})


@dataclass(frozen=True, slots=True)
class Illness:
    """An acute illness as it comes to an out-patient clinic. `months` weighs January to December."""

    code: str
    complaint: str
    clinic: str
    drugs: tuple[Drug, ...]
    tests: tuple[Test, ...]
    months: tuple[float, ...]
    child: float
    adult: float
    elder: float
    fever: float
    code506: str = ""
    cause: str = ""
    procedure: str = ""


_EVEN: Final = (1.0,) * 12
_COOL: Final = (1.6, 1.4, 1.0, 0.7, 0.6, 0.9, 1.2, 1.4, 1.5, 1.2, 1.1, 1.4)
_FLU: Final = (1.5, 1.6, 1.1, 0.4, 0.4, 0.8, 1.5, 2.2, 2.4, 1.6, 0.9, 1.0)
_GUT: Final = (1.4, 1.4, 1.3, 1.4, 1.3, 1.0, 0.8, 0.7, 0.7, 0.8, 1.0, 1.3)
_RAIN: Final = (0.4, 0.3, 0.3, 0.4, 0.9, 1.7, 2.2, 2.2, 1.7, 1.2, 0.8, 0.5)
# Clinic codes are of five digits: 0 for out-patients and 1 for wards, the specialty, two zeros.
MEDICINE, SURGERY, PEDIATRICS, EMERGENCY, GENERAL, WARD_MEDICINE = "00100", "00200", "00500", "01200", "01600", "10100"
WARD_SURGERY, WARD_PEDIATRICS = "10200", "10500"

ILLNESSES: Final = (
    Illness("J00", "ไข้ ไอ มีน้ำมูก 2 วัน", GENERAL, (PARACETAMOL, CHLORPHENIRAMINE, DEXTROMETHORPHAN), (), _COOL, 10, 6, 4, 37.8),
    Illness("J029", "เจ็บคอ กลืนเจ็บ 3 วัน", GENERAL, (PARACETAMOL, AMOXICILLIN), (), _COOL, 4, 3, 1, 38.0),
    Illness("J111", "ไข้สูง ปวดเมื่อยตัว ไอ 2 วัน", GENERAL, (PARACETAMOL, OSELTAMIVIR), (), _FLU, 5, 3, 3, 38.9, "15"),
    Illness("A099", "ถ่ายเหลว ปวดท้อง 1 วัน", GENERAL, (ORS, PARACETAMOL), (), _GUT, 5, 3, 3, 37.4),
    Illness("R509", "ไข้ 2 วัน", GENERAL, (PARACETAMOL,), (HEMATOCRIT, WHITE_CELLS, PLATELETS), _RAIN, 3, 2, 2, 38.5),
    Illness("B084", "ผื่นที่มือ เท้า และปาก 2 วัน", PEDIATRICS, (PARACETAMOL, CALAMINE), (), _RAIN, 2, 0, 0, 38.2, "71"),
    Illness("A979", "ไข้สูง ปวดศีรษะ ปวดกระบอกตา 4 วัน", MEDICINE, (PARACETAMOL, ORS), (HEMATOCRIT, PLATELETS, DENGUE_NS1), _RAIN, 0.25, 0.12, 0.05, 39.0, "66"),
    Illness("K297", "จุกแน่นลิ้นปี่ 3 วัน", MEDICINE, (OMEPRAZOLE,), (), _EVEN, 0.2, 4, 4, 36.8),
    Illness("M545", "ปวดหลัง 5 วัน", GENERAL, (IBUPROFEN, PARACETAMOL), (), _EVEN, 0.1, 5, 6, 36.7),
    Illness("M791", "ปวดกล้ามเนื้อ 3 วัน", GENERAL, (DICLOFENAC, PARACETAMOL), (), _EVEN, 0.1, 5, 5, 36.7),
    Illness("L309", "ผื่นคัน 1 สัปดาห์", GENERAL, (CHLORPHENIRAMINE, CALAMINE), (), _RAIN, 2, 2, 2, 36.7),
    Illness("N390", "ปัสสาวะแสบขัด 2 วัน", GENERAL, (NORFLOXACIN,), (WHITE_CELLS,), _EVEN, 0.2, 2, 2, 37.3),
    Illness("L020", "ฝีที่หน้า 4 วัน", SURGERY, (DICLOXACILLIN, PARACETAMOL), (), _EVEN, 0.6, 0.8, 0.6, 37.2, procedure="8604"),
    Illness("S610", "มีดบาดนิ้ว 1 ชั่วโมง", EMERGENCY, (DICLOXACILLIN, PARACETAMOL), (), _EVEN, 0.6, 1.6, 0.8, 36.8, cause="W260", procedure="8659"),
    Illness("S800", "รถล้ม เข่าถลอก 2 ชั่วโมง", EMERGENCY, (NAPROXEN, PARACETAMOL), (), _EVEN, 0.8, 1.8, 0.6, 36.8, cause="V284", procedure="9659"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChronicDisease:
    """A disease that stays. `prevalence` is for ages below 35, 45, 55, 65 and above."""

    code: str
    prevalence: tuple[float, float, float, float, float]
    drugs: tuple[Drug, ...]
    tests: tuple[Test, ...]


DIABETES: Final = ChronicDisease("E119", (0.003, 0.03, 0.09, 0.16, 0.21), (METFORMIN, GLIPIZIDE), (GLUCOSE, HBA1C, CREATININE, EGFR))  # fmt: skip
HYPERTENSION: Final = ChronicDisease("I10", (0.005, 0.06, 0.17, 0.33, 0.48), (AMLODIPINE, ENALAPRIL), (CREATININE, POTASSIUM))  # fmt: skip
LIPIDS: Final = ChronicDisease("E785", (0.002, 0.03, 0.10, 0.18, 0.22), (SIMVASTATIN,), (CHOLESTEROL, TRIGLYCERIDES, HDL, LDL))  # fmt: skip
LUNGS: Final = ChronicDisease("J449", (0.0, 0.002, 0.008, 0.02, 0.04), (SALBUTAMOL, BUDESONIDE), ())
KIDNEYS: Final = ChronicDisease("N183", (0.0005, 0.002, 0.008, 0.02, 0.06), (SODIUM_BICARBONATE, FUROSEMIDE), (CREATININE, EGFR, POTASSIUM))  # fmt: skip
CHRONIC_DISEASES: Final = (DIABETES, HYPERTENSION, LIPIDS, LUNGS, KIDNEYS)


@dataclass(frozen=True, slots=True)
class Admission:
    """A stay in hospital as it usually goes. Weights are of the stays of a child, an adult, an elder."""

    code: str
    complaint: str
    ward: str
    drugs: tuple[Drug, ...]
    tests: tuple[Test, ...]
    procedure: str
    drg: str
    relative_weight: float
    days: tuple[int, int]
    child: float
    adult: float
    elder: float
    comorbid: str = ""


ADMISSIONS: Final = (
    Admission("J189", "ไข้ ไอ หอบเหนื่อย 2 วัน", WARD_MEDICINE, (CEFTRIAXONE, SALINE), (WHITE_CELLS, CREATININE), "9394", "04520", 0.7742, (3, 7), 3, 2, 5),
    Admission("A099", "ถ่ายเหลวหลายครั้ง อ่อนเพลีย", WARD_MEDICINE, (SALINE, ORS), (POTASSIUM, CREATININE), "", "06560", 0.3521, (1, 3), 4, 2, 2),
    Admission("K358", "ปวดท้องน้อยขวา 1 วัน", WARD_SURGERY, (CEFTRIAXONE, SALINE), (WHITE_CELLS, HEMATOCRIT), "4709", "06070", 1.1437, (2, 4), 1, 1.5, 0.5),
    Admission("I500", "เหนื่อย ขาบวม 3 วัน", WARD_MEDICINE, (FUROSEMIDE,), (CREATININE, POTASSIUM), "", "05510", 1.0188, (3, 8), 0, 0.6, 3, "I10"),
    Admission("I639", "แขนขาอ่อนแรงซีกซ้าย 3 ชั่วโมง", WARD_MEDICINE, (ASPIRIN, SIMVASTATIN), (GLUCOSE, CHOLESTEROL), "8703", "01560", 1.3620, (4, 10), 0, 0.4, 2, "I10"),
    Admission("N390", "ไข้หนาวสั่น ปัสสาวะขุ่น 2 วัน", WARD_MEDICINE, (CEFTRIAXONE, SALINE), (WHITE_CELLS, CREATININE), "", "11520", 0.5530, (2, 5), 0.5, 1, 2),
    Admission("J209", "ไอ หอบ 3 วัน", WARD_PEDIATRICS, (SALBUTAMOL,), (WHITE_CELLS,), "9394", "04560", 0.4105, (2, 4), 3, 0, 0),
)  # fmt: skip

DENGUE_STAY: Final = Admission("A971", "ไข้สูงลอย ปวดท้อง อาเจียน 4 วัน", WARD_MEDICINE, (SALINE, PARACETAMOL), (HEMATOCRIT, PLATELETS, DENGUE_NS1), "", "18560", 0.6124, (3, 5), 1, 1, 1)  # fmt: skip

# Vaccine, age in days at which it is due.
CHILD_VACCINES: Final = (
    ("10", 1), ("41", 1), ("D21", 61), ("81", 61), ("D22", 122), ("82", 122), ("D23", 183), ("83", 183), ("61", 275),
    ("J11", 366), ("34", 548), ("84", 548), ("073", 549), ("J12", 915), ("35", 1462), ("85", 1462),
)  # fmt: skip
FLU_VACCINE: Final = "815"
COVID_VACCINES: Final = ("CP1", "CP2", "CP3")

NURSING_PRICE: Final = 5000
PROCEDURE_PRICE: Final = 15000
ROOM_PRICE: Final = 40000
