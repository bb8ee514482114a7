"""compose.yaml: the same services with the same settings, each after what it stands on."""

import re

import pytest
import yaml

from libs.runtime.settings import Settings
from tests.k8s import chart
from tests.k8s.test_pods import READ, longest_deadline, read_secrets
from tools.nhip.services import SERVICES as SUPERVISED

COMPOSE = yaml.safe_load((chart.ROOT / "compose.yaml").read_text(encoding="utf-8"))
PROGRAMS = COMPOSE["services"]
SERVICES = {one.name.replace("_", "-"): one for one in SUPERVISED}
WITH_DATABASE = {name for name, one in SERVICES.items() if one.has_database}


def filled(text: str) -> str:
    """What compose makes of ${NAME:-default}, ${NAME:?…} and ${NAME}."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{\w+(:\?[^}]*)?\}", "password", text)


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_all_services_are_there_each_with_its_migration():
    others = {"postgres", "secrets", "probe"}
    assert set(PROGRAMS) == set(SERVICES) | {f"migrate-{name}" for name in WITH_DATABASE} | others
    for name, service in SERVICES.items():
        assert PROGRAMS[name]["command"] == [service.module, "serve"]
    for name in WITH_DATABASE:
        assert PROGRAMS[f"migrate-{name}"]["command"] == [SERVICES[name].module, "migrate"]


@pytest.mark.parametrize("name", [*SERVICES])
def test_the_environment_is_what_the_settings_read(name):
    written = {key: filled(value) for key, value in PROGRAMS[name]["environment"].items()}
    assert set(written) <= READ | {"NHIP_SERVICE"}
    settings = Settings.read(SERVICES[name].name, written)
    assert written["NHIP_SERVICE"] == SERVICES[name].name
    assert set(settings.peers) == {one.name for one in SUPERVISED} - {"edge"}
    for peer, address in settings.peers.items():
        assert address == f"dns:///{peer.replace('_', '-')}:{settings.listen.rpartition(':')[2]}"
    assert settings.database_url.endswith(f"/nhip_{SERVICES[name].name}") is SERVICES[name].has_database
    assert not settings.allow_development_login


def test_every_setting_can_be_made():
    made = {key for name in SERVICES for key in PROGRAMS[name]["environment"]}
    # Faults on purpose are set by hand, where somebody wants to see them; certificates too: the network here is one machine's.
    # And here all services are present.
    by_hand = {"NHIP_FAULTS", "NHIP_TLS", "NHIP_HEALTH_LISTEN", "NHIP_ABSENT"}
    assert made >= {name for name in READ if name.startswith("NHIP_")} - by_hand


@pytest.mark.parametrize("name", sorted(WITH_DATABASE))
def test_a_migration_and_its_service_mean_the_same_database(name):
    before, service = PROGRAMS[f"migrate-{name}"], PROGRAMS[name]
    assert before["environment"]["NHIP_DATABASE_URL"] == service["environment"]["NHIP_DATABASE_URL"]
    assert Settings.read(SERVICES[name].name, {key: filled(value) for key, value in before["environment"].items()})
    assert before["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert service["depends_on"] == {
        "secrets": {"condition": "service_completed_successfully"},
        f"migrate-{name}": {"condition": "service_completed_successfully"},
    }


def test_postgresql_is_given_a_database_for_each():
    script = COMPOSE["configs"]["databases"]["content"]
    made = {line.split()[2].rstrip(";") for line in script.splitlines()}
    assert made == {f"nhip_{SERVICES[name].name}" for name in WITH_DATABASE}
    # Healthy once the last of them is there: the first start answers before the script has run.
    assert script.splitlines()[-1].split()[2].rstrip(";") in PROGRAMS["postgres"]["healthcheck"]["test"][1]
    # The embedded PostgreSQL, that tests use, is of the same version.
    assert filled(PROGRAMS["postgres"]["image"]).endswith("postgres:18")


def test_only_who_reads_secrets_is_given_them():
    for name, service in SERVICES.items():
        reads = read_secrets(service.name) | ({"platform_key"} if service.has_database else set())
        assert (PROGRAMS[name]["volumes"] == ["secrets:/var/lib/nhip:ro"]) is bool(reads)
    assert PROGRAMS["edge"]["volumes"] == []


def test_programs_are_as_restricted_as_pods():
    for name, program in PROGRAMS.items():
        if name == "postgres":
            continue
        assert program["read_only"] is True
        assert program["cap_drop"] == ["ALL"]
        assert program["security_opt"] == ["no-new-privileges:true"]
        assert ("user" in program) is (name == "secrets")


def test_only_the_edge_is_reached_from_outside_and_only_from_this_machine():
    assert {name for name, program in PROGRAMS.items() if program.get("ports")} == {"edge"}
    assert PROGRAMS["edge"]["ports"] == ["127.0.0.1:${NHIP_EDGE_PORT:-8080}:8080"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, program in PROGRAMS.items() if "outside" in program.get("networks", ())}
    assert outside == {"edge"}


def test_a_program_is_given_time_to_finish():
    for name, service in SERVICES.items():
        shutdown = int(PROGRAMS[name]["environment"]["NHIP_SHUTDOWN_SECONDS"])
        assert seconds(PROGRAMS[name]["stop_grace_period"]) > shutdown
        assert shutdown > (600 if name == "edge" else longest_deadline(service.name))


def test_what_asks_for_health_asks_at_the_port_that_is_served():
    for name in SERVICES:
        asks = PROGRAMS[name]["healthcheck"]["test"]
        variables = PROGRAMS[name]["environment"]
        door = variables["NHIP_EDGE_LISTEN" if name == "edge" else "NHIP_LISTEN"]
        assert f"127.0.0.1:{door.rpartition(':')[2]}" in asks[-1]
        compile(asks[-1], name, "exec")


def test_no_password_is_written_down():
    text = (chart.ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"postgresql://nhip:([^@]+)@", text)) == {"${NHIP_POSTGRES_PASSWORD}"}
    assert PROGRAMS["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${NHIP_POSTGRES_PASSWORD:?")
