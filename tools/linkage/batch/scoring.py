"""SQL that makes the pairs of a model and weighs them, written from Splink's saved settings: any of them.

Splink computes a column of levels for each comparison and the weights from those. Here a comparison is one CASE whose
branches are weights, so that each pair is weighed in one pass and nothing is stored of those below the threshold. The
weights are Splink's: for levels log2(m / u), for shared values of known frequency log2(u / frequency) besides (Splink's
topic guide on term-frequency adjustments), and the prior. Tests hold them equal.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

Model = Mapping[str, Any]

_SIDE: Final = re.compile(r"\b([a-z_]+?)_([lr])\b")


def frequencies(model: Model) -> dict[str, str]:
    """For each column whose frequencies weigh, the query of `tf_<column>`: share of those that have a value."""
    return {
        column: f"""select {column} as value, cast(count(*) as double) / (select count({column}) from registrations) as share
    from registrations where {column} is not null group by {column}"""
        for column in dict.fromkeys(
            level["tf_adjustment_column"]
            for comparison in model["comparisons"]
            for level in comparison["comparison_levels"]
            if level.get("tf_adjustment_column")
        )
    }


def pairs(model: Model, *, is_link: bool = False) -> list[str]:
    """A query for each blocking rule: `l` and `r`, rows of `ready`, of pairs that no rule before finds."""
    rules = [_rule(rule) for rule in model["blocking_rules_to_generate_predictions"]]
    order = "l.source_dataset < r.source_dataset" if is_link else "l.number < r.number"
    found = []
    for place, rule in enumerate(rules):
        missed = "".join(f" and not coalesce(({earlier}), false)" for earlier in rules[:place])
        found.append(f"from ready as l join ready as r on {rule} and {order}{missed}")
    return found


def weight(model: Model) -> str:
    """The weight of a pair (`l`, `r`) in bits, as an expression."""
    prior = model["probability_two_random_records_match"]
    return " + ".join([_real(math.log2(prior / (1 - prior))), *(_comparison(one) for one in model["comparisons"])])


def level(model: Model, column: str) -> str:
    """The number of the level of one comparison, counted from 0, the first of the model's list."""
    found = next(one for one in model["comparisons"] if one["output_column_name"] == column)
    return _case(found["comparison_levels"], [str(place) for place in range(len(found["comparison_levels"]))])


def labels(model: Model, column: str) -> list[str]:
    """The names of the levels that `level` numbers."""
    found = next(one for one in model["comparisons"] if one["output_column_name"] == column)
    return [one["label_for_charts"] for one in found["comparison_levels"]]


def _comparison(comparison: Mapping[str, Any]) -> str:
    levels = comparison["comparison_levels"]
    return _case(levels, [_weight(one, levels) for one in levels])


def _case(levels: Sequence[Mapping[str, Any]], values: Sequence[str]) -> str:
    told = " ".join(
        f"when {_sided(one['sql_condition'])} then {value}"
        for one, value in zip(levels, values, strict=True)
        if one["sql_condition"].upper() != "ELSE"
    )
    return f"(case {told} else {values[-1]} end)"


def _weight(one: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> str:
    if one.get("is_null_level"):
        return _real(0.0)
    bits = _bits(one)
    column = one.get("tf_adjustment_column")
    if not column:
        return _real(bits)
    # Splink adjusts from the chance by which the column agrees exactly.
    exact = next(told for told in levels if told.get("tf_adjustment_column") == column)
    base = math.log2(exact["u_probability"])
    shares = f"greatest(coalesce(l.tf_{column}, r.tf_{column}), coalesce(r.tf_{column}, l.tf_{column})"
    floor = one.get("tf_minimum_u_value", 0.0)
    adjusted = f"{_real(one.get('tf_adjustment_weight', 1.0))} * ({_real(base)} - log2({shares}, {_real(floor)})))"
    return f"({_real(bits)} + case when coalesce(l.tf_{column}, r.tf_{column}) is not null then {adjusted} else 0 end)"


def _bits(one: Mapping[str, Any]) -> float:
    # A level that training never saw says nothing, as in Splink.
    if one.get("m_probability") is None or one.get("u_probability") is None:
        return 0.0
    return math.log2(one["m_probability"] / one["u_probability"])


def _real(number: float) -> str:
    return f"cast({number!r} as double)"


def _rule(rule: str | Mapping[str, Any]) -> str:
    return f"({rule if isinstance(rule, str) else rule['blocking_rule']})"


def _sided(condition: str) -> str:
    told = _SIDE.sub(r"\2.\1", condition.replace('"', ""))
    return f"({told})"
