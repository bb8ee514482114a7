"""Writes rules, dashboards and docs/operations/telemetry.md: `python -m tools.observability [--check]`.

With --check nothing is written; the exit code is 1 when what is committed differs.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from tools.observability.dashboards import DASHBOARDS as SHEETS
from tools.observability.dashboards.sheet import text
from tools.observability.documents import telemetry
from tools.observability.rules import alerts, recording
from tools.observability.rules.pace import Pace

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "k8s" / "charts" / "nhip"
RULES, DASHBOARDS = CHART / "rules", CHART / "dashboards"
_NOTE = "# Written by `python -m tools.observability`; change it in tools/observability/.\n"


def rule_files(pace: Pace) -> dict[str, str]:
    """File name → text, as Prometheus reads it."""
    files = {"objectives": recording.groups(pace), **alerts.groups(pace)}
    return {
        f"{name}.yaml": _NOTE + yaml.safe_dump({"groups": groups}, sort_keys=False, width=110, allow_unicode=True)
        for name, groups in files.items()
    }


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file that is made here, with its text."""
    for name, rules in rule_files(Pace()).items():
        yield RULES / name, rules
    for sheet in SHEETS:
        yield DASHBOARDS / f"{sheet.uid.removeprefix('nhip-')}.json", text(sheet)
    yield ROOT / "docs" / "operations" / "telemetry.md", telemetry()


def stale(written: dict[Path, str]) -> list[Path]:
    """Files that differ from what they should be, or should not be."""
    extra = [path for folder in (RULES, DASHBOARDS) for path in folder.glob("*") if path not in written]
    return [path for path, new in written.items() if not path.exists() or path.read_text("utf-8") != new] + extra


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is not current")
    is_check = parser.parse_args().check
    written = dict(outputs())
    old = stale(written)
    if is_check:
        for path in old:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not current: run python -m tools.observability\n")
        return 1 if old else 0
    for path in old:
        path.unlink(missing_ok=True)
    for path, new in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
