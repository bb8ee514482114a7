"""The same model on Spark, in this process: collected where the extra `spark` is installed, as `make test-spark` does."""

import duckdb
import pytest

from tools.linkage.batch import job as batch_job
from tools.linkage.batch.job import Job, run

# What pyspark and the Java beside it leave open or warn of is theirs.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def on_spark(bench, job, tmp_path_factory):
    """The job of the fixture `job`, its pairs made by Spark."""
    from tools.linkage.batch import spark  # noqa: PLC0415 only where the extra is installed

    asked = Job(bench.registrations, tmp_path_factory.mktemp("spark"), model=job.directory / "model.json")
    with spark.local_session() as session:
        done = run(asked, weigh=spark.weigh(session))
    return asked, done


def weighed(directory):
    """(record, record) → weight and levels of every pair."""
    rows = (
        duckdb.connect()
        .execute(
            f"""select least(a.unique_id, b.unique_id), greatest(a.unique_id, b.unique_id), weight, pairs.given, birth
        from '{directory}/pairs-*.parquet' as pairs join '{directory}/columns.parquet' as a on a.number = pairs.l
        join '{directory}/columns.parquet' as b on b.number = pairs.r"""
        )
        .fetchall()
    )
    return {(one, other): (weight, given, birth) for one, other, weight, given, birth in rows}


def test_spark_finds_the_pairs_that_duckdb_finds_with_the_same_weights(job, on_spark):
    asked, _ = on_spark
    ours, theirs = weighed(job.directory), weighed(asked.directory)
    assert len(ours) > 3_000
    assert ours.keys() == theirs.keys()
    assert max(abs(ours[pair][0] - theirs[pair][0]) for pair in ours) <= 1e-9
    assert all(ours[pair][1:] == theirs[pair][1:] for pair in ours)


def test_spark_comes_to_the_same_persons(job, on_spark):
    asked, done = on_spark
    query = "select record_id, person_id from '{}/persons.parquet' order by 1"
    ours, theirs = (duckdb.connect().execute(query.format(one.directory)).fetchall() for one in (job, asked))
    assert ours == theirs
    assert done.links == batch_job.run(job).links > 2_000
    assert not list(asked.directory.glob("*.spark"))
