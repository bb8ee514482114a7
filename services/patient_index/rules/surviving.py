"""A person's golden view: of several registrations that tell a field, which one is believed.

The rules are data (survivorship.json): for each field the criteria by which one wins, the first that tells two apart
decides. What is not told never wins: a form without a day of death does not bring anybody back to life.
"""

import json
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from types import MappingProxyType

from libs.thai import identifiers
from services.patient_index.model import Held, Identifier
from services.patient_index.rules.registering import PASSPORTS, number_of

ONLY, FIRST = "only", "first"


@dataclass(frozen=True, slots=True)
class Telling:
    """What one registration tells of one field."""

    registration_id: str
    # What is equal where two tell the same.
    meaning: Hashable
    # The more, the fuller.
    fullness: int
    # 0 is trusted the most.
    trust: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Survivor:
    """Who tells a field best, and how the others stand to it."""

    registration_id: str
    # The criterion that told it from the next best; ONLY where all agree, FIRST where none did.
    won_by: str
    agreeing: int
    differing: int


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of survivorship. Their name stands in every golden view."""

    name: str
    trust: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]


def read_rules(text: str) -> Rules:
    """Rules from their JSON. Raises ValueError for an unknown criterion or class of trust."""
    told = json.loads(text)
    unknown = {one for criteria in told["fields"].values() for one in criteria} - _CRITERIA.keys()
    if unknown or sorted(told["trust"]) != sorted(_TRUST):
        raise ValueError(f"survivorship knows no {', '.join(sorted(unknown)) or 'such classes of trust'}")
    fields = {field: tuple(criteria) for field, criteria in told["fields"].items()}
    return Rules(told["name"], tuple(told["trust"]), MappingProxyType(fields))


def trust_of(held: Held, rules: Rules) -> int:
    """How much a registration is trusted by the numbers that it shows; 0 the most."""
    return rules.trust.index(next(name for name, is_so in _TRUST.items() if is_so(held)))


def identifier_trust(identifier: Identifier) -> tuple[int, str, str]:
    """The order of identifiers: citizen id, passports, others."""
    is_passport = identifier.system.startswith(PASSPORTS)
    rank = 0 if identifier.system == identifiers.CITIZEN_ID else 1 if is_passport else 2
    return rank, identifier.system, identifier.value


def survivor(tellings: Sequence[Telling], criteria: Sequence[str]) -> Survivor | None:
    """Who tells it best; None where nobody does. Does not depend on the order of the tellings."""
    if not tellings:
        return None
    shared = Counter(one.meaning for one in tellings)

    def standing(one: Telling) -> tuple[float, ...]:
        return tuple(_CRITERIA[name](one, shared) for name in criteria)

    # Of equals the lowest id, so that two readers see the same.
    ranked = sorted(sorted(tellings, key=lambda one: one.registration_id), key=standing, reverse=True)
    best = ranked[0]
    rival = next((one for one in ranked if one.meaning != best.meaning), None)
    won_by = ONLY
    if rival is not None:
        pairs = zip(criteria, standing(best), standing(rival), strict=True)
        won_by = next((name for name, mine, theirs in pairs if mine != theirs), FIRST)
    agreeing = shared[best.meaning]
    return Survivor(best.registration_id, won_by, agreeing, len(tellings) - agreeing)


_CRITERIA: Mapping[str, Callable[[Telling, Mapping[Hashable, int]], float]] = MappingProxyType(
    {
        "complete": lambda one, _: one.fullness,
        "trusted": lambda one, _: -one.trust,
        "agreed": lambda one, shared: shared[one.meaning],
        "recent": lambda one, _: one.written_at.timestamp(),
    }
)

# The first that fits.
_TRUST: Mapping[str, Callable[[Held], bool]] = MappingProxyType(
    {
        "believed-citizen-id": lambda held: bool(held.citizen_key and number_of(held.features.identifiers)),
        "citizen-id": lambda held: bool(number_of(held.features.identifiers)),
        "passport": lambda held: any(one.system.startswith(PASSPORTS) for one in held.features.identifiers),
        "other-number": lambda held: bool(held.features.identifiers),
        "no-number": lambda _: True,
    }
)

SURVIVORSHIP_1 = read_rules(resources.files(__package__).joinpath("survivorship.json").read_text(encoding="utf-8"))
