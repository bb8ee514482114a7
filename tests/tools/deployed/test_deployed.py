"""A platform that another process supervises, known by its address and its secrets alone: the probe and the journey."""

import json

from tests.support import whole
from tools.deployed.__main__ import main
from tools.probe.__main__ import main as probe

PROBE_STEPS = 7


def test_an_edge_that_is_not_there_is_said(tmp_path, capsys):
    words = ["--edge", "http://127.0.0.1:9", "--home", str(tmp_path / "home"), "--people", "30", "--patience", "0"]
    assert main(["sample", *words]) == 1
    assert "no answer from http://127.0.0.1:9" in capsys.readouterr().err


def test_a_real_platform_passes_the_probe_twice_and_the_journey_is_walked_on_it(tmp_path, capsys):
    tmp_path.chmod(0o755)
    known = tmp_path / "known"
    (known / "secrets").mkdir(parents=True)
    with whole.platform(tmp_path / "home") as platform:
        for secret in platform.secrets.iterdir():
            (known / "secrets" / secret.name).write_bytes(secret.read_bytes())
        probed = []
        for _ in range(2):
            code = probe(["--edge", platform.edge_url, "--client", str(known / "secrets/bootstrap_client")])
            printed = capsys.readouterr()
            assert code == 0, printed.err
            probed.append(printed.out.splitlines())
        assert main(["journey", "--edge", platform.edge_url, "--home", str(known), "--people", "200"]) == 0
    first, second = probed
    assert len(first) == len(second) == PROBE_STEPS
    assert "REGISTRATION_OUTCOME_CREATED" in first[3]
    assert "REGISTRATION_OUTCOME_UNCHANGED" in second[3]
    # The same registration and person.
    assert [line.rpartition(": ")[2] for line in first[4:6]] == [line.rpartition(": ")[2] for line in second[4:6]]
    steps = json.loads((known / "run/journey.json").read_text(encoding="utf-8"))["steps"]
    assert {step["outcome"] for step in steps} == {"ok"}
