"""The newest Observations of each code: https://hl7.org/fhir/R4/observation-operation-lastn.html.

Two Observations are of one code when their codes share a coding, directly or over others: a local code that once stood
beside a LOINC code joins what carries either. Without any coding the text decides.
"""

from collections.abc import Sequence

import orjson

from libs.fhir.body import Json
from services.records.model import Stored


def newest_of_each_code(observations: Sequence[Stored], newest: int) -> list[Stored]:
    """So many of each code, from observations that come newest first; codes in the order of their newest."""
    keys = [_keys(orjson.loads(one.body).get("code") or {}) for one in observations]
    leaders: dict[tuple[str, str], tuple[str, str]] = {}
    for found in keys:
        for key in found:
            leaders.setdefault(key, key)
            leaders[_leader(leaders, key)] = _leader(leaders, found[0])
    groups: dict[tuple[str, str], list[Stored]] = {}
    for observation, found in zip(observations, keys, strict=True):
        group = groups.setdefault(_leader(leaders, found[0]), [])
        if len(group) < newest:
            group.append(observation)
    return [one for group in groups.values() for one in group]


def _leader(leaders: dict[tuple[str, str], tuple[str, str]], key: tuple[str, str]) -> tuple[str, str]:
    while leaders[key] != key:
        leaders[key] = leaders[leaders[key]]
        key = leaders[key]
    return key


def _keys(code: Json) -> list[tuple[str, str]]:
    codings = [(one.get("system", ""), one["code"]) for one in code.get("coding", ()) if one.get("code")]
    return codings or [("", str(code.get("text", "")).strip().casefold())]
