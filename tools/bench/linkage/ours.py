"""Our model on FEBRL: trained on the records alone, its threshold found without labels."""

import json
from collections.abc import Sequence
from typing import Any, Final

import duckdb
from splink import Linker, SettingsCreator
from splink.backends.duckdb import DuckDBAPI

from libs.linkage import splink as as_splink
from libs.linkage.assigning import Pair, one_to_one
from libs.linkage.model import read_model
from libs.linkage.thresholds import threshold
from tools.bench.linkage.data import BLOCKING, CROSSED, ID, Set
from tools.linkage.training import train

PRECISION: Final = 0.999
SURELY: Final = (
    ("given_name", "surname", "date_of_birth"),
    ("given_name", "surname", "postcode"),
    ("surname", "date_of_birth", "suburb"),
)
RECALL_OF_SURELY: Final = 0.9
PASSES: Final = (("date_of_birth",), ("given_name", "surname"), ("postcode", "suburb"))
# Pairs lighter than this are of no use, not even to see how their weights thin out.
_LIGHTEST: Final = -30.0

_Json = dict[str, Any]


def _level(name: str, m: float, u: float, when: _Json | None = None, frequencies: str = "") -> _Json:
    told: _Json = {"level": name, "m": m, "u": u}
    if when:
        told["when"] = when
    if frequencies:
        told["frequencies"] = frequencies
    return told


def _equal(column: str) -> _Json:
    return {"test": "equal", "column": column}


def _slips(column: str, most: int, letters: int) -> _Json:
    return {"test": "slips", "column": column, "most": most, "letters": letters}


def _any(*of: _Json) -> _Json:
    return {"test": "any", "of": list(of)}


def _alike(column: str, least: float) -> _Json:
    return {"test": "alike", "column": column, "least": least}


def _words(column: str, other: str = "") -> _Json:
    """Words that are misspelt, and that stand in the place of `other`."""
    levels = [_level("exact", 0.7, 0.01, _equal(column), column)]
    if other:
        levels.append(_level("crossed", 0.02, 1e-4, {"test": "crossed", "column": column, "other": other}))
    levels.append(_level("similar", 0.12, 0.005, _any(_alike(column, 0.92), _slips(column, 1, 4))))
    if other:
        levels.append(_level("either", 0.02, 0.001, {"test": "either", "column": column, "other": other}))
    levels += [
        _level("close", 0.05, 0.02, _any(_alike(column, 0.8), _slips(column, 3, 8))),
        _level("different", 0.1, 0.95),
    ]
    return {"field": column, "missing": [column], "levels": levels}


def _digits(column: str, most: int, letters: int, *, is_weighed_by_frequency: bool = True) -> _Json:
    levels = [
        _level("exact", 0.85, 0.001, _equal(column), column if is_weighed_by_frequency else ""),
        _level("slip", 0.08, 0.005, _slips(column, most, letters)),
        _level("different", 0.07, 0.99),
    ]
    return {"field": column, "missing": [column], "levels": levels}


_BIRTH: Final = {
    "field": "date_of_birth",
    "missing": ["date_of_birth"],
    "levels": [
        _level("exact", 0.85, 1e-4, _equal("date_of_birth")),
        _level("slip", 0.07, 0.001, _slips("date_of_birth", 1, 8)),
        _level(
            "near",
            0.03,
            0.01,
            _any(_slips("date_of_birth", 2, 8), {"test": "begin", "column": "date_of_birth", "letters": 6}),
        ),
        _level("different", 0.05, 0.98),
    ],
}


def template(*, with_id: bool) -> str:
    """The model before training, as JSON. Its m and u are where EM begins."""
    comparisons = [
        _words("given_name", "surname"),
        _words("surname", "given_name"),
        _digits("street_number", 1, 2),
        _words("address_1", "address_2"),
        _words("address_2", "address_1"),
        _words("suburb"),
        _digits("postcode", 1, 4),
        _digits("state", 1, 3),
        _BIRTH,
    ]
    if with_id:
        comparisons.append(_digits(ID, 2, 7, is_weighed_by_frequency=False))
    thresholds = {"certain": 10.0, "probable": 3.0, "possible": -3.0}
    return json.dumps({"name": "febrl-0", "prior": 1e-4, "thresholds": thresholds, "comparisons": comparisons})


def blocking(*, with_id: bool) -> list[str]:
    """The blocking rules as SQL."""
    rules = [f"l.{column} = r.{column}" for column in BLOCKING if with_id or column != ID]
    return rules + [f"l.{one} = r.{other}" for one, other in CROSSED]


def weigh(told: Set, *, with_id: bool) -> tuple[list[Pair], float]:
    """The pairs that count, and the threshold at which PRECISION is expected; no label is looked at."""
    with duckdb.connect() as connection:
        tables = told.load(connection)
        model = train(
            read_model(template(with_id=with_id)),
            connection,
            tables,
            name="febrl-1",
            surely=SURELY,
            passes=PASSES,
            recall=RECALL_OF_SURELY,
        )
        kind = "link_only" if told.is_link else "dedupe_only"
        pairs = predict(connection, tables, as_splink.settings(model, blocking(with_id=with_id), kind))
    at = threshold([weight for weight, _, _ in pairs], PRECISION)
    return (one_to_one(pairs) if told.is_link else pairs), at


def predict(connection: duckdb.DuckDBPyConnection, tables: Sequence[str], settings: _Json) -> list[Pair]:
    """The pairs by Splink with these settings, trained."""
    api = DuckDBAPI(connection)
    registered: list[Any] = [api.register(table) for table in tables]
    linker = Linker(
        registered if len(tables) > 1 else registered[0], SettingsCreator.from_path_or_dict(settings), log_level=None
    )
    return pairs_of(connection, linker)


def pairs_of(connection: duckdb.DuckDBPyConnection, linker: Linker) -> list[Pair]:
    """What a linker predicts, of all that is not far too light."""
    found = linker.inference.predict(threshold_match_weight=_LIGHTEST)
    query = f"select match_weight, unique_id_l, unique_id_r from {found.physical_name}"
    return [(float(weight), str(one), str(other)) for weight, one, other in connection.execute(query).fetchall()]
