"""The weights of a batch are Splink's."""

import duckdb
import pytest
from splink import Linker, SettingsCreator
from splink.backends.duckdb import DuckDBAPI

from libs.linkage import person, splink, sql
from tools.linkage.batch import job as batch_job
from tools.linkage.batch import model as batch_model


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        yield opened


def test_every_pair_has_the_weight_that_splink_gives_it(job, connection):
    model = batch_job.read_model(job)
    batch_job.prepare(connection, job, model)
    rules = batch_model.blocking(model)
    ours = {}
    for query in batch_job.pairs(rules):
        weighed = sql.weighed(model, query, (), -1000.0)
        sides = "join ready as a on a.number = l join ready as b on b.number = r"
        named = f"select a.unique_id, b.unique_id, weight from ({weighed}) as w {sides}"
        for one, other, weight in connection.execute(named).fetchall():
            pair = min(one, other), max(one, other)
            assert pair not in ours, "a pair is found once"
            ours[pair] = weight
    linker = Linker(
        DuckDBAPI(connection).register("registrations"),
        SettingsCreator.from_path_or_dict(splink.settings(model, rules)),
        log_level=None,
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
    itself = "from ready as l join ready as r on l.number = r.number"
    rows = connection.execute(
        f"""select tf_given, weight from ({sql.weighed(model, itself, (), -1000.0)}) as w join ready on number = l
        where given is not null and family is not null and birth is not null and phone is not null order by tf_given"""
    ).fetchall()
    rare, common = rows[: len(rows) // 10], rows[-len(rows) // 10 :]
    assert sum(weight for _, weight in rare) / len(rare) > sum(weight for _, weight in common) / len(common) + 1


_COMPARED = tuple(column for column in person.COLUMNS if not column.endswith("_bearers"))


def test_a_file_is_brought_to_the_columns_of_one_registration(bench, job, connection):
    query = f"select {', '.join(('unique_id', *_COMPARED))} from '{job.directory / 'columns.parquet'}'"
    derived = {row[0]: dict(zip(_COMPARED, row[1:], strict=True)) for row in connection.execute(query).fetchall()}
    sent = connection.execute(
        f"""select record_id, given, family, given_roman, family_roman, birth_date, sex, phone, place_code, citizen_id,
        coalesce(passport, other_id, '') from read_csv('{bench.registrations[0]}', all_varchar=true, header=true)"""
    ).fetchall()
    names = (
        "given",
        "family",
        "given_roman",
        "family_roman",
        "birth",
        "sex",
        "phone",
        "place",
        "citizen_id",
        "other_id",
    )
    for record_id, *values in sent:
        row = person.row_of(**{name: value or "" for name, value in zip(names, values, strict=True)})
        assert {column: row[column] for column in _COMPARED} == derived[record_id]
    assert len(derived) == len(sent) == 6_000
