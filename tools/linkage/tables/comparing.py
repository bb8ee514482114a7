"""The template of a model for columns of known roles, the pairs that are compared, and what EM learns from.

Nothing here was fitted to a data set: m and u are where EM begins, and EM changes them all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import duckdb

from libs.linkage.fields import alike, all_of, any_of, begin, equal, level, same, slips
from libs.linkage.model import Model, read_model
from tools.linkage.tables.columns import Role

_Json = dict[str, Any]
# Beyond so many pairs for each record, what a column finds says little.
_PAIRS_EACH: Final = 200
_FEWEST_PAIRS: Final = 2_000_000
# So few columns learn from each other one by one.
_FEW: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is compared."""

    name: str
    role: Role
    # Of the words that may stand in another column's place: which.
    other: str = ""


def template(columns: Sequence[Column]) -> Model:
    """The model before training."""
    comparisons = [_comparison(one) for one in columns]
    thresholds = {"certain": 10.0, "probable": 3.0, "possible": 0.0}
    told = {"name": "table-0", "prior": 1e-4, "thresholds": thresholds, "comparisons": comparisons}
    return read_model(json.dumps(told, ensure_ascii=False))


def _comparison(column: Column) -> _Json:
    name, role = column.name, column.role
    if role in (Role.SEX, Role.KIND):
        return same(name, 0.95, 0.3, is_weighed_by_frequency=True)
    if role is Role.BIRTH:
        return _birth(name)
    if role in (Role.NUMBER, Role.PHONE):
        return _digits(name, 2, 7)
    if role in (Role.CODE, Role.PLACE):
        return _digits(name, 1, 2)
    return words(name, column.other)


def words(name: str, other: str = "") -> _Json:
    """Words that are misspelt, that have other words beside them, and that stand in the place of `other`."""
    levels = [level("exact", 0.7, 0.01, equal(name), name)]
    if other:
        levels.append(level("crossed", 0.02, 1e-4, {"test": "crossed", "column": name, "other": other}))
    levels.append(level("similar", 0.12, 0.005, any_of(alike(name, 0.92), slips(name, 1, 4))))
    if other:
        levels.append(level("either", 0.02, 0.001, {"test": "either", "column": name, "other": other}))
    levels += [
        level("close", 0.05, 0.02, any_of(alike(name, 0.8), slips(name, 3, 8))),
        level("different", 0.1, 0.95),
    ]
    return {"field": name, "missing": [name], "levels": levels}


def _digits(name: str, most: int, letters: int) -> _Json:
    levels = [
        level("exact", 0.85, 0.001, equal(name), name),
        level("slip", 0.08, 0.005, slips(name, most, letters)),
        level("different", 0.07, 0.99),
    ]
    return {"field": name, "missing": [name], "levels": levels}


def _birth(name: str) -> _Json:
    levels = [
        level("exact", 0.85, 1e-4, equal(name)),
        level("slip", 0.07, 0.001, slips(name, 1, 8)),
        level("near", 0.03, 0.01, any_of(slips(name, 2, 8), all_of(begin(name, 6), slips(name, 2, 6)))),
        level("different", 0.05, 0.98),
    ]
    return {"field": name, "missing": [name], "levels": levels}


@dataclass(frozen=True, slots=True)
class Ways:
    """By what pairs are found and what is learnt from."""

    # Sets of columns: a pair that agrees in all of one is compared.
    blocking: tuple[tuple[str, ...], ...]
    # Sets on which EM runs, and those that say how many pairs there are.
    passes: tuple[tuple[str, ...], ...]
    surely: tuple[tuple[str, ...], ...]


def ways(connection: duckdb.DuckDBPyConnection, tables: Sequence[str], columns: Sequence[Column]) -> Ways:
    """How the columns of these tables are used, by how many pairs agree in each."""
    rows = sum(_count(connection, f"select count(*) from {table}") for table in tables)
    most = max(_FEWEST_PAIRS, _PAIRS_EACH * rows)
    usable = [one.name for one in columns if one.role not in (Role.SEX, Role.KIND)] or [one.name for one in columns]
    shares = {name: _known(connection, tables, name) / rows for name in usable}
    costs = {name: _pairs(connection, tables, (name,)) for name in usable}
    blocking: list[tuple[str, ...]] = [(name,) for name in usable if costs[name] <= most]
    wide = [name for name in usable if costs[name] > most]
    blocking += [pair for pair in combinations(wide, 2) if _pairs(connection, tables, pair) <= most]
    # The fewer agree in a column, and the more have it, the more it says.
    best = sorted(usable, key=lambda name: (costs[name] + 1) / max(shares[name], 1e-9) ** 4)
    strong = best[:5]
    triples = tuple(combinations(strong, min(3, len(strong))))[:4]
    return Ways(tuple(blocking), _passes(best), triples)


def _passes(best: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Sets without a column in common: the best by itself, then two and two. Each is learnt from the pairs of the others."""
    if len(best) <= _FEW:
        return tuple((name,) for name in best)
    return ((best[0],), *(tuple(best[place : place + 2]) for place in (1, 3) if place + 1 < len(best)))


def _pairs(connection: duckdb.DuckDBPyConnection, tables: Sequence[str], names: Sequence[str]) -> int:
    by = ", ".join(f'"{name}"' for name in names)
    known = " and ".join(f'"{name}" is not null' for name in names)
    counts = [f"(select {by}, count(*) as held from {table} where {known} group by {by})" for table in tables]
    if len(tables) == 1:
        return _count(connection, f"select coalesce(sum(held * (held - 1) // 2), 0) from {counts[0]}")
    return _count(
        connection,
        f"select coalesce(sum(a.held * b.held), 0) from {counts[0]} as a join {counts[1]} as b using ({by})",
    )


def _known(connection: duckdb.DuckDBPyConnection, tables: Sequence[str], name: str) -> int:
    return sum(_count(connection, f'select count("{name}") from {table}') for table in tables)


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
