"""A model as Splink's settings, and Splink's answer as a model. Needs no Splink itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from libs.linkage import conditions
from libs.linkage.model import Comparison, Level, Model

# What EM leaves at zero is merely rare.
_LEAST: Final = 1e-9


def settings(model: Model, blocking: Sequence[str], link_type: str = "dedupe_only") -> dict[str, Any]:
    """Splink's settings of the model, trained as it is. Blocking rules are SQL over `l` and `r`."""
    return {
        "link_type": link_type,
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": model.prior,
        "comparisons": [_comparison(one) for one in model.comparisons],
        "blocking_rules_to_generate_predictions": list(blocking),
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
    }


def trained(model: Model, told: Mapping[str, Any], name: str, provenance: Mapping[str, Any]) -> Model:
    """The model with the prior, m and u of Splink's saved settings that began as `settings(model, …)`."""
    found = {one["output_column_name"]: one["comparison_levels"] for one in told["comparisons"]}
    comparisons = tuple(
        replace(
            one,
            levels=tuple(
                _learnt(level, numbers, float(told["probability_two_random_records_match"]))
                for level, numbers in zip(one.levels, _weighing(found[one.field]), strict=True)
            ),
        )
        for one in model.comparisons
    )
    prior = float(told["probability_two_random_records_match"])
    return replace(model, name=name, prior=prior, comparisons=comparisons, provenance=dict(provenance))


def _weighing(levels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [level for level in levels if not level.get("is_null_level")]


def _learnt(level: Level, numbers: Mapping[str, Any], prior: float) -> Level:
    m, u = _told(numbers, "m_probability", level.m), _told(numbers, "u_probability", level.u)
    # Of the random pairs that u was counted on, the prior's share is of one person. Where numbers are issued once, those are
    # all that agree: without them u is what it was thought to be, or less.
    return replace(level, m=m, u=max(u - prior * m, min(level.u, u)))


def _told(numbers: Mapping[str, Any], name: str, otherwise: float) -> float:
    value = numbers.get(name)
    return otherwise if value is None else min(max(float(value), _LEAST), 1.0)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    missing = " or ".join(f"{column}_{side} is null" for column in comparison.missing for side in "lr")
    return {
        "output_column_name": comparison.field,
        "comparison_levels": [
            {"sql_condition": missing, "label_for_charts": "missing", "is_null_level": True},
            *(_level(level) for level in comparison.levels),
        ],
    }


def _level(level: Level) -> dict[str, Any]:
    told: dict[str, Any] = {
        "sql_condition": "ELSE" if level.when is None else conditions.sql(level.when),
        "label_for_charts": level.name,
        "m_probability": level.m,
        "u_probability": level.u,
    }
    if level.frequencies:
        told |= {"tf_adjustment_column": level.frequencies, "tf_adjustment_weight": 1.0}
        if level.least_frequency:
            told["tf_minimum_u_value"] = level.least_frequency
    return told
