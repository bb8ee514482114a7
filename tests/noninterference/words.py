"""The words that worlds and requests are made of: few, so that requests meet what is filed."""

import random
from typing import Any

LOINC = "http://loinc.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
UCUM = "http://unitsofmeasure.org"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
HN = "https://terms.sil-th.org/hcode/5/10661/HN"
LICENCE = "urn:licence"
TAGS = "urn:tags"
TESTS = ("718-7", "2345-7", "85354-9")
# The last two are of sensitive categories.
DIAGNOSES = ("E11", "J45", "B20", "F32")
DRUGS = ("amoxicillin", "ibuprofen", "paracetamol")
FAMILIES = ("ใจดี", "รักษา", "Müller", "มีสุข")
GIVEN = ("สมศรี", "สมชาย", "Jürgen", "มาลี")
PLACES = ("โรงพยาบาลเชียงใหม่", "โรงพยาบาลลำปาง", "Clinic One")
NOTES = ("ผู้ป่วยมีไข้สูง", "หายใจหอบ", "feels well today")
VALUES = (5.4, 9.5, 13.2)


def day(rng: random.Random) -> str:
    """A day of a short time."""
    return f"2024-05-{rng.randrange(1, 9):02}"


def quantity(rng: random.Random) -> dict[str, Any]:
    """One of few values."""
    return {"value": rng.choice(VALUES), "unit": "g/dL", "system": UCUM, "code": "g/dL"}
