"""The README's example runs as it stands there."""

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.support.whole import platform
from tools.nhip.enrol import enrol
from tools.population import Population

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.xdist_group("whole")
def test_the_readme_s_example_runs_as_it_stands_there(home_path):
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL))
    with platform(home_path) as running:
        enrol(running, Population.generate(seed=1, people=1, today=date(2026, 11, 2)))
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NHIP_HOME": str(home_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ['200 W/"1" ตัวอย่าง', "99001 True"]
