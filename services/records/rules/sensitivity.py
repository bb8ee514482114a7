"""Which records need the consent for sensitive ones.

A record is sensitive by its own label (meta.security: confidentiality restricted or very restricted, or a sensitivity
policy of HL7's v3 ActCode), or by an ICD-10 code anywhere in it that stands in `data/sensitive_codes.tsv`, whose ranges are
of categories (three characters).
"""

import functools
from importlib import resources
from typing import Any

from libs.fhir.body import Json
from libs.thai.identifiers import ICD10, ICD10TM
from services.records.model import Sensitivity

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# Information sensitivity policies: HIV, psychiatry, sexual violence, substance abuse, genetics, sexual and domestic abuse.
_POLICIES = frozenset(
    {
        *("HIV", "PSY", "PSYTHPN", "SDV", "ETH", "ETHUD", "OPIOIDUD", "SUD", "GDIS", "SOC", "SEX", "STD", "BH", "MH"),
        *("VIO", "IDS", "SICKLE", "TBOO", "DV"),
    }
)
_RESTRICTED = frozenset({"R", "V"})
_ICD = frozenset({ICD10, ICD10TM})
_CATEGORY = 3


@functools.cache
def _ranges() -> tuple[tuple[str, str], ...]:
    text = resources.files("services.records").joinpath("data/sensitive_codes.tsv").read_text(encoding="utf-8")
    return tuple((line.split("\t")[0], line.split("\t")[1]) for line in text.splitlines()[1:])


@functools.lru_cache(maxsize=4096)
def is_sensitive_code(code: str) -> bool:
    """True for an ICD-10 code of a sensitive category, with or without its dot."""
    category = code[:_CATEGORY].upper()
    return len(category) == _CATEGORY and any(first <= category <= last for first, last in _ranges())


def sensitivity_of(body: Json) -> Sensitivity:
    """Which consent a resource needs."""
    for label in body.get("meta", {}).get("security", ()):
        code, system = label.get("code"), label.get("system")
        if (system == ACT_CODE and code in _POLICIES) or (system == CONFIDENTIALITY and code in _RESTRICTED):
            return Sensitivity.SENSITIVE
    return Sensitivity.SENSITIVE if _has_sensitive_code(body) else Sensitivity.GENERAL


def _has_sensitive_code(value: dict[str, Any]) -> bool:
    if value.get("system") in _ICD and type(value.get("code")) is str and is_sensitive_code(value["code"]):
        return True
    for child in value.values():
        if type(child) is dict:
            if _has_sensitive_code(child):
                return True
        elif type(child) is list:
            for one in child:
                if type(one) is dict and _has_sensitive_code(one):
                    return True
    return False
