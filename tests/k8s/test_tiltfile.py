"""The Tiltfile, evaluated with Tilt's builtins as recording fakes: one loop over the services, live update, buttons."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import starlark
import yaml

from tests.k8s import chart
from tools.deployed.__main__ import main as deployed
from tools.probe.__main__ import main as probe

ROOT = chart.ROOT


class Tilt:
    """What the Tiltfile asked for: (name, positional, by name) of each call."""

    def __init__(self):
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def of(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(positional, named) for called, positional, named in self.calls if called == name]

    def record(self, name: str):
        def call(*positional, **named):
            self.calls.append((name, positional, named))
            return {"call": name, "of": list(positional), **named}

        return call


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    seen = Tilt()
    recorded = ("k8s_yaml", "k8s_resource", "helm", "local", "local_resource", "port_forward", "sync", "fall_back_on")
    builtins = {
        **{name: seen.record(name) for name in recorded},
        "read_yaml": lambda path: yaml.safe_load(text(path)),
        "read_file": text,
        "decode_yaml_stream": lambda stream: list(yaml.safe_load_all(stream)),
        "encode_yaml_stream": yaml.safe_dump_all,
    }
    extensions = {
        "ext://restart_process": ({"docker_build_with_restart": seen.record("docker_build_with_restart")}, ""),
        "ext://uibutton": ({"cmd_button": seen.record("cmd_button")}, "location = struct(NAV = 'nav')"),
    }

    def load(name: str) -> starlark.FrozenModule:
        callables, source = extensions[name]
        module = starlark.Module()
        for key, function in callables.items():
            module.add_callable(key, function)
        library = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        # What is added from outside is exported by being given its own name.
        source += "".join(f"\n{key}_ = {key}" for key in callables)
        starlark.eval(module, starlark.parse(name, source), library)
        return module.freeze()

    module = starlark.Module()
    for name, function in builtins.items():
        module.add_callable(name, function)
    # Tilt allows loops at the top.
    dialect = starlark.Dialect.extended()
    dialect.enable_top_level_stmt = True
    starlark.eval(
        module,
        starlark.parse("Tiltfile", text("Tiltfile"), dialect),
        starlark.Globals.standard(),
        starlark.FileLoader(load),
    )
    return seen


def test_one_image_is_built_and_kept_up_to_date_in_place(tilt):
    ((positional, build),) = tilt.of("docker_build_with_restart")
    assert positional == ("nhip", ".")
    assert build["entrypoint"] == json.loads(text("Dockerfile").partition("ENTRYPOINT ")[2].splitlines()[0])
    assert f"AS {build['target']}\n" in text(build["dockerfile"])
    steps = [(step["call"], step["of"]) for step in build["live_update"]]
    # Tilt wants what builds anew to stand first.
    assert steps[0] == ("fall_back_on", [["pyproject.toml", "uv.lock"]])
    for _, (source, place) in steps[1:]:
        assert (ROOT / source).is_dir()
        assert place == f"/opt/nhip/{source}"
    assert all((ROOT / path).exists() for path in build["only"])
    assert not build["restart_file"].startswith("/tmp/")  # noqa: S108 a volume lies over it


def test_every_service_is_a_resource_and_the_edge_is_forwarded(tilt):
    named = {positional[0]: settings for positional, settings in tilt.of("k8s_resource")}
    assert set(named) == {f"nhip-{name}" for name in chart.PLATFORM["services"]} | {"postgres"}
    for name in chart.PLATFORM["services"]:
        settings = named[f"nhip-{name}"]
        assert settings["resource_deps"] == ["migrate"]
        assert [one["of"] for one in settings["port_forwards"]] == ([[8080, 8080]] if name == "edge" else [])
    assert len(named) == len(tilt.of("k8s_resource"))


def test_the_chart_takes_the_values_that_tilt_gives(tilt):
    ((positional, settings),) = tilt.of("helm")
    assert ROOT / positional[0] == chart.CHART
    values: dict[str, Any] = {}
    for path in settings["values"]:
        values = chart.laid(values, yaml.safe_load(text(path)))
    for pair in settings["set"]:
        path, _, value = pair.partition("=")
        value = yaml.safe_load(value)
        for key in reversed(path.split(".")):
            value = {key: value}
        values = chart.laid(values, value)
    images = {pod["containers"][0]["image"] for pod in chart.pods(values).values()}
    assert images == {"nhip:development"}
    assert {one["kind"] for one in chart.objects(values)} & {"Job", "Pod"} == set()
    context = chart.pods(values)["records"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is False
    assert settings["name"] == "nhip"


def test_migrations_run_for_every_database_over_the_forwarded_port(tilt):
    ((_, settings),) = [one for one in tilt.of("local_resource") if one[0] == ("migrate",)]
    names = {name.replace("-", "_") for name, facts in chart.PLATFORM["services"].items() if facts["database"]}
    assert {word for word in settings["cmd"].split() if word.startswith("services.")} == {
        f"services.{name}" for name in names
    }
    ((_, postgres),) = [one for one in tilt.of("k8s_resource") if one[0] == ("postgres",)]
    forwarded = [one["of"] for one in postgres["port_forwards"]]
    assert forwarded == [[15432, 5432]]
    assert settings["cmd"].count("@127.0.0.1:15432/") == len(names)
    assert all((ROOT / folder).is_dir() for folder in settings["deps"])


def test_there_are_buttons_to_migrate_fill_walk_and_test(tilt):
    buttons = {positional[0]: settings for positional, settings in tilt.of("cmd_button")}
    assert set(buttons) == {"migrate", "sample", "journey", "test"}
    assert {one["location"] for one in buttons.values()} == {"nav"}
    for name, main in (("sample", deployed), ("journey", deployed), ("test", probe)):
        python, dash_m, module, *arguments = buttons[name]["argv"]
        assert (python, dash_m) == (".venv/bin/python", "-m")
        assert module == main.__module__.removesuffix(".__main__")
        # The program takes these words; asked for its help with them it says so, and does nothing.
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0


def test_postgresql_of_development_is_applied_in_the_platform_s_namespace(tilt):
    applied = [positional[0] for positional, _ in tilt.of("k8s_yaml") if isinstance(positional[0], str)]
    objects = [one for stream in applied for one in yaml.safe_load_all(stream)]
    assert {one["kind"] for one in objects} == {"ConfigMap", "Service", "Deployment"}
    assert {one["metadata"]["namespace"] for one in objects} == {"nhip"}


KUBECTL = """#!/bin/sh
# Writes down its words and what was piped in; for `create` it answers what it was given.
echo "$@" >> "$RECORD/words"
case "$*" in
  *' apply '*) cat >> "$RECORD/applied" ;;
  *) echo "kind: Secret" ;;
esac
"""


def create_secrets(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the script with a kubectl that only writes down."""
    record = folder / "record"
    record.mkdir(exist_ok=True)
    (record / "kubectl").write_text(KUBECTL, encoding="utf-8")
    (record / "kubectl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{record}:{os.environ['PATH']}", "RECORD": str(record)}
    environment |= {"PYTHON": os.environ.get("PYTHON", os.sys.executable)}
    command = [str(ROOT / "k8s/create-secrets.sh"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_script_that_tilt_and_operators_run_makes_what_the_chart_asks_for(tilt, tmp_path):
    assert any("k8s/create-secrets.sh nhip .nhip/tilt" in positional[0] for positional, _ in tilt.of("local"))
    home = tmp_path / "home"
    url = "postgresql://nhip:s3cret@db:5432/nhip_{service}"
    made = create_secrets(tmp_path, "health", str(home), url)
    assert made.returncode == 0, made.stderr
    words = (tmp_path / "record/words").read_text(encoding="utf-8")
    keys = {key for facts in chart.PLATFORM["services"].values() for key in facts["secrets"]}
    for key in keys:
        assert f"--from-file={key}={home}/secrets/{key}" in words
        assert stat.S_IMODE((home / "secrets" / key).stat().st_mode) == 0o600
    assert "create secret generic nhip-secrets" in words
    assert "create secret generic nhip-databases" in words
    assert words.count("--namespace health") == 4
    # No secret stands among the words, where other accounts of the machine see it.
    assert "s3cret" not in words
    urls = dict(line.split("=", 1) for line in (home / "databases.env").read_text(encoding="utf-8").splitlines())
    assert urls == {
        name.replace("-", "_"): f"postgresql://nhip:s3cret@db:5432/nhip_{name.replace('-', '_')}"
        for name, facts in chart.PLATFORM["services"].items()
        if facts["database"]
    }
    assert stat.S_IMODE((home / "databases.env").stat().st_mode) == 0o600


def test_the_script_keeps_keys_that_exist_and_refuses_a_url_without_the_service(tmp_path):
    home = tmp_path / "home"
    assert create_secrets(tmp_path, "health", str(home)).returncode == 0
    key = (home / "secrets/platform_key").read_bytes()
    refused = create_secrets(tmp_path, "health", str(home), "postgresql://db/one-for-all")
    assert refused.returncode == 2
    assert "{service}" in refused.stderr
    assert (home / "secrets/platform_key").read_bytes() == key
    assert create_secrets(tmp_path).returncode == 2
