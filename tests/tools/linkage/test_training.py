"""A model is learnt from records alone."""

import json
import random

import duckdb
import pyarrow as pa
import pytest

from libs.linkage import scoring
from libs.linkage.model import read_model, write_model
from tools.linkage.training import train


def _comparison(column: str) -> dict[str, object]:
    return {
        "field": column,
        "missing": [column],
        "levels": [
            {"level": "exact", "when": {"test": "equal", "column": column}, "m": 0.5, "u": 0.1},
            {
                "level": "slip",
                "when": {"test": "slips", "column": column, "most": 1, "letters": 3},
                "m": 0.3,
                "u": 0.1,
            },
            {"level": "different", "m": 0.2, "u": 0.8},
        ],
    }


_COLUMNS = ("given", "family", "born", "place")
_TEMPLATE = {
    "name": "test-0",
    "prior": 0.01,
    "thresholds": {"certain": 9.0, "probable": 3.0, "possible": -2.0},
    "comparisons": [_comparison(column) for column in _COLUMNS],
}
_WRONG = 0.15


def _sent(seed: int, persons: int):
    """Everybody twice; each value of the second is wrong at a known rate."""
    chance = random.Random(seed)  # noqa: S311 (a test that runs the same each time)
    letters = "กขคงจชซดตถทนบปผพฟมยรลวสหอ"
    values = {column: ["".join(chance.choices(letters, k=6)) for _ in range(150)] for column in _COLUMNS}
    rows = []
    for number in range(persons):
        person = {column: chance.choice(values[column]) for column in _COLUMNS}
        again = {
            column: told if chance.random() > _WRONG else chance.choice(values[column])
            for column, told in person.items()
        }
        rows += [{"unique_id": f"{number}-a", **person}, {"unique_id": f"{number}-b", **again}]
    return rows


@pytest.fixture(scope="module")
def learnt():
    with duckdb.connect() as connection:
        connection.register("told", pa.Table.from_pylist(_sent(5, 1_500)))
        connection.execute("create table records as select * from told")
        return train(
            read_model(json.dumps(_TEMPLATE)),
            connection,
            ["records"],
            name="test-1",
            surely=[("given", "family", "born")],
            passes=[("given", "family"), ("born", "place")],
            recall=0.6,
        )


def test_what_was_wrong_is_learnt_without_labels(learnt):
    for comparison in learnt.comparisons:
        exact = comparison.levels[0]
        assert exact.m == pytest.approx(1 - _WRONG, abs=0.05), comparison.field
        assert exact.u == pytest.approx(1 / 150, rel=0.3), comparison.field


def test_the_prior_is_counted(learnt):
    assert learnt.prior == pytest.approx(1_500 / (3_000 * 2_999 / 2), rel=0.3)


def test_a_learnt_model_says_where_it_comes_from_and_tells_people_apart(learnt):
    assert learnt.name == "test-1"
    assert learnt.provenance["began_as"] == "test-0"
    assert learnt.provenance["records"] == [3_000]
    assert read_model(write_model(learnt)) == learnt
    rows = {row["unique_id"]: row for row in _sent(6, 200)}
    same = [scoring.total(learnt, scoring.weigh(learnt, rows[f"{n}-a"], rows[f"{n}-b"])) for n in range(200)]
    other = [scoring.total(learnt, scoring.weigh(learnt, rows[f"{n}-a"], rows[f"{n + 1}-b"])) for n in range(199)]
    # Nine in ten pairs agree in three columns of the four; fewer are no proof.
    assert sum(weight > 0 for weight in same) >= 170
    assert sum(weight > 0 for weight in other) <= 2
