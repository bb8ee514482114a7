"""Weights of evidence: Fellegi and Sunter, A Theory for Record Linkage, JASA 64 (1969), with a model that is data.

For each field and level, `m` is its probability among pairs of one person and `u` among pairs of two; the weight is
log2(m/u). A field that one side does not have weighs nothing. The sum with the log-odds of the prior is the log-odds of
being one person, in bits.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from services.patient_index.model import Features, FieldWeight, Grade, Shares
from services.patient_index.rules import comparing

NO_SHARES: Shares = MappingProxyType({})

_COMPARISONS: Mapping[str, Callable[[Features, Features], str]] = MappingProxyType(
    {
        "given_name": comparing.given_level,
        "family_name": comparing.family_level,
        "birth_date": comparing.birth_level,
        "sex": comparing.sex_level,
        "place": comparing.place_level,
        "phone": comparing.phone_level,
        "citizen_id": comparing.citizen_id_level,
    }
)
# Where sums leave the range of a double's exponential, the answer is 0 or 1 to every digit shown.
_MOST_BITS = 500.0


@dataclass(frozen=True, slots=True)
class Level:
    """One level of one comparison."""

    m: float
    u: float
    weight: float


@dataclass(frozen=True, slots=True)
class Model:
    """A model of linkage. Its name stands in every decision that rests on it; a changed model has another name."""

    name: str
    prior_bits: float
    thresholds: Mapping[Grade, float]
    # field → level → numbers.
    comparisons: Mapping[str, Mapping[str, Level]]

    def weigh(self, one: Features, other: Features, shares: Shares = NO_SHARES) -> tuple[FieldWeight, ...]:
        """What each field says. Symmetric in the two."""
        return tuple(
            self._weight(field, compare(one, other), one, other, shares) for field, compare in _COMPARISONS.items()
        )

    def total(self, fields: tuple[FieldWeight, ...]) -> float:
        """The sum of the weights and the prior, in bits."""
        return self.prior_bits + math.fsum(field.weight for field in fields)

    def grade(self, weight: float) -> Grade:
        """The grade that a weight alone deserves."""
        for grade in (Grade.CERTAIN, Grade.PROBABLE, Grade.POSSIBLE):
            if weight >= self.thresholds[grade]:
                return grade
        return Grade.NONE

    def _weight(self, field: str, level: str, one: Features, other: Features, shares: Shares) -> FieldWeight:
        if level == comparing.MISSING:
            return FieldWeight(field, level, 0.0)
        numbers = self.comparisons[field][level]
        if shares and level == comparing.EXACT:
            share = shares.get(f"{field}|{_shared_name(field, one, other)}", 0.0)
            if share > numbers.u:
                # To share a name that many bear says less; the rest of them agree by chance this often.
                return FieldWeight(field, level, math.log2(numbers.m / share))
        return FieldWeight(field, level, numbers.weight)


def probability(weight: float) -> float:
    """The probability that a weight in bits stands for."""
    bits = max(-_MOST_BITS, min(_MOST_BITS, weight))
    return 1.0 / (1.0 + math.exp2(-bits))


def read_model(text: str) -> Model:
    """A model from its JSON. Raises ValueError or KeyError for one that is not complete."""
    told = json.loads(text)
    comparisons = {
        comparison["field"]: MappingProxyType(
            {
                level["level"]: Level(level["m"], level["u"], math.log2(level["m"] / level["u"]))
                for level in comparison["levels"]
            }
        )
        for comparison in told["comparisons"]
    }
    if comparisons.keys() != _COMPARISONS.keys():
        raise ValueError("a model says for each field that is compared what its levels weigh")
    prior = told["prior"]
    return Model(
        told["name"],
        math.log2(prior / (1.0 - prior)),
        MappingProxyType({Grade[name.upper()]: bits for name, bits in told["thresholds"].items()}),
        MappingProxyType(comparisons),
    )


def _shared_name(field: str, one: Features, other: Features) -> str:
    if field == "given_name":
        return one.given if one.given == other.given else one.given_roman
    if field == "family_name":
        return one.family if one.family == other.family else one.family_roman
    return ""


FS_1 = read_model(resources.files(__package__).joinpath("fs_1.json").read_text(encoding="utf-8"))
