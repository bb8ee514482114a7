"""The tree is what docs/architecture.md §2 and §3 say."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(
    path.name for path in (ROOT / "services").iterdir() if path.is_dir() and (path / "__main__.py").exists()
)
WITH_DATABASE = [service for service in SERVICES if service != "edge"]
# Deepest first: a module imports from its own room and from those before it.
ROOMS = ("model", "tables", "rules", "wire", "store", "followers", "api", "__main__")
MAY_IMPORT = {
    "model": set(),
    "tables": {"model"},
    "rules": {"model"},
    "wire": {"model", "rules"},
    "store": {"model", "tables", "rules"},
    "followers": {"model", "tables", "rules", "wire", "store"},
    "api": {"model", "rules", "wire", "store"},
}
IO = {"asyncpg", "grpc", "sqlalchemy", "httpx", "socket", "asyncio", "os", "time", "random", "pathlib"}
MAX_LINES = 450


def modules(service: str):
    for path in sorted((ROOT / "services" / service).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def room_of(service: str, path: Path) -> str:
    return path.relative_to(ROOT / "services" / service).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_there_are_eight_services():
    assert SERVICES == [
        "audit", "claims", "edge", "exchange", "identity", "patient_index", "records", "surveillance",
    ]  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_opens_with_its_charter(service):
    charter = ast.get_docstring(ast.parse((ROOT / "services" / service / "__init__.py").read_text(encoding="utf-8")))
    assert charter is not None
    assert "never" in charter.lower()


@pytest.mark.parametrize("service", WITH_DATABASE)
def test_within_a_service_imports_go_one_way(service):
    for path, tree in modules(service):
        room = room_of(service, path)
        if room not in MAY_IMPORT:
            continue
        prefix = f"services.{service}."
        used = {name.removeprefix(prefix).split(".")[0] for name in imports(tree) if name.startswith(prefix)}
        stray = {name for name in used & set(ROOMS) if name != room} - MAY_IMPORT[room]
        assert not stray, f"{path.relative_to(ROOT)} imports {sorted(stray)}"


@pytest.mark.parametrize("service", WITH_DATABASE)
def test_rules_and_model_know_no_input_or_output(service):
    for path, tree in modules(service):
        if room_of(service, path) in {"rules", "model"}:
            used = {name.split(".")[0] for name in imports(tree)}
            assert not used & IO, f"{path.relative_to(ROOT)} imports {sorted(used & IO)}"


def test_import_contracts_are_kept():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_no_module_outgrows_its_room():
    long = {}
    for folder in ("libs", "services", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            count = len(path.read_text(encoding="utf-8").splitlines())
            if "contracts" not in path.parts and count > MAX_LINES:
                long[str(path.relative_to(ROOT))] = count
    assert not long


def test_what_is_generated_is_what_the_protos_say():
    command = [sys.executable, "-m", "tools.protos.generate", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
