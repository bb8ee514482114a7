"""A model as SQL that weighs pairs, for DuckDB and for Spark, from the same conditions that Python reads.

Each comparison is one CASE that numbers its level, and the weight a second one over those numbers, so that no string is
compared twice and nothing is stored of pairs below a threshold. The weights are Splink's: for levels log2(m / u), for
shared values of known frequency log2(u / frequency) besides, and the prior. Tests hold them equal.
"""

import math
import re
from collections.abc import Sequence
from typing import Final

from libs.linkage import conditions
from libs.linkage.model import Comparison, Level, Model
from libs.linkage.scoring import MISSING

_SIDE: Final = re.compile(r"\b([a-z_0-9]+?)_([lr])\b")
# What Spark calls otherwise.
_SPARK: Final = (("len(list_", "size(array_"), ("string_split(", "split("))


def frequencies(model: Model) -> dict[str, str]:
    """For each column whose frequencies weigh, the query of `tf_<column>`: share of those that have a value."""
    return {
        column: f"""select {column} as value, cast(count(*) as double) / (select count({column}) from registrations) as share
    from registrations where {column} is not null group by {column}"""
        for column in model.frequency_columns
    }


def weighed(model: Model, pairs: str, levels: Sequence[str], least: float) -> str:
    """A query of `l`, `r` (numbers), `weight` in bits and the named levels, numbered as `labels` has them, from `least` on.

    `pairs` is a FROM clause whose sides `l` and `r` have the model's columns, `number`, and `tf_<column>` for each
    column whose frequencies weigh.
    """
    shares = ", ".join(
        f"l.tf_{column} as tf_{column}_l, r.tf_{column} as tf_{column}_r" for column in model.frequency_columns
    )
    found = ", ".join(f"{_level(one)} as level_{one.field}" for one in model.comparisons)
    numbered = f"select l.number as l, r.number as r, {found}{', ' + shares if shares else ''} {pairs}"
    kept = "".join(f", level_{name} as {name}" for name in levels)
    bits = " + ".join([_real(model.prior_bits), *(_weight(one) for one in model.comparisons)])
    told = f"select l, r, {bits} as weight{kept} from ({numbered}) as numbered"
    return f"select * from ({told}) as weighed where weight >= {_real(least)}"


def labels(model: Model, name: str) -> list[str]:
    """The names of the levels of a comparison by their numbers: 0 is that a value is missing."""
    found = next(one for one in model.comparisons if one.field == name)
    return [MISSING, *(level.name for level in found.levels)]


def spark(query: str) -> str:
    """A query of this module in Spark's dialect."""
    for told, otherwise in _SPARK:
        query = query.replace(told, otherwise)
    return query


def _level(comparison: Comparison) -> str:
    missing = " or ".join(f"{side}.{column} is null" for column in comparison.missing for side in "lr")
    told = f"when {missing} then 0"
    for number, level in enumerate(comparison.levels, 1):
        if level.when is None:
            return f"(case {told} else {number} end)"
        told += f" when {_sided(conditions.sql(level.when))} then {number}"
    raise AssertionError(comparison.field)


def _weight(comparison: Comparison) -> str:
    told = "".join(f" when {number} then {_bits(comparison, one)}" for number, one in enumerate(comparison.levels, 1))
    return f"(case level_{comparison.field}{told} else {_real(0.0)} end)"


def _bits(comparison: Comparison, level: Level) -> str:
    column = level.frequencies
    chance = comparison.chance(column) if column else None
    if chance is None:
        return _real(level.bits)
    one, other = f"tf_{column}_l", f"tf_{column}_r"
    known = f"coalesce({one}, {other})"
    share = f"greatest({known}, coalesce({other}, {one}), {_real(level.least_frequency)})"
    adjusted = f"{_real(math.log2(chance))} - log2({share})"
    return f"({_real(level.bits)} + case when {known} is not null then {adjusted} else {_real(0.0)} end)"


def _real(number: float) -> str:
    return f"cast({number!r} as double)"


def _sided(condition: str) -> str:
    return "(" + _SIDE.sub(r"\2.\1", condition) + ")"
