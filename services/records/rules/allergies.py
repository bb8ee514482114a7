"""Whether a drug order is safe beside the allergies on record.

An order conflicts with an allergy when both name the same code, the same substance, or substances of one group whose
members cross-react (`data/allergy_groups.tsv`: by ATC code, or by generic name in English or Thai within the text). The
groups follow structure: an allergy to amoxicillin speaks against cefalexin, which shares its side chain, and not against
ceftriaxone, which does not.

Only allergies that the caller may see are held against an order: a refusal tells of the allergy, and who refused to share
it would be told of against their will. An order that must stand nevertheless says why (`rules.checking`).
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from libs.fhir.body import Json
from libs.fhir.search_parameters import normalized
from services.records.model import Allergy

ATC = "http://www.whocc.no/atc"
# An order in one of these states gives nobody a drug.
_IDLE_ORDERS = frozenset({"cancelled", "stopped", "completed", "entered-in-error"})
_IDLE_ALLERGIES = frozenset({"inactive", "resolved"})
_NO_ALLERGIES = frozenset({"refuted", "entered-in-error"})
_SHORTEST_NAME = 4
_STRENGTH_OR_FORM = re.compile(
    r"[\d(,/].*|\b(?:tab(?:let)?s?|cap(?:sule)?s?|inj(?:ection)?|syrup|susp(?:ension)?|cream|oral|solution|vial|amp(?:oule)?s?)\b.*"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Drugs of which an allergy to one speaks against all."""

    name: str
    atc: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why an order is refused: the allergy, and the group that both belong to (empty for the drug itself)."""

    allergy: str
    group: str
    # True if the allergy is to the very drug.
    is_same: bool = False


@functools.cache
def groups() -> tuple[Group, ...]:
    """The groups of the data table."""
    text = resources.files("services.records").joinpath("data/allergy_groups.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return tuple(
        Group(name, tuple(atc.split()), tuple(normalized(one) for one in names.split(";"))) for name, atc, names in rows
    )


def is_order(body: Json) -> bool:
    """True for a MedicationRequest that asks for a drug to be given."""
    return (
        body.get("resourceType") == "MedicationRequest"
        and body.get("status") not in _IDLE_ORDERS
        and body.get("doNotPerform") is not True
    )


def is_active(body: Json) -> bool:
    """True for an allergy that holds: neither resolved nor refuted."""
    return not (
        _codes(body.get("clinicalStatus")) & _IDLE_ALLERGIES or _codes(body.get("verificationStatus")) & _NO_ALLERGIES
    )


def substances_of(allergy: Json) -> list[Json]:
    """What an allergy is to, as CodeableConcepts."""
    return list(_substances(allergy))


def conflict(drugs: Sequence[Json], allergies: Sequence[Allergy]) -> Conflict | None:
    """The first conflict of a drug, as CodeableConcepts, with the person's allergies; the surest ground first."""
    substances = [(one.key, list(_substances(one.body))) for one in allergies if is_active(one.body)]
    for key, concepts in substances:
        if any(is_same(drug, concept) for drug in drugs for concept in concepts):
            return Conflict(key, next(iter(_shared(drugs, concepts)), ""), is_same=True)
    for key, concepts in substances:
        for group in _shared(drugs, concepts):
            return Conflict(key, group)
    return None


def _substances(allergy: Json) -> Iterator[Json]:
    if "code" in allergy:
        yield allergy["code"]
    for reaction in allergy.get("reaction", ()):
        if "substance" in reaction:
            yield reaction["substance"]


def is_same(drug: Json, substance: Json) -> bool:
    """True if both name one code, or one drug without strength and form."""
    if codings_of(drug) & codings_of(substance):
        return True
    return bool({_stem(name) for name in _names(drug)} & {_stem(name) for name in _names(substance)} - {""})


def _shared(drugs: Sequence[Json], substances: Sequence[Json]) -> list[str]:
    """The groups that both a drug and a substance belong to, in the table's order."""
    of_drugs = {name for drug in drugs for name in _groups_of(drug)}
    of_substances = {name for substance in substances for name in _groups_of(substance)}
    return [group.name for group in groups() if group.name in of_drugs & of_substances]


def _groups_of(concept: Json) -> Iterator[str]:
    atc = [code for system, code in codings_of(concept) if system == ATC]
    texts = _names(concept)
    for group in groups():
        if any(code.startswith(group.atc) for code in atc) or any(
            _mentions(text, name) for text in texts for name in group.names
        ):
            yield group.name


def _mentions(text: str, name: str) -> bool:
    """True if the text holds the name: as words in English; anywhere in Thai, which writes without spaces."""
    at = text.find(name)
    if at < 0 or not name.isascii():
        return at >= 0
    return re.search(rf"(?<![a-z]){re.escape(name)}s?(?![a-z])", text) is not None


def _stem(name: str) -> str:
    """A drug's name without strength and form: `paracetamol 500 mg tablet` is `paracetamol`."""
    stem = _STRENGTH_OR_FORM.sub("", name).strip(" .-")
    return stem if len(stem) >= _SHORTEST_NAME else ""


def _names(concept: Json) -> list[str]:
    found = [concept.get("text"), *(one.get("display") for one in concept.get("coding", ()))]
    return [normalized(one) for one in found if isinstance(one, str)]


def codings_of(concept: Json) -> set[tuple[str, str]]:
    """(system, code) of a CodeableConcept."""
    codings = concept.get("coding", ())
    return {(one["system"], one["code"]) for one in codings if "system" in one and "code" in one}


def _codes(concept: Any) -> set[str]:
    return {one.get("code", "") for one in concept.get("coding", ())} if isinstance(concept, dict) else set()
