"""The weights of a batch are Splink's."""

import duckdb
import pytest
from splink import Linker, SettingsCreator
from splink.backends.duckdb import DuckDBAPI

from tools.linkage.batch import job as batch_job
from tools.linkage.batch import scoring


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        yield opened


def test_every_pair_has_the_weight_that_splink_gives_it(job, connection):
    model = batch_job.read_model(job)
    batch_job.prepare(connection, job, model)
    ours = {}
    for query in scoring.pairs(model):
        weighed = f"select l.unique_id, r.unique_id, {scoring.weight(model)} {query}"
        for one, other, weight in connection.execute(weighed).fetchall():
            pair = min(one, other), max(one, other)
            assert pair not in ours, "a pair is found once"
            ours[pair] = weight
    linker = Linker(
        DuckDBAPI(connection).register("registrations"), SettingsCreator.from_path_or_dict(model), log_level=None
    )
    found = linker.inference.predict()
    rows = connection.execute(f"select unique_id_l, unique_id_r, match_weight from {found.physical_name}").fetchall()
    theirs = {(min(one, other), max(one, other)): weight for one, other, weight in rows}
    assert len(theirs) > 3_000
    assert ours.keys() == theirs.keys()
    assert max(abs(ours[pair] - weight) for pair, weight in theirs.items()) <= 1e-6
    assert len({round(weight, 3) for weight in theirs.values()}) > 100


def test_common_names_weigh_less_than_rare_ones(job, connection):
    model = batch_job.read_model(job)
    batch_job.prepare(connection, job, model)
    rows = connection.execute(
        f"""select l.tf_given, {scoring.weight(model)} from ready as l join ready as r on l.unique_id = r.unique_id
        where l.given is not null and l.family is not null and l.birth_year is not null and l.phone is not null
        order by l.tf_given"""
    ).fetchall()
    rare, common = rows[: len(rows) // 10], rows[-len(rows) // 10 :]
    assert sum(weight for _, weight in rare) / len(rare) > sum(weight for _, weight in common) / len(common) + 1


def test_a_level_that_training_never_saw_weighs_nothing():
    model = {
        "probability_two_random_records_match": 0.5,
        "comparisons": [
            {
                "output_column_name": "phone",
                "comparison_levels": [
                    {"sql_condition": '"phone_l" = "phone_r"', "label_for_charts": "same", "u_probability": 0.1},
                    {"sql_condition": "ELSE", "label_for_charts": "different", "m_probability": 0.1, "u_probability": 0.4},
                ],
            }
        ],
    }  # fmt: skip
    told = scoring.weight(model)
    assert "(l.phone = r.phone) then cast(0.0 as double)" in told
    assert "else cast(-2.0 as double)" in told
