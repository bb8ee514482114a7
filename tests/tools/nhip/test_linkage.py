"""`nhip linkage`."""

from click.testing import CliRunner

from tools.nhip.main import main


def test_the_command_writes_the_benchmark_that_was_asked_for(tmp_path):
    options = ["--size", "300", "--seed", "4", "--ids", "wrong", "--level", "hard", "--pair", "--out", str(tmp_path)]
    answer = CliRunner().invoke(main, ["linkage", "thaibench", *options])
    assert answer.exit_code == 0, answer.output
    assert "300 registrations of" in answer.output
    lines = [len((tmp_path / name).read_text().splitlines()) for name in ("a.csv", "b.csv", "truth.csv")]
    assert lines[0] + lines[1] == lines[2] + 1 == 302
    assert '"ids": "wrong"' in (tmp_path / "made.json").read_text()
