"""One model, two readers: Splink in SQL and the scorer in Python give each pair the same weight."""

import itertools
import json
import random

import duckdb
import pyarrow as pa
import pytest
from splink import Linker, SettingsCreator
from splink.backends.duckdb import DuckDBAPI

from libs.linkage import scoring
from libs.linkage.model import ModelError, read_model, write_model
from libs.linkage.splink import settings, trained

_NAME = [
    {"level": "exact", "when": {"test": "equal", "column": "given"}, "m": 0.8, "u": 0.01, "frequencies": "given",
     "least_frequency": 0.02},
    {"level": "crossed", "when": {"test": "crossed", "column": "given", "other": "family"}, "m": 0.02, "u": 0.0001},
    {"level": "similar", "when": {"test": "any", "of": [
        {"test": "alike", "column": "given", "least": 0.9},
        {"test": "slips", "column": "given", "most": 1, "letters": 4}]},
     "m": 0.1, "u": 0.02, "frequencies": "given"},
    {"level": "different", "m": 0.08, "u": 0.9699},
]  # fmt: skip
_TOLD = {
    "name": "test-1",
    "prior": 0.001,
    "thresholds": {"certain": 12.0, "probable": 4.0, "possible": -1.0},
    "comparisons": [
        {"field": "given_name", "missing": ["given"], "levels": _NAME},
        {"field": "family_name", "missing": ["family"], "levels": [
            {"level": "exact", "when": {"test": "equal", "column": "family"}, "m": 0.9, "u": 0.003,
             "frequencies": "family"},
            {"level": "either", "when": {"test": "either", "column": "family", "other": "given"}, "m": 0.02, "u": 0.001},
            {"level": "different", "m": 0.08, "u": 0.996}]},
        {"field": "place", "missing": ["place"], "levels": [
            {"level": "same", "when": {"test": "equal", "column": "place"}, "m": 0.6, "u": 0.01},
            {"level": "near", "when": {"test": "all", "of": [
                {"test": "begin", "column": "place", "letters": 2},
                {"test": "slips", "column": "place", "most": 2, "letters": 3}]}, "m": 0.2, "u": 0.05},
            {"level": "different", "m": 0.2, "u": 0.94}]},
    ],
}  # fmt: skip
_GIVEN = ["สมชาย", "สมชาย", "ใจดี", "สมใจ", "สมศรี", "สมศักดิ์", "ประเสริฐ", "somchai", "somchay", "มานี", "a", "กข", None]
_FAMILY = ["ใจดี", "ใจดี", "ใจตี", "รักไทย", "สมชาย", "jaidee", "ศรีสุข", None]
_PLACE = ["100101", "100102", "109901", "500101", "50", "", None]


def _rows(seed: int, count: int):
    chance = random.Random(seed)  # noqa: S311 (a test that runs the same each time)
    return [
        {
            "unique_id": number,
            "given": _slip(chance, chance.choice(_GIVEN)),
            "family": _slip(chance, chance.choice(_FAMILY)),
            "place": chance.choice(_PLACE),
        }
        for number in range(count)
    ]


def _slip(chance: random.Random, told: str | None) -> str | None:
    if told is None or len(told) < 2 or chance.random() < 0.6:
        return told
    place = chance.randrange(len(told) - 1)
    swapped = told[:place] + told[place + 1] + told[place] + told[place + 2 :]
    return chance.choice([swapped, told[:place] + told[place + 1 :], told[:place] + "น" + told[place + 1 :]])


def _by_splink(model, rows):
    with duckdb.connect() as connection:
        table = pa.Table.from_pylist(rows)
        connection.register("told", table)
        connection.execute("create table registrations as select * from told")
        linker = Linker(
            DuckDBAPI(connection).register("registrations"),
            SettingsCreator.from_path_or_dict(settings(model, ["1 = 1"])),
            log_level=None,
        )
        found = linker.inference.predict()
        weighed = connection.execute(
            f"select unique_id_l, unique_id_r, match_weight from {found.physical_name}"
        ).fetchall()
        shares = {
            column: dict(
                connection.execute(
                    f"select {column}, count(*)::double / (select count({column}) from registrations) "
                    f"from registrations where {column} is not null group by {column}"
                ).fetchall()
            )
            for column in model.frequency_columns
        }
        return weighed, shares


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_pair_weighs_the_same_in_splink_and_in_python(seed):
    model = read_model(json.dumps(_TOLD))
    rows = [
        *_rows(seed, 148),
        {"unique_id": 148, "given": "ใจดี", "family": "สมชาย", "place": "100101"},
        {"unique_id": 149, "given": "สมชาย", "family": "ใจดี", "place": "100102"},
    ]
    weighed, shares = _by_splink(model, rows)
    assert len(weighed) == 150 * 149 / 2, "every pair was weighed"
    levels = set()
    for one, other, weight in weighed:
        said = scoring.weigh(model, rows[one], rows[other], shares)
        levels.update((each.field, each.level) for each in said)
        assert abs(scoring.total(model, said) - weight) <= 1e-6, (rows[one], rows[other], said)
    named = {(one.field, level.name) for one in model.comparisons for level in one.levels}
    assert levels == named | {(one.field, "missing") for one in model.comparisons}, "every level was met"


def test_the_weight_does_not_depend_on_the_order_of_the_pair():
    model = read_model(json.dumps(_TOLD))
    rows = _rows(9, 60)
    shares = {"given": {"สมชาย": 0.2, "มานี": 0.01}}
    for one, other in itertools.combinations(rows, 2):
        assert scoring.weigh(model, one, other, shares) == scoring.weigh(model, other, one, shares)


def test_a_common_name_weighs_less_than_a_rare_one():
    model = read_model(json.dumps(_TOLD))
    shares = {"given": {"สมชาย": 0.2, "มานี": 0.03}}
    common, rare = ({"given": name, "family": None, "place": None} for name in ("สมชาย", "มานี"))
    gap = scoring.total(model, scoring.weigh(model, rare, rare, shares))
    gap -= scoring.total(model, scoring.weigh(model, common, common, shares))
    assert gap == pytest.approx(2.736965594)


def test_thai_words_without_a_common_letter_are_not_alike():
    model = read_model(json.dumps(_TOLD))
    weighed, _ = _by_splink(
        model,
        [
            {"unique_id": 0, "given": "กขคง", "family": None, "place": None},
            {"unique_id": 1, "given": "ดตถท", "family": None, "place": None},
        ],
    )
    said = scoring.weigh(model, *({"given": name, "family": None, "place": None} for name in ("กขคง", "ดตถท")))
    assert said[0].level == "different"
    assert weighed[0][2] == pytest.approx(scoring.total(model, said), abs=1e-6)


def test_a_model_survives_being_written():
    model = read_model(json.dumps(_TOLD))
    assert read_model(write_model(model)) == model


def test_splinks_estimates_become_a_model():
    model = read_model(json.dumps(_TOLD))
    saved = settings(model, ["1 = 1"])
    saved["probability_two_random_records_match"] = 0.25
    saved["comparisons"][0]["comparison_levels"][1]["m_probability"] = 0.5
    saved["comparisons"][0]["comparison_levels"][2]["u_probability"] = 0.0
    learnt = trained(model, saved, "test-2", {"records": 3})
    assert (learnt.name, learnt.prior, learnt.provenance) == ("test-2", 0.25, {"records": 3})
    assert learnt.comparisons[0].levels[0].m == 0.5
    assert learnt.comparisons[0].levels[1].u == 1e-9, "what was never seen is rare, not impossible"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda model: model.pop("prior"), "a model without 'prior'"),
        (lambda model: model.update(prior=1.0), "no probability between 0 and 1"),
        (lambda model: model["comparisons"][0]["levels"].pop(), "given_name: the last level"),
        (lambda model: model["comparisons"][1]["levels"][0].update(m=0), "family_name.exact: m and u"),
        (lambda model: model["comparisons"][1]["levels"][0].update(frequencies="place"), "family_name.exact: freq"),
        (
            lambda model: model["comparisons"][1]["levels"][0].update(when={"test": "magic"}),
            "family_name.exact: no test",
        ),
        (lambda model: model["comparisons"][1]["levels"][0].update(when={"test": "equal"}), "equal takes column, test"),
        (lambda model: model["thresholds"].update(probable=99.0), "certain is at least probable"),
    ],
)
def test_a_model_that_is_not_whole_is_refused_with_its_place(spoil, told):
    spoilt = json.loads(json.dumps(_TOLD))
    spoil(spoilt)
    with pytest.raises(ModelError, match=told):
        read_model(json.dumps(spoilt))
