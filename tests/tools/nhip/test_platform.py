"""The supervisor, over services of the least kind; the real ones are walked by the journeys."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tools.nhip.home import Home
from tools.nhip.platform import AlreadyRunningError, Platform, PlatformError
from tools.nhip.services import Door, Service
from tools.nhip.state import StateFile

FAKE = "tests.tools.nhip.fake_service"
SERVICES = (
    Service("records", FAKE, has_database=False),
    Service("edge", FAKE, Door.HTTP, has_database=False, stops=0),
)
BROKEN = (Service("broken", FAKE, has_database=False),)
# Starts the platform of the home it is given, says so, and then only lives.
SUPERVISOR = """
import sys, time
from pathlib import Path
from tests.tools.nhip.test_platform import SERVICES
from tools.nhip.platform import Platform
platform = Platform(Path(sys.argv[1]), services=SERVICES, durable=False)
platform.start()
print("started", flush=True)
time.sleep(600)
"""


# None of the fake services has a database, so that a server elsewhere is never asked; it spares PostgreSQL's start.
ELSEWHERE = "postgresql://nhip@127.0.0.1:9/nhip_{service}"


def a_platform(home: Path, edge_port: int | None = None, services: Sequence[Service] = SERVICES) -> Platform:
    """A platform of fake services, without a PostgreSQL of its own."""
    return Platform(home, edge_port, services=services, database_url_template=ELSEWHERE)


@pytest.fixture
def platform(home_path: Path) -> Iterator[Platform]:
    """A running platform of fake services."""
    with a_platform(home_path) as running:
        yield running


def processes(home: Path) -> list[psutil.Process]:
    """The processes of a platform: its own PostgreSQL first, where it has one, then the services."""
    state = StateFile(Home(home)).read()
    lock = home / "postgres" / "data" / "postmaster.pid"
    server = [int(lock.read_text().splitlines()[0])] if lock.exists() else []
    pids = [*server, *(service.pid for service in state.services.values())]
    return [psutil.Process(pid) for pid in pids]


def alive(found: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still do something."""
    return [each for each in found if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_started_platform_has_a_healthy_process_for_each_service(platform: Platform) -> None:
    assert platform.state.is_ready
    assert [service.state for service in platform.state.services.values()] == ["running", "running"]
    assert all(service.process() for service in platform.state.services.values())


def test_a_stopped_platform_leaves_no_process_and_shuts_the_database_down_in_order(home_path: Path) -> None:
    with Platform(home_path, services=SERVICES, durable=False):
        before = processes(home_path)
    assert not alive(before)
    assert "ended in order" in Home(home_path).log("records").read_text()
    assert "database system is shut down" in Home(home_path).log("postgres").read_text()


def test_a_killed_service_is_started_again_and_counted(platform: Platform) -> None:
    killed = platform.kill("records")
    platform.wait_healthy("records", but_not_pid=killed)
    service = platform.state.services["records"]
    assert service.pid not in (0, killed)
    assert service.restarts == 1


def test_a_restarted_service_drains_first(platform: Platform) -> None:
    before = platform.state.services["records"].pid
    platform.restart("records")
    assert platform.state.services["records"].pid != before
    assert "ended in order" in platform.home.log("records").read_text()


def test_a_stalled_service_does_not_hold_up_the_end_for_ever(home_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.nhip.platform._DRAIN_SECONDS", 0.2)
    with a_platform(home_path) as platform:
        platform.kill("records", signal.SIGSTOP)
        before = processes(home_path)
    assert not alive(before)


def test_a_killed_database_is_started_again(home_path: Path) -> None:
    with Platform(home_path, services=SERVICES, durable=False) as platform:
        killed = processes(home_path)[0]
        killed.kill()
        deadline = time.monotonic() + 20
        while not (platform.databases.is_running() and processes(home_path)[0] != killed):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_service_that_keeps_dying_fails_the_start_with_its_own_words(home_path: Path) -> None:
    platform = Platform(home_path, services=BROKEN, durable=False)
    with pytest.raises(PlatformError, match="the reason why it is broken"):
        platform.start()
    assert not (home_path / "postgres" / "data" / "postmaster.pid").exists()


def test_a_home_has_one_supervisor(platform: Platform, home_path: Path) -> None:
    with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        a_platform(home_path).start()
    assert platform.state.is_ready


def test_addresses_and_secrets_stay_from_start_to_start(home_path: Path) -> None:
    def facts() -> tuple[list[str], list[bytes]]:
        with a_platform(home_path) as platform:
            addresses = [service.address for service in platform.state.services.values()]
            return addresses, [path.read_bytes() for path in sorted(platform.secrets.iterdir())]

    assert facts() == facts()


def test_a_port_that_was_taken_meanwhile_is_chosen_anew(home_path: Path) -> None:
    with a_platform(home_path) as platform:
        before = platform.state.services["records"].address
    with socket.create_server(("127.0.0.1", int(before.rpartition(":")[2]))), a_platform(home_path) as platform:
        assert platform.state.services["records"].address != before


def test_a_taken_edge_port_is_refused_with_advice(home_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PlatformError, match="NHIP_EDGE_PORT"):
            a_platform(home_path, taken).start()


def test_secrets_are_readable_by_their_owner_only(platform: Platform) -> None:
    assert stat.S_IMODE(platform.secrets.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in platform.secrets.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"platform_key", "citizen_key", "bootstrap_client", "exchange_client", "audit_key"} <= set(modes)
    assert platform.bootstrap_client.client_id == "nhip-admin"
    assert json.loads((platform.secrets / "exchange_client").read_text())["client_id"] == "nhip-exchange"


def test_a_home_that_cannot_be_made_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match="NHIP_HOME"):
        Platform(tmp_path / "file" / "home", services=SERVICES).start()


def test_services_end_with_a_killed_supervisor_and_the_next_start_goes_on(home_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(home_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"started\n"
        postgres, *services = processes(home_path)
        supervisor.kill()
        _, left = psutil.wait_procs(services, timeout=20)
    assert not left
    assert postgres.is_running()
    with Platform(home_path, services=SERVICES, durable=False) as platform:
        assert platform.state.is_ready
        assert processes(home_path)[0].pid == postgres.pid
    assert not alive([postgres])


def test_a_service_learns_where_its_peers_are(platform: Platform) -> None:
    address = platform.state.services["records"].address
    deadline = time.monotonic() + 5
    while "speaking as" not in (said := platform.home.log("edge").read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert f"with peers records={address}" in said
