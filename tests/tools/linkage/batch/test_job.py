"""A whole batch: what comes of it, and what a kill leaves."""

import csv
import signal
import subprocess
import sys
import time
from collections import defaultdict

import duckdb
import pytest

from tools.linkage.batch.columns import FileError
from tools.linkage.batch.job import Job, OtherJobError, run
from tools.thaibench import Ids, Plan, write


def rows_of(path):
    return duckdb.connect().execute(f"select * from '{path}'").fetchall()


def truth_of(bench):
    with bench.truth.open(encoding="utf-8") as file:
        return {row["record_id"]: row for row in csv.DictReader(file)}


def score(persons, truth):
    """Precision and recall over pairs, of record → person against the truth."""

    def pairs(groups):
        return sum(count * (count - 1) // 2 for count in groups.values())

    said, real, both = defaultdict(int), defaultdict(int), defaultdict(int)
    for record, person in persons.items():
        said[person] += 1
        real[truth[record]["person_id"]] += 1
        both[person, truth[record]["person_id"]] += 1
    return pairs(both) / pairs(said), pairs(both) / pairs(real)


def test_registrations_of_one_person_are_joined_and_others_are_not(bench, job):
    persons = dict(rows_of(job.directory / "persons.parquet"))
    truth = truth_of(bench)
    assert persons.keys() == truth.keys()
    precision, recall = score(persons, truth)
    assert precision > 0.998
    assert recall > 0.95


def test_twins_are_not_joined(bench, job):
    persons, truth = dict(rows_of(job.directory / "persons.parquet")), truth_of(bench)
    joined = defaultdict(set)
    for record, person in persons.items():
        if "twin" in truth[record]["traps"].split():
            joined[person].add(truth[record]["person_id"])
    assert len(joined) > 20
    assert sum(len(told) > 1 for told in joined.values()) <= 1


def test_what_was_joined_says_why_and_what_was_not_waits_for_a_judge(job):
    links = rows_of(job.directory / "links.parquet")
    reviews = rows_of(job.directory / "reviews.parquet")
    persons = dict(rows_of(job.directory / "persons.parquet"))
    assert len(links) > 3_000
    assert len(reviews) > 20
    assert all(persons[one] == persons[other] and weight >= 9 for one, other, weight, *_ in links)
    assert {link[3] for link in links} <= {"exact", "crossed", "sound", "similar", "skeleton"}
    assert len({link[3] for link in links}) > 2
    assert all(persons[one] != persons[other] for one, other, *_ in reviews)
    weights = [weight for _, _, weight, *_ in reviews]
    assert weights == sorted(weights, reverse=True)


def test_a_job_that_was_killed_goes_on_and_comes_to_the_same(bench, job, tmp_path):
    """Killed each time as soon as one more file is whole, until it is done."""
    program = (
        "import sys; from pathlib import Path; from tools.linkage.batch.job import Job, run\n"
        "if __name__ == '__main__':\n"
        "    run(Job((Path(sys.argv[1]),), Path(sys.argv[2]), model=Path(sys.argv[3])))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    directory = tmp_path / "job"
    arguments = [str(script), str(bench.registrations[0]), str(directory), str(job.directory / "model.json")]
    kills = 0
    while kills < 3:
        wanted = {0: "columns.parquet", 1: "pairs-01.parquet", 2: "pairs-05.parquet"}[kills]
        process = subprocess.Popen([sys.executable, *arguments])
        while process.poll() is None and not (directory / wanted).exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    before = {path.name: path.stat().st_mtime_ns for path in directory.glob("*.parquet")}
    assert {"columns.parquet", "pairs-01.parquet", "pairs-05.parquet"} <= before.keys()
    assert subprocess.run([sys.executable, *arguments], check=False).returncode == 0
    for name in ("persons", "links", "reviews"):
        assert rows_of(directory / f"{name}.parquet") == rows_of(job.directory / f"{name}.parquet")
    assert all((directory / name).stat().st_mtime_ns == when for name, when in before.items()), "nothing is done twice"


def test_a_job_that_is_done_is_not_done_again(job):
    before = {path: path.stat().st_mtime_ns for path in job.directory.iterdir()}
    again = run(job)
    assert again.registrations == 6_000
    assert {path: path.stat().st_mtime_ns for path in job.directory.iterdir()} == before


def test_a_directory_of_another_job_is_refused(job, tmp_path):
    other = write(Plan(50, 1), tmp_path)
    with pytest.raises(OtherJobError):
        run(Job(other.registrations, job.directory))


def test_two_files_are_linked_across_and_never_within(job, tmp_path):
    pair = write(Plan(6_000, 22, Ids.WITH, is_pair=True), tmp_path / "bench")
    asked = Job(pair.registrations, tmp_path / "job", is_link=True, model=job.directory / "model.json")
    done = run(asked)
    assert done.links > 1_000
    sides = []
    for path in pair.registrations:
        with path.open(encoding="utf-8") as file:
            sides.append({row["record_id"] for row in csv.DictReader(file)})
    links = rows_of(asked.directory / "links.parquet")
    assert all(one in sides[0] and other in sides[1] for one, other, *_ in links)
    truth = truth_of(pair)
    right = sum(truth[one]["person_id"] == truth[other]["person_id"] for one, other, *_ in links)
    assert right / len(links) > 0.998


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0].replace("birth_date", "born"), *lines[1:]], "no column birth_date"),
        (lambda lines: [*lines, lines[1]], "a record id that another has"),
    ],
)
def test_a_file_that_cannot_be_linked_is_refused_with_the_reason(change, said, bench, tmp_path):
    lines = bench.registrations[0].read_text(encoding="utf-8").splitlines()[:20]
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
    with pytest.raises(FileError, match=said):
        run(Job((path,), tmp_path / "job"))
    assert not (tmp_path / "job" / "columns.parquet").exists()
