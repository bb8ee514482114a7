"""A batch as stages that leave what they made: killed at any moment, it goes on with the first that is missing.

    columns.parquet   what is compared of each registration
    model.json        the model, given or trained without labels
    pairs-NN.parquet  the weighed pairs that blocking rule NN finds and no rule before
    links.parquet     the pairs that were joined, with weight, levels and grade
    reviews.parquet   the pairs that somebody should judge, the heaviest first
    persons.parquet   record_id and the person it belongs to (the lowest record id of the group)

A file appears under its name when it is whole.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from libs.linkage import sql
from libs.linkage.model import Model, write_model
from libs.linkage.model import read_model as model_of
from tools.linkage.batch import columns, deciding, model

Progress = Callable[[str, int, int], None]
"""Told which stage, how many of its steps are done, and of how many."""

_PLAN: Final = "job.json"
_STAGES: Final = 4


class OtherJobError(Exception):
    """The directory holds another job: other files, or files that have changed since."""


@dataclass(frozen=True, slots=True)
class Job:
    """Files to be deduplicated, or two to be linked, and where the stages leave what they make."""

    files: tuple[Path, ...]
    directory: Path
    is_link: bool = False
    # A model trained before; trained on these files if None.
    model: Path | None = None
    threads: int = 2
    # DuckDB's, such as 4GB; empty for its own choice.
    memory: str = ""


Weigh = Callable[[duckdb.DuckDBPyConnection, Job, Progress], None]
"""Writes a file of pairs for each blocking rule that has none."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job, and how long each stage took; 0 for one that was there already."""

    registrations: int
    persons: int
    links: int
    reviews: int
    seconds: dict[str, float]


def run(job: Job, progress: Progress = lambda *_: None, weigh: Weigh | None = None) -> Done:
    """Does what is not done yet. `weigh` makes and weighs the pairs elsewhere, as `spark.weigh` does.

    Raises OtherJobError, and columns.FileError for a file that cannot be read.
    """
    job.directory.mkdir(parents=True, exist_ok=True)
    _claim(job)
    connection = duckdb.connect()
    connection.execute(f"set threads = {job.threads}")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set temp_directory = '{job.directory / 'spill'}'")
    if job.memory:
        connection.execute(f"set memory_limit = '{job.memory}'")
    seconds: dict[str, float] = {}
    stages = (("columns", _columns), ("model", _model), ("pairs", weigh or _pairs), ("persons", _persons))
    with connection:
        for place, (name, stage) in enumerate(stages):
            progress(name, place, _STAGES)
            began = time.perf_counter()
            stage(connection, job, progress)
            seconds[name] = time.perf_counter() - began
        progress("done", _STAGES, _STAGES)
        return _tell(connection, job, seconds)


def _claim(job: Job) -> None:
    told = {
        "files": [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in job.files],
        "is_link": job.is_link,
        "model": hashlib.sha256(job.model.read_bytes()).hexdigest() if job.model else None,
    }
    plan = job.directory / _PLAN
    if plan.exists():
        if json.loads(plan.read_text(encoding="utf-8")) != told:
            raise OtherJobError(f"{job.directory} holds another job; give this one a directory of its own")
        return
    _write(plan, json.dumps(told, indent=1))


def _columns(connection: duckdb.DuckDBPyConnection, job: Job, _: Progress) -> None:
    out = job.directory / "columns.parquet"
    if not out.exists():
        columns.derive(connection, job.files, out, job.threads)


def _model(connection: duckdb.DuckDBPyConnection, job: Job, _: Progress) -> None:
    out = job.directory / "model.json"
    if out.exists():
        return
    if job.model:
        _write(out, job.model.read_text(encoding="utf-8"))
        return
    _write(out, write_model(model.train(connection, job.directory / "columns.parquet")))


def read_model(job: Job) -> Model:
    """The model of the job. Raises libs.linkage.model.ModelError."""
    return model_of((job.directory / "model.json").read_text(encoding="utf-8"))


def prepare(connection: duckdb.DuckDBPyConnection, job: Job, told: Model) -> None:
    """Makes the table `ready`: the columns, a number for each registration, the frequencies of its values."""
    connection.execute(f"create or replace table registrations as select * from '{job.directory / 'columns.parquet'}'")
    prepare_table(connection, told)


def prepare_table(connection: duckdb.DuckDBPyConnection, told: Model) -> None:
    """Makes the table `ready` of the table `registrations`: its columns, and the frequencies of their values."""
    joined = ""
    shares = ""
    for column, query in sql.frequencies(told).items():
        connection.execute(f"create or replace table tf_{column} as {query}")
        joined += f" left join tf_{column} on tf_{column}.value = registrations.{column}"
        shares += f", tf_{column}.share as tf_{column}"
    connection.execute(f"create or replace table ready as select registrations.*{shares} from registrations{joined}")


def _pairs(connection: duckdb.DuckDBPyConnection, job: Job, progress: Progress) -> None:
    told = read_model(job)
    left = [one for one in weighings(job, told) if not one[0].exists()]
    if not left:
        return
    prepare(connection, job, told)
    for place, (out, select) in enumerate(left):
        progress("pairs", place, len(left))
        part = out.with_suffix(".part")
        connection.execute(f"copy ({select}) to '{part}' (format parquet)")
        part.replace(out)


def weighings(job: Job, told: Model) -> list[tuple[Path, str]]:
    """For each blocking rule where its pairs go, and the query on `ready` that makes and weighs them."""
    return [
        (
            job.directory / f"pairs-{place:02d}.parquet",
            sql.weighed(told, query, _levels(told), deciding.POSSIBLE),
        )
        for place, query in enumerate(pairs(model.blocking(told), is_link=job.is_link))
    ]


def _levels(told: Model) -> list[str]:
    held = {comparison.field for comparison in told.comparisons}
    return [name for name in deciding.LEVELS if name in held]


def pairs(rules: Sequence[str], *, is_link: bool = False) -> list[str]:
    """A FROM clause for each blocking rule: `l` and `r`, rows of `ready`, of pairs that no rule before finds."""
    order = "l.source_dataset < r.source_dataset" if is_link else "l.number < r.number"
    found = []
    for place, rule in enumerate(rules):
        missed = "".join(f" and not coalesce(({earlier}), false)" for earlier in rules[:place])
        found.append(f"from ready as l join ready as r on ({rule}) and {order}{missed}")
    return found


def _persons(connection: duckdb.DuckDBPyConnection, job: Job, _: Progress) -> None:
    out = job.directory / "persons.parquet"
    if out.exists():
        return
    told = read_model(job)
    connection.execute(f"create or replace table registrations as select * from '{job.directory / 'columns.parquet'}'")
    labels = {name: sql.labels(told, name) for name in _levels(told)}
    joins = deciding.may_join(labels)
    connection.execute(
        f"create or replace table pairs as select *, weight >= {deciding.CERTAIN} and {joins} as is_certain "
        f"from '{job.directory / 'pairs-*.parquet'}'"
    )
    size = _number(connection, "select count(*) from registrations")
    persons = deciding.join(
        size,
        _couples(connection, "select l, r from pairs where is_certain order by weight desc, l, r"),
        _couples(
            connection, f"select l, r from pairs where weight >= {deciding.PROBABLE} and {deciding.are_twins(labels)}"
        ),
    )
    group = pa.table({"number": pa.array(range(size), pa.int64()), "person": pa.array(persons.group, pa.int64())})
    connection.register("told_groups", group)
    connection.execute("create or replace table groups as select * from told_groups")
    connection.unregister("told_groups")
    _save(connection, job, "links", "is_certain and a.person = b.person", "r.unique_id, l.unique_id")
    _save(
        connection, job, "reviews", f"weight >= {deciding.PROBABLE} and a.person <> b.person",
        "weight desc, l.unique_id, r.unique_id",
    )  # fmt: skip
    part = out.with_suffix(".part")
    connection.execute(
        f"""copy (select unique_id as record_id, min(unique_id) over (partition by person) as person_id
        from registrations join groups using (number) order by number) to '{part}' (format parquet)"""
    )
    part.replace(out)


def _save(connection: duckdb.DuckDBPyConnection, job: Job, name: str, condition: str, order: str) -> None:
    told = read_model(job)
    named = "".join(f", {sql.labels(told, column)}[pairs.{column} + 1] as {column}_level" for column in _levels(told))
    part, out = job.directory / f"{name}.part", job.directory / f"{name}.parquet"
    connection.execute(
        f"""copy (select l.unique_id as record_id, r.unique_id as other_id, weight{named}
        from pairs join registrations as l on l.number = pairs.l join registrations as r on r.number = pairs.r
        join groups as a on a.number = pairs.l join groups as b on b.number = pairs.r
        where {condition} order by {order}) to '{part}' (format parquet)"""
    )
    part.replace(out)


def _couples(connection: duckdb.DuckDBPyConnection, query: str) -> Sequence[tuple[int, int]]:
    found = connection.sql(query).to_arrow_table()
    return list(zip(found["l"].to_pylist(), found["r"].to_pylist(), strict=True))


def _tell(connection: duckdb.DuckDBPyConnection, job: Job, seconds: dict[str, float]) -> Done:
    def count(what: str, name: str) -> int:
        return _number(connection, f"select count({what}) from '{job.directory / name}.parquet'")

    return Done(
        count("*", "persons"),
        count("distinct person_id", "persons"),
        count("*", "links"),
        count("*", "reviews"),
        seconds,
    )


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    # To the end: a result that is not read out keeps its connection.
    return int(connection.execute(query).fetchall()[0][0])


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
