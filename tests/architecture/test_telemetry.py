"""The metrics that the code declares are those of the telemetry contract."""

import ast
from pathlib import Path

from tools.observability.contract.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"Counter", "Gauge", "Histogram"}


def imported(tree: ast.AST) -> set[str]:
    """The kinds that a module takes from prometheus_client; `Counter` is also a name of collections."""
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
        for alias in node.names
    } & KINDS


def constants(tree: ast.Module) -> dict[str, object]:
    """Lists of labels may stand under a name."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def declared() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    found = {}
    for folder in ("libs", "services", "tools/probe", "tools/backup"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "contracts" in path.parts:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            kinds, names = imported(tree), constants(tree)
            for call in ast.walk(tree):
                if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") in kinds):
                    continue
                name, meaning, *rest = call.args
                labels = names[rest[0].id] if rest and isinstance(rest[0], ast.Name) else None
                if labels is None:
                    labels = ast.literal_eval(rest[0]) if rest else ()
                assert name.value not in found, f"{name.value} is declared twice"
                found[name.value] = (call.func.id.lower(), meaning.value, tuple(labels))
    return found


def test_every_metric_of_the_code_stands_in_the_contract_and_the_other_way_round():
    contract = {one.name: (one.kind.value, one.meaning, tuple(label.name for label in one.labels)) for one in METRICS}
    # A metric is declared in tools/observability/contract/metrics.py with its labels' bounds, then `make check` says what to run.
    assert declared() == contract
