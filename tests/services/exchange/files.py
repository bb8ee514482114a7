"""Rows and zips as facilities send them, one small thing at a time."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from libs.f43.schema import FILES
from libs.thai import citizen_id

HCODE = "99001"
UPDATED = "20240301120000"
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "PERSON": {
        "PRENAME": "003", "NAME": "สมชาย", "LNAME": "ใจดี", "SEX": "1", "BIRTH": "19800229", "NATION": "099",
        "TYPEAREA": "1", "HN": "660001", "CID": citizen_id.make("900000000001"), "HID": "1", "DISCHARGE": "9",
    },
    "HOME": {
        "HID": "1", "HOUSETYPE": "1", "HOUSE": "12/3", "VILLAGE": "04", "TAMBON": "01", "AMPUR": "01", "CHANGWAT": "50",
    },
    "ADDRESS": {
        "ADDRESSTYPE": "1", "HOUSETYPE": "1", "HOUSENO": "99", "VILLAGE": "02", "TAMBON": "02", "AMPUR": "01",
        "CHANGWAT": "57",
    },
    "CARD": {"INSTYPE_NEW": "0100", "INSTYPE_OLD": "89", "INSID": "9001", "STARTDATE": "20230101", "MAIN": HCODE},
    "SERVICE": {
        "SEQ": "1001", "DATE_SERV": "20240215", "TIME_SERV": "093000", "INSTYPE": "0100", "TYPEIN": "1", "SERVPLACE": "1",
        "TYPEOUT": "1", "PRICE": "350", "PAYPRICE": "0", "ACTUALPAY": "0", "SBP": "120", "DBP": "80", "BTEMP": "37.5",
        "PR": "80", "RR": "18", "CHIEFCOMP": "ไข้ 3 วัน",
    },
    "ADMISSION": {
        "SEQ": "1001", "AN": "660000001", "DATETIME_ADMIT": "20240215103000", "WARDADMIT": "10100", "INSTYPE": "0100",
        "TYPEIN": "1", "DATETIME_DISCH": "20240218090000", "WARDDISCH": "10100", "DISCHSTATUS": "2", "DISCHTYPE": "1",
        "PRICE": "5000", "PAYPRICE": "0", "ACTUALPAY": "0", "DRG": "18550", "RW": "0.5", "ADJRW": "0.5", "ERROR": "0",
        "WARNING": "0", "ACTLOS": "3", "GROUPER_VERSION": "6.3",
    },
    "DIAGNOSIS_OPD": {
        "SEQ": "1001", "DATE_SERV": "20240215", "DIAGTYPE": "1", "DIAGCODE": "A970", "CLINIC": "00100",
    },
    "DIAGNOSIS_IPD": {
        "AN": "660000001", "DATETIME_ADMIT": "20240215103000", "WARDDIAG": "10100", "DIAGTYPE": "1", "DIAGCODE": "A971",
    },
    "DRUG_OPD": {
        "SEQ": "1001", "DATE_SERV": "20240215", "CLINIC": "00100", "DIDSTD": "100000000000000000000001",
        "DNAME": "PARACETAMOL 500 MG", "AMOUNT": "20", "UNIT_PACKING": "เม็ด",
    },
    "DRUG_IPD": {
        "AN": "660000001", "DATETIME_ADMIT": "20240215103000", "WARDSTAY": "10100", "TYPEDRUG": "1", "DIDSTD": "737390",
        "DNAME": "CEFTRIAXONE 1 G", "DATESTART": "20240215", "DATEFINISH": "20240217", "AMOUNT": "3",
    },
    "DRUGALLERGY": {
        "DATERECORD": "20200101", "DRUGALLERGY": "100000000000000000000009", "DNAME": "AMOXICILLIN", "TYPEDX": "1",
        "ALEVEL": "3", "SYMPTOM": "12", "INFORMANT": "1", "INFORMHOSP": HCODE, "HOSP9_INFORMHOSP": "EA0099001",
    },
    "CHRONIC": {"DATE_DIAG": "20150601", "CHRONIC": "E119", "TYPEDISCH": "03"},
    "SURVEILLANCE": {
        "SEQ": "1001", "DATE_SERV": "20240215", "DIAGCODE": "A970", "CODE506": "66", "ILLDATE": "20240212",
        "ILLVILLAGE": "04", "ILLTAMBON": "01", "ILLAMPUR": "01", "ILLCHANGWAT": "50", "PTSTATUS": "3",
    },
    "PROCEDURE_OPD": {"SEQ": "1001", "DATE_SERV": "20240215", "CLINIC": "00100", "PROCEDCODE": "8622"},
    "PROCEDURE_IPD": {
        "AN": "660000001", "DATETIME_ADMIT": "20240215103000", "WARDSTAY": "10100", "PROCEDCODE": "4709",
        "TIMESTART": "20240216080000", "TIMEFINISH": "20240216093000",
    },
    "LABFU": {"SEQ": "1001", "DATE_SERV": "20240215", "LABTEST": "0531002", "LABRESULT": "126.5"},
    "EPI": {"SEQ": "1001", "DATE_SERV": "20240215", "VACCINETYPE": "815", "VACCINEPLACE": HCODE},
    "APPOINTMENT": {
        "SEQ": "1001", "DATE_SERV": "20240215", "CLINIC": "00100", "APDATE": "20240315", "APTYPE": "165", "APDIAG": "E119",
    },
    "CHRONICFU": {
        "SEQ": "1001", "DATE_SERV": "20240215", "WEIGHT": "70.5", "HEIGHT": "165", "WAIST_CM": "88", "SBP": "130",
        "DBP": "85", "FOOT": "1", "RETINA": "1",
    },
    "NCDSCREEN": {
        "SEQ": "1001", "DATE_SERV": "20240215", "SERVPLACE": "1", "WEIGHT": "70", "HEIGHT": "165", "WAIST_CM": "88",
        "SBP_1": "138", "DBP_1": "88", "SBP_2": "134", "DBP_2": "86", "BSLEVEL": "102", "BSTEST": "3",
    },
    "DEATH": {"DDEATH": "20240301", "CDEATH_A": "I219", "CDEATH": "I219", "PDEATH": "1", "HOSP9_DEATH": "EA0099001"},
    "REFER_HISTORY": {
        "REFERID": "R1", "SEQ": "1001", "DATETIME_SERV": "20240215093000", "DATETIME_REFER": "20240215120000",
        "HOSP_DESTINATION": "99002", "HOSP9_DESTINATION": "EA0099002", "DIAGLAST": "Acute appendicitis", "PSTATUS": "stable",
        "PTYPE": "1", "EMERGENCY": "2", "CAUSEOUT": "1",
    },
    "DATA_CORRECT": {"TABLENAME": "CHRONIC"},
}  # fmt: skip


def a_row(file: str, **values: str) -> list[str]:
    """A sound row of a file, with these values in place of the usual ones."""
    told = {
        "HOSPCODE": HCODE, "HOSPCODE9": "EA0099001", "PID": "1", "D_UPDATE": UPDATED, **_DEFAULTS.get(file, {}), **values
    }  # fmt: skip
    return [told.get(name, "") for name in FILES[file].names]


def text_of(file: str, rows: Sequence[Sequence[str]]) -> str:
    """A member: header and rows."""
    return "\r\n".join(["|".join(FILES[file].names), *("|".join(row) for row in rows), ""])


def a_zip(files: Mapping[str, Sequence[Sequence[str]] | str | bytes]) -> bytes:
    """A zip of these files: rows, or what a member holds as it is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            told = content if isinstance(content, str | bytes) else text_of(name, content)
            # A fixed date: the same content gives the same bytes.
            member = zipfile.ZipInfo(name if "." in name else f"{name}.txt", (2024, 1, 1, 0, 0, 0))
            archive.writestr(member, told)
    return packed.getvalue()


def people(count: int) -> list[list[str]]:
    """Sound rows of PERSON, with the PIDs from 1 on."""
    return [
        a_row("PERSON", PID=str(n), HN=str(660000 + n), CID=citizen_id.make(f"90000000{n:04d}"), HID="1")
        for n in range(1, count + 1)
    ]


def visits(count: int) -> list[list[str]]:
    """Sound rows of SERVICE, one of each person, with the SEQs from 1 on."""
    return [a_row("SERVICE", PID=str(n), SEQ=str(n)) for n in range(1, count + 1)]


def diagnoses(count: int) -> list[list[str]]:
    """Sound rows of DIAGNOSIS_OPD, one of each visit."""
    return [a_row("DIAGNOSIS_OPD", PID=str(n), SEQ=str(n)) for n in range(1, count + 1)]
