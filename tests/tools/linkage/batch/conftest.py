"""Benchmarks and jobs that the tests of batches share."""

from importlib.util import find_spec

import pytest

from tools.linkage.batch.job import Job, run
from tools.thaibench import Ids, Level, Plan, write

# Spark and its Java are an extra of half a gigabyte; `make test-spark` installs it and runs what needs it.
collect_ignore = [] if find_spec("pyspark") else ["test_spark.py"]


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """A small benchmark with ids, some of them wrong."""
    return write(Plan(6_000, 21, Ids.WRONG, Level.STANDARD), tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def job(bench, tmp_path_factory):
    """A deduplication of it, done."""
    asked = Job(bench.registrations, tmp_path_factory.mktemp("job"))
    run(asked)
    return asked
