"""Profiles that are known here: the Thai core profiles' identifiers, names and addresses, as tables of our own.

A profile is checked where it is asked for ($validate), or where a resource claims it and the deployment's policy says so. Both
families of Thai identifier systems are understood: an identifier in the PHR's spelling is held against the same rule.

Source: SIL-TH's th-core 0.1.0 (draft), whose profiles are told by their canonical URLs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from libs.fhir.issues import INVALID, NOT_SUPPORTED, REQUIRED, STRUCTURE, VALUE, Issue
from libs.thai import citizen_id, facilities, identifiers, places

Json = dict[str, Any]
ROOT: Final = "https://fhir-ig.sil-th.org/th/core/StructureDefinition"
LANGUAGE: Final = "http://hl7.org/fhir/StructureDefinition/language"
ADDRESS_CODE: Final = f"{identifiers.EXTENSIONS}/ex-address-address-code"
_PASSPORTS: Final = ("http://hl7.org/fhir/sid/passport-", "https://hl7.org/fhir/sid/passport-")
_LEVELS: Final = ("province", "district", "subdistrict")


@dataclass(frozen=True, slots=True)
class Slice:
    """What an identifier of one kind must be like. A kind is told by a code of its type, or by its system."""

    codes: frozenset[str]
    # In the platform's spelling; empty where the system differs from issuer to issuer.
    system: str
    may_repeat: bool
    is_system: Callable[[str], bool]
    is_value: Callable[[str], bool]
    text: str


def _is_passport(system: str) -> bool:
    return system.startswith(_PASSPORTS)


def _is_hn(system: str) -> bool:
    local = identifiers.parse_local(system)
    return local is not None and local.kind is identifiers.Local.HN


_CITIZEN = Slice(
    frozenset({"cid"}),
    identifiers.CITIZEN_ID,
    may_repeat=False,
    is_system=lambda system: system == identifiers.CITIZEN_ID,
    is_value=citizen_id.is_valid,
    text="a citizen id: thirteen digits of which the last one checks the others",
)
_PASSPORT = Slice(
    frozenset({"PPN"}),
    "",
    may_repeat=True,
    is_system=_is_passport,
    is_value=bool,
    text="a passport number, of the system http://hl7.org/fhir/sid/passport-XXX",
)
_HN = Slice(
    frozenset({"localHn"}),
    "",
    may_repeat=True,
    is_system=_is_hn,
    is_value=bool,
    text="a hospital number, of the system …/hcode/5/{HCODE}/HN or …/hcode/9/{HCODE}/HN",
)
_FACILITY = Slice(
    frozenset({"hcode"}),
    identifiers.FACILITY,
    may_repeat=False,
    is_system=lambda system: system == identifiers.FACILITY,
    is_value=facilities.is_valid,
    text="a facility's code of five or nine digits",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of one type."""

    type: str
    slices: tuple[Slice, ...]


PROFILES: Final[Mapping[str, Profile]] = {
    f"{ROOT}/th-core-patient": Profile("Patient", (_CITIZEN, _PASSPORT, _HN)),
    f"{ROOT}/th-core-practitioner": Profile("Practitioner", (_CITIZEN, _PASSPORT)),
    f"{ROOT}/th-core-relatedperson": Profile("RelatedPerson", (_CITIZEN, _PASSPORT)),
    f"{ROOT}/th-core-organization": Profile("Organization", (_FACILITY,)),
}


def profile_issues(body: Json, canonical: str) -> list[Issue]:
    """What of a sound resource a profile does not allow. An unknown profile is an issue by itself."""
    name = str(body["resourceType"])
    profile = PROFILES.get(canonical.partition("|")[0])
    if profile is None:
        return [Issue(name, NOT_SUPPORTED, "the profile is not known here")]
    if profile.type != name:
        return [Issue(name, INVALID, f"the profile is one of {profile.type}")]
    issues = [*_identifiers(body, profile), *_names(body), *_addresses(body)]
    return [one.within(name) for one in issues]


def claimed_issues(body: Json) -> list[Issue]:
    """What of a resource the profiles do not allow that it claims in meta.profile; those unknown here claim nothing."""
    claims = body.get("meta", {}).get("profile", ())
    return [issue for one in claims if one.partition("|")[0] in PROFILES for issue in profile_issues(body, one)]


def _identifiers(body: Json, profile: Profile) -> Iterator[Issue]:
    seen: set[Slice] = set()
    for index, one in enumerate(body.get("identifier", ())):
        system = _normal(one.get("system", ""))
        codes = {coding.get("code") for coding in one.get("type", {}).get("coding", ())}
        for slice_ in profile.slices:
            if codes.isdisjoint(slice_.codes) and (not slice_.system or system != slice_.system):
                continue
            if slice_ in seen and not slice_.may_repeat:
                yield Issue(f"identifier[{index}]", STRUCTURE, f"only one may stand here: {slice_.text}")
            seen.add(slice_)
            yield from (issue.within(f"identifier[{index}]") for issue in _sliced(one, system, slice_))


def _sliced(identifier: Json, system: str, slice_: Slice) -> Iterator[Issue]:
    if not system:
        yield Issue("system", REQUIRED, slice_.text)
    elif not slice_.is_system(system):
        yield Issue("system", VALUE, slice_.text)
    if "value" not in identifier:
        yield Issue("value", REQUIRED, slice_.text)
    elif not slice_.is_value(identifier["value"]):
        yield Issue("value", VALUE, slice_.text)


def _normal(system: str) -> str:
    try:
        return identifiers.normalize(system)
    except ValueError:
        return system


def _names(body: Json) -> Iterator[Issue]:
    """A name says its language once; one in Thai and one in English are told apart by it."""
    names = body.get("name", ())
    for index, one in enumerate(names if type(names) is list else ()):
        languages = [some for some in one.get("extension", ()) if some.get("url") == LANGUAGE]
        if len(languages) > 1:
            yield Issue(f"name[{index}].extension", STRUCTURE, "a name is of one language")
        elif languages and "valueCode" not in languages[0]:
            yield Issue(f"name[{index}].extension", VALUE, "the language is a code, such as th or en")


def _addresses(body: Json) -> Iterator[Issue]:
    for index, one in enumerate(body.get("address", ())):
        codes = [some for some in one.get("extension", ()) if some.get("url") == ADDRESS_CODE]
        if len(codes) > 1:
            yield Issue(f"address[{index}].extension", STRUCTURE, "an address has one code of its place")
        elif codes and not _is_place(codes[0]):
            text = "the codes of province, district and subdistrict name a place"
            yield Issue(f"address[{index}].extension", VALUE, text)


def _is_place(extension: Json) -> bool:
    """True for codes that name a place, each written in full or by its last two digits."""
    parts = {part.get("url"): _code(part) for part in extension.get("extension", ())}
    code = ""
    for level in _LEVELS:
        part = parts.get(level, "")
        if part:
            code = code + part if len(part) == 2 else part  # noqa: PLR2004 digits of one level
    return bool(code) and places.find(code) is not None


def _code(part: Json) -> str:
    codings = [part.get("valueCoding", {}), *part.get("valueCodeableConcept", {}).get("coding", ())]
    found = next((one["code"] for one in codings if "code" in one), part.get("valueCode") or part.get("valueString"))
    return str(found or "")
