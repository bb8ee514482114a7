"""The identifier and code systems by which Thai health data are named, as URIs.

Two families are in use: that of the Thai FHIR guides (terms.sil-th.org) and that of the Ministry's personal health
record. `normalize` brings both to the first, in which the platform stores.

Source: the naming systems and aliases of SIL-TH's terminology guide 0.1.2; the PHR's templates.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, urlsplit

_ROOT: Final = "https://terms.sil-th.org"
_ID: Final = f"{_ROOT}/id"
_CODES: Final = f"{_ROOT}/core/CodeSystem"

CITIZEN_ID: Final = f"{_ID}/th-cid"
FACILITY: Final = f"{_ID}/th-moph-hcode"
PASSPORT: Final = "http://hl7.org/fhir/sid/passport-THA"
WORK_PERMIT: Final = f"{_ID}/th-mol-wp"
HOUSE: Final = f"{_ID}/th-dopa-house-no"
VILLAGE: Final = f"{_ROOT}/th-dopa-village-no"
DOCTOR: Final = f"{_ID}/th-doctor-id"
DENTIST: Final = f"{_ID}/th-dentist-id"
PHARMACIST: Final = f"{_ID}/th-pharmacist-id"
NURSE: Final = f"{_ID}/th-nurse-id"
MEDICAL_TECHNOLOGIST: Final = f"{_ID}/th-medtech-id"
PHYSIOTHERAPIST: Final = f"{_ID}/th-physio-id"
VETERINARIAN: Final = f"{_ID}/th-vet-id"
DISABILITY: Final = f"{_ID}/th-disability-no"
HEALTH_VOLUNTEER: Final = f"{_ID}/th-hvolunteer"
CLAIM_CODE: Final = f"{_ID}/th-nhso-claim-code"
REFER_CODE: Final = f"{_ID}/th-refer-code"

ICD10TM: Final = f"{_CODES}/cs-th-icd10tm"
ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
ICD9CM: Final = "http://hl7.org/fhir/sid/icd-9-cm"
LAB_ICD10TM: Final = f"{_CODES}/cs-th-icd10tm-lab"
TMT: Final = f"{_CODES}/cs-th-tmt"
TMLT: Final = f"{_CODES}/cs-th-tmlt"
DRUG24: Final = f"{_CODES}/cs-th-24drug"
LOCATION: Final = f"{_CODES}/cs-dopa-location"
NAME_PREFIX: Final = f"{_CODES}/cs-dopa-nameprefix"
IDENTIFIER_TYPE: Final = f"{_CODES}/cs-th-identifier-type"
COVERAGE_TYPE: Final = f"{_CODES}/cs-thcc-coverage-type"
VACCINE: Final = f"{_CODES}/cs-thcc-vaccine-code"
NATIONALITY: Final = f"{_CODES}/cs-thcc-nationality"

EXTENSIONS: Final = "https://fhir-ig.sil-th.org/th/extensions/StructureDefinition"


class Local(StrEnum):
    """What a facility numbers itself. The value is the last part of the system's URI."""

    HN = "HN"
    VN = "VN"
    AN = "AN"
    PID = "PID"
    HOUSE = "HouseId"
    PROVIDER = "Provider"
    DRUG = "Drug"
    INVOICE = "Inv"
    INVOICE_LOT = "InvLt"
    REFER = "Refer"
    PROCEDURE = "Procedure"
    LAB = "Lab"
    LAB_ITEM = "LabItem"
    RADIOLOGY = "Rad"
    DEPARTMENT = "DepCode"
    DEVICE = "Device"


@dataclass(frozen=True, slots=True)
class LocalSystem:
    """A system of one facility: its code, five or nine characters, and what is numbered."""

    facility: str
    kind: Local


_SHORT_CODE: Final = 5
_LOCAL: Final = re.compile(rf"{re.escape(_ROOT)}/hcode/([59])/([0-9A-Z]{{5}}|[0-9A-Z]{{9}})/([A-Za-z]+)")

# Other spellings of the systems above. PHR spellings first, then slips that guides themselves print.
_SAME: Final = {
    "https://www.dopa.go.th": CITIZEN_ID,
    "https://bps.moph.go.th/hcode/5": FACILITY,
    "https://bps.moph.go.th/hcode/9": FACILITY,
    "https://www.this.or.th/tmt": TMT,
    "https://www.this.or.th/tmt/gp": TMT,
    "https://www.this.or.th/tmt/gpu": TMT,
    "https://www.this.or.th/tmt/tpu": TMT,
    "https://www.this.or.th/tmlt": TMLT,
    "https://hl7.org/fhir/sid/passport-tha": PASSPORT,
    f"{_ID}/th-molwp": WORK_PERMIT,
    f"{_ID}/th-dopa-village-no": VILLAGE,
    "https://hl7.org/fhir/sid/icd-10": ICD10,
    "https://hl7.org/fhir/sid/icd-9-cm": ICD9CM,
}

# What the PHR's coding service calls the sets that have a system of their own.
_PHR_SETS: Final = {
    "nationality": NATIONALITY,
    "vaccine_code": VACCINE,
    "tmt_substance": TMT,
}
_PHR_HOST: Final = "phr1.moph.go.th"


def normalize(system: str) -> str:
    """The system as the platform spells it. What it does not know comes back as it is, without blanks around it."""
    told = system.strip()
    bare = told.rstrip("/")
    secure = ("https://" + bare[len("http://") :]) if bare.startswith("http://") else bare
    if known := _KNOWN.get(secure.casefold()):
        return known
    parts = urlsplit(secure)
    if parts.hostname == _PHR_HOST and parts.path.casefold() == "/api/codingsystem":
        names = {key.casefold(): values[0] for key, values in parse_qs(parts.query).items()}
        return _PHR_SETS.get(names.get("system", "").casefold(), told)
    return told


def local(facility: str, kind: Local) -> str:
    """The system of what a facility numbers itself. Raises ValueError unless the code has five or nine characters."""
    told = facility.strip().upper()
    if re.fullmatch(r"[0-9A-Z]{5}|[0-9A-Z]{9}", told) is None:
        message = "a facility code has five or nine characters"
        raise ValueError(message)
    family = "5" if len(told) == _SHORT_CODE else "9"
    return f"{_ROOT}/hcode/{family}/{told}/{kind.value}"


def parse_local(system: str) -> LocalSystem | None:
    """Whose system it is and what it numbers; None if it is none of a facility."""
    match = _LOCAL.fullmatch(system.strip())
    if match is None or len(match[2]) != int(match[1]):
        return None
    kind = _LOCAL_KINDS.get(match[3].casefold())
    return LocalSystem(match[2], kind) if kind else None


_LOCAL_KINDS: Final = {kind.value.casefold(): kind for kind in Local}
_CANONICAL: Final = (
    CITIZEN_ID, FACILITY, PASSPORT, WORK_PERMIT, HOUSE, VILLAGE, DOCTOR, DENTIST, PHARMACIST, NURSE,
    MEDICAL_TECHNOLOGIST, PHYSIOTHERAPIST, VETERINARIAN, DISABILITY, HEALTH_VOLUNTEER, CLAIM_CODE, REFER_CODE,
    ICD10TM, ICD10, ICD9CM, LAB_ICD10TM, TMT, TMLT, DRUG24, LOCATION, NAME_PREFIX, IDENTIFIER_TYPE,
    COVERAGE_TYPE, VACCINE, NATIONALITY,
)  # fmt: skip
SYSTEMS: Final = frozenset(_CANONICAL)
"""The systems that have one spelling for the whole country."""
_KNOWN: Final = {
    **{spelling.casefold(): system for spelling, system in _SAME.items()},
    **{system.replace("http://", "https://").casefold(): system for system in _CANONICAL},
}
