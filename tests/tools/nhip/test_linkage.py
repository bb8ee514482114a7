"""`nhip linkage`."""

from click.testing import CliRunner

from tools.nhip.main import main
from tools.thaibench import Ids, Plan, write


def test_the_command_writes_the_benchmark_that_was_asked_for(tmp_path):
    options = ["--size", "300", "--seed", "4", "--ids", "wrong", "--level", "hard", "--pair", "--out", str(tmp_path)]
    answer = CliRunner().invoke(main, ["linkage", "thaibench", *options])
    assert answer.exit_code == 0, answer.output
    assert "300 registrations of" in answer.output
    lines = [len((tmp_path / name).read_text().splitlines()) for name in ("a.csv", "b.csv", "truth.csv")]
    assert lines[0] + lines[1] == lines[2] + 1 == 302
    assert '"ids": "wrong"' in (tmp_path / "made.json").read_text()


def test_the_command_deduplicates_a_file_and_says_what_came_of_it(tmp_path):
    write(Plan(3_000, 23, Ids.WITH), tmp_path)
    options = [str(tmp_path / "registrations.csv"), "--out", str(tmp_path / "job")]
    answer = CliRunner().invoke(main, ["linkage", "batch", *options])
    assert answer.exit_code == 0, answer.output
    assert "3,000 registrations are 1," in answer.output
    assert "persons 3/4" in answer.output
    other = CliRunner().invoke(main, ["linkage", "batch", options[0], options[0], "--out", str(tmp_path / "job")])
    assert other.exit_code == 1
    assert "holds another job" in other.output
