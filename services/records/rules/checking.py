"""What speaks against a drug order: allergies, duplicates, interactions, each with its severity.

Severities are contraindicated, major, moderate, minor. Filing an order is refused for an allergy from `moderate` on, which is
every one on record to the drug itself or to one that cross-reacts, unless the order says why it stands nevertheless (the
extension OVERRIDE). Of duplicates and interactions the prescriber is told, and decides.

An allergy to the drug itself is `major`, by a group that cross-reacts `moderate`, and each a degree graver where the record
says that a reaction was severe or that the criticality is high. A duplicate of one substance (ATC level 5, or the name) is
`major`, of one pharmacological group (ATC level 4) `moderate`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from libs.fhir.body import Json
from services.records.model import Allergy
from services.records.rules.allergies import ATC, Conflict, codings_of, conflict, is_same, substances_of

OVERRIDE = "https://nhip.th/fhir/StructureDefinition/order-override"
SEVERITIES = ("minor", "moderate", "major", "contraindicated")
REFUSED_FROM = {"allergy": "moderate"}
_SUBSTANCE, _GROUP = 7, 5
_IDLE = frozenset({"cancelled", "stopped", "completed", "entered-in-error", "not-taken", "draft", "unknown", "ended"})


class Kind(IntEnum):
    """What speaks against an order; the numbers of the contract's FindingKind."""

    ALLERGY = 1
    DUPLICATE = 2
    INTERACTION = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against one order."""

    order: int
    kind: Kind
    severity: str
    resource: str
    group: str
    text_en: str
    text_th: str
    source: str

    @property
    def is_refused(self) -> bool:
        """True if filing is refused unless the order says why it stands."""
        threshold = REFUSED_FROM.get(self.kind.name.lower())
        return threshold is not None and SEVERITIES.index(self.severity) >= SEVERITIES.index(threshold)


@dataclass(frozen=True, slots=True)
class Therapy:
    """A drug that the person has or is to have: what is said of it, as CodeableConcepts."""

    # `Type/id`; empty for an order that is only asked about.
    key: str
    drugs: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Interaction:
    """A line of a table of interactions; each drug as an ATC code or the beginning of one."""

    atc_a: str
    atc_b: str
    severity: str
    direction: str
    text_th: str
    text_en: str
    source: str


def override_of(order: Json) -> str:
    """Why an order stands although something speaks against it; empty where it does not say.

    The extension's value is a CodeableConcept or a text, and says it in words.
    """
    for extension in order.get("extension", ()):
        if extension.get("url") == OVERRIDE:
            concept = extension.get("valueCodeableConcept", {})
            said = concept.get("text") or next((one.get("display") for one in concept.get("coding", ())), "")
            return str(said or extension.get("valueString") or "").strip()
    return ""


def is_current(body: Json) -> bool:
    """True for a drug that the person has now, as far as the record says."""
    return body.get("status") not in _IDLE and body.get("doNotPerform") is not True


def atc_of(drugs: Iterable[Json], mapped: Mapping[tuple[str, str], Sequence[str]]) -> frozenset[str]:
    """The ATC codes of a drug: its own, and those that maps give for its other codes (TMT, the 24 digits)."""
    found: set[str] = set()
    for drug in drugs:
        for system, code in codings_of(drug):
            found.update([code] if system == ATC else mapped.get((system, code), ()))
    return frozenset(found)


def with_atc(drugs: Iterable[Json], mapped: Mapping[tuple[str, str], Sequence[str]]) -> tuple[Json, ...]:
    """The drug with the ATC codes that maps give beside its own codes."""
    drugs = tuple(drugs)
    codes = sorted(atc_of(drugs, mapped))
    return (*drugs, {"coding": [{"system": ATC, "code": code} for code in codes]}) if codes else drugs


def allergy_with_atc(allergy: Allergy, mapped: Mapping[tuple[str, str], Sequence[str]]) -> Allergy:
    """The allergy with the ATC codes that maps give for what it is to."""
    codes = sorted(atc_of(substances_of(allergy.body), mapped))
    if not codes:
        return allergy
    first = allergy.body.get("code", {})
    coding = [*first.get("coding", ()), *({"system": ATC, "code": code} for code in codes)]
    return Allergy(allergy.registration_id, allergy.key, {**allergy.body, "code": {**first, "coding": coding}})


def against(
    index: int,
    orders: Sequence[Therapy],
    allergies: Sequence[Allergy],
    therapies: Sequence[Therapy],
    interactions: Sequence[Interaction],
) -> Iterator[Finding]:
    """What speaks against one of the orders: what is on record, and the orders that come with it.

    All drugs carry their ATC codes already (`with_atc`).
    """
    order = orders[index]
    for allergy in allergies:
        found = conflict(order.drugs, [allergy])
        if found is not None:
            yield _allergy(index, allergy, found)
    others = [*therapies, *(one for at, one in enumerate(orders) if at != index)]
    for other in others:
        # A new version of an order is no duplicate of itself.
        if other.key and other.key == order.key:
            continue
        duplicate = _duplicate(index, order, other)
        if duplicate is not None:
            yield duplicate
        yield from _interacting(index, order, other, interactions)


def prefixes(codes: Iterable[str]) -> list[str]:
    """ATC codes and the groups above each, as tables of interactions name them."""
    levels = (1, 3, 4, 5, 7)
    return sorted({code[:length] for code in codes for length in levels if len(code) >= length})


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first, each once."""
    return sorted(dict.fromkeys(findings), key=lambda one: (-SEVERITIES.index(one.severity), one.order, one.kind))


def _allergy(index: int, allergy: Allergy, found: Conflict) -> Finding:
    degree = SEVERITIES.index("major" if found.is_same else "moderate") + _is_grave(allergy.body)
    text_en = f"the person has an allergy on record to {'this drug' if found.is_same else found.group}"
    text_th = "ผู้ป่วยมีประวัติแพ้ยานี้" if found.is_same else f"ผู้ป่วยมีประวัติแพ้ยากลุ่มเดียวกัน ({found.group})"
    return Finding(
        index, Kind.ALLERGY, SEVERITIES[degree], allergy.key, found.group, text_en, text_th, "allergy_groups"
    )


def _is_grave(body: Json) -> bool:
    return body.get("criticality") == "high" or any(one.get("severity") == "severe" for one in body.get("reaction", ()))


def _duplicate(index: int, order: Therapy, other: Therapy) -> Finding | None:
    ours, theirs = atc_of(order.drugs, {}), atc_of(other.drugs, {})
    substance = {code for code in ours & theirs if len(code) == _SUBSTANCE}
    if substance or any(is_same(one, two) for one in order.drugs for two in other.drugs):
        text_en, text_th = "the person has an active order of this drug", "ผู้ป่วยมีคำสั่งใช้ยานี้อยู่แล้ว"
        return Finding(index, Kind.DUPLICATE, "major", other.key, "", text_en, text_th, "ATC")
    groups = {code[:_GROUP] for code in ours if len(code) >= _GROUP} & {
        code[:_GROUP] for code in theirs if len(code) >= _GROUP
    }
    if not groups:
        return None
    group = min(groups)
    text_en = f"the person has an active order of a drug of the same group ({group})"
    text_th = f"ผู้ป่วยมีคำสั่งใช้ยากลุ่มเดียวกันอยู่แล้ว ({group})"
    return Finding(index, Kind.DUPLICATE, "moderate", other.key, group, text_en, text_th, "ATC")


def _interacting(index: int, order: Therapy, other: Therapy, interactions: Sequence[Interaction]) -> Iterator[Finding]:
    ours, theirs = tuple(atc_of(order.drugs, {})), tuple(atc_of(other.drugs, {}))
    for one in interactions:
        forth = _has(ours, one.atc_a) and _has(theirs, one.atc_b)
        back = _has(ours, one.atc_b) and _has(theirs, one.atc_a)
        if forth or back:
            group = f"{one.atc_a} × {one.atc_b}"
            yield Finding(index, Kind.INTERACTION, one.severity, other.key, group, one.text_en, one.text_th, one.source)


def _has(codes: Sequence[str], prefix: str) -> bool:
    return any(code.startswith(prefix) for code in codes)
