"""Pairs and persons held against the truth."""

import duckdb
import pytest

from tools.bench.linkage_batch import plain, scoring
from tools.thaibench import Ids, Plan, write


@pytest.fixture
def truth(tmp_path):
    """Persons p of three registrations, q of two, s alone."""
    path = tmp_path / "truth.csv"
    path.write_text("record_id,person_id,traps,made\na,p,,\nb,p,,\nc,p,,\nd,q,,\ne,q,,\nf,s,,\n", encoding="utf-8")
    return path


def test_pairs_are_right_wrong_or_missed(truth):
    said = "select * from (values ('a', 'b'), ('e', 'd'), ('c', 'f')) as told (one, other)"
    score = scoring.of_pairs(duckdb.connect(), said, truth)
    assert score == scoring.Score(right=2, wrong=1, missed=2)
    assert (score.precision, score.recall, score.f1) == pytest.approx((2 / 3, 1 / 2, 4 / 7))


def test_persons_count_every_pair_that_stands_in_one(truth, tmp_path):
    persons = tmp_path / "persons.parquet"
    told = (
        "(values ('a', '1'), ('b', '1'), ('c', '1'), ('d', '2'), ('e', '3'), ('f', '2')) as told (record_id, person_id)"
    )
    duckdb.connect().execute(f"copy (select * from {told}) to '{persons}' (format parquet)")
    assert scoring.of_persons(duckdb.connect(), persons, truth) == scoring.Score(right=3, wrong=1, missed=1)


def test_plain_splink_is_no_straw_man(tmp_path):
    written = write(Plan(4_000, 33, Ids.WITHOUT), tmp_path)
    with duckdb.connect() as connection:
        pairs = plain.pairs(connection, written.registrations[0], 0.95)
        said = f"select unique_id_l as one, unique_id_r as other from {pairs}"
        assert scoring.of_pairs(connection, said, written.truth).f1 > 0.9
