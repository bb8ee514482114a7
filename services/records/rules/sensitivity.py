"""Which records need the consent for sensitive ones.

A record is sensitive by its own label (meta.security: confidentiality restricted or very restricted, or a sensitivity
policy of HL7's v3 ActCode), or by an ICD-10 code anywhere in it that stands in `data/sensitive_codes.tsv`, whose ranges are
of categories (three characters).
"""

import functools
from collections.abc import Iterator
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
    if any(is_sensitive_code(code) for code in _icd_codes(body)):
        return Sensitivity.SENSITIVE
    return Sensitivity.GENERAL


def _icd_codes(value: Any) -> Iterator[str]:
    if type(value) is dict:
        if value.get("system") in _ICD and type(value.get("code")) is str:
            yield value["code"]
        for child in value.values():
            if type(child) is dict or type(child) is list:
                yield from _icd_codes(child)
    else:
        for child in value:
            if type(child) is dict or type(child) is list:
                yield from _icd_codes(child)
