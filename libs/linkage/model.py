"""A model of linkage as versioned data: Fellegi and Sunter, A Theory for Record Linkage, JASA 64 (1969).

    {"name": "fs-3", "prior": 1e-6,
     "thresholds": {"certain": 13, "probable": 3, "possible": -3},
     "comparisons": [{"field": "given_name", "missing": ["given"],
       "levels": [{"level": "exact", "when": {"test": "equal", "column": "given"}, "m": 0.9, "u": 0.002,
                   "frequencies": "given", "least_frequency": 1e-5},
                  {"level": "different", "m": 0.1, "u": 0.998}]}],
     "provenance": {}}

A pair is at the first level whose condition it meets; the last has none. Where a side lacks one of the columns under
`missing`, the comparison weighs nothing: that is the policy for missing values.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from libs.linkage import conditions
from libs.linkage.conditions import Condition, ConditionError, Met

GRADES: Final = ("certain", "probable", "possible")


class ModelError(ValueError):
    """A model cannot be used; the message names the place and says why."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level: its condition (None for all others), m and u, and the column whose frequencies weigh ("" for none)."""

    name: str
    when: Condition | None
    m: float
    u: float
    frequencies: str = ""
    least_frequency: float = 0.0
    is_met: Met | None = field(default=None, compare=False, repr=False)

    @property
    def bits(self) -> float:
        """log2(m / u)."""
        return math.log2(self.m / self.u)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison and its levels, the first that is met counting."""

    field: str
    missing: tuple[str, ...]
    levels: tuple[Level, ...]

    def chance(self, column: str) -> float | None:
        """How often two who are not one agree in this column: what its frequencies are measured against."""
        for level in self.levels:
            if level.when is not None and conditions.is_equality(level.when, column):
                return level.u
        return None


@dataclass(frozen=True, slots=True)
class Model:
    """A model. Its name stands in every decision that rests on it; a changed model has another name."""

    name: str
    prior: float
    thresholds: Mapping[str, float]
    comparisons: tuple[Comparison, ...]
    provenance: Mapping[str, Any]

    @property
    def prior_bits(self) -> float:
        """The log-odds of the prior."""
        return math.log2(self.prior / (1.0 - self.prior))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a record must have, None where it has no value."""
        found: dict[str, None] = {}
        for comparison in self.comparisons:
            found.update(dict.fromkeys(comparison.missing))
            for level in comparison.levels:
                found.update(dict.fromkeys(conditions.columns_of(level.when) if level.when else ()))
        return tuple(found)

    @property
    def frequency_columns(self) -> tuple[str, ...]:
        """The columns whose frequencies weigh."""
        told = (level.frequencies for one in self.comparisons for level in one.levels if level.frequencies)
        return tuple(dict.fromkeys(told))


def read_model(text: str) -> Model:
    """A model from its JSON. Raises ModelError."""
    try:
        told = json.loads(text)
        model = Model(
            str(told["name"]),
            float(told["prior"]),
            {grade: float(told["thresholds"][grade]) for grade in GRADES},
            tuple(_comparison(one) for one in told["comparisons"]),
            told.get("provenance", {}),
        )
    except KeyError as error:
        raise ModelError(f"a model without {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, ModelError) else ModelError(f"not a model: {error}") from error
    if not 0.0 < model.prior < 1.0:
        raise ModelError(f"prior: {model.prior} is no probability between 0 and 1")
    bits = [model.thresholds[grade] for grade in GRADES]
    if bits != sorted(bits, reverse=True):
        raise ModelError("thresholds: certain is at least probable, which is at least possible")
    return model


def write_model(model: Model) -> str:
    """The JSON of a model, which `read_model` reads again."""
    return json.dumps(
        {
            "name": model.name,
            "prior": model.prior,
            "thresholds": dict(model.thresholds),
            "comparisons": [
                {
                    "field": one.field,
                    "missing": list(one.missing),
                    "levels": [_written(level) for level in one.levels],
                }
                for one in model.comparisons
            ],
            "provenance": dict(model.provenance),
        },
        ensure_ascii=False,
        indent=2,
    )


def _written(level: Level) -> dict[str, Any]:
    told: dict[str, Any] = {"level": level.name, "m": level.m, "u": level.u}
    if level.when is not None:
        told["when"] = level.when
    if level.frequencies:
        told |= {"frequencies": level.frequencies, "least_frequency": level.least_frequency}
    return told


def _comparison(told: Mapping[str, Any]) -> Comparison:
    name = told["field"]
    levels = tuple(_level(name, one) for one in told["levels"])
    if not levels or levels[-1].when is not None or any(level.when is None for level in levels[:-1]):
        raise ModelError(f"{name}: the last level, and no other, is without a condition")
    comparison = Comparison(name, tuple(told["missing"]), levels)
    for level in levels:
        if level.frequencies and comparison.chance(level.frequencies) is None:
            raise ModelError(f"{name}.{level.name}: frequencies of a column that no level of it asks to be equal")
    return comparison


def _level(place: str, told: Mapping[str, Any]) -> Level:
    name, when = told["level"], told.get("when")
    m, u = float(told["m"]), float(told["u"])
    if not (0.0 < m <= 1.0 and 0.0 < u <= 1.0):
        raise ModelError(f"{place}.{name}: m and u are probabilities above 0")
    try:
        is_met = conditions.read(when) if when is not None else None
    except (ConditionError, KeyError) as error:
        raise ModelError(f"{place}.{name}: {error}") from error
    return Level(name, when, m, u, told.get("frequencies", ""), float(told.get("least_frequency", 0.0)), is_met)
