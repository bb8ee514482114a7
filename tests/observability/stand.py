"""The real platform under a light load, scraped by a real Prometheus that sends its alerts to whom it takes for an Alertmanager.

Time in the rules goes sixty times as fast: what must hold for an hour must hold for a minute.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import httpx
import yaml
from rich.console import Console

from libs.database.ports import free_port
from tests.observability.programs import programs
from tests.support.whole import sample_of, walk
from tools.backup.configuration import Configuration, configure
from tools.backup.sealing import new_identity
from tools.nhip.journey.trip import Trip
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample
from tools.observability.__main__ import rule_files
from tools.observability.rules.pace import Pace

PACE = Pace(60)
SCRAPE = "1s"
NAMESPACE = "health"
SEED, PEOPLE = 11, 80
READY_SECONDS = 30.0
# Requests of the load: enough for rates, and for the ten bad calls that a burning budget needs.
PAUSE_SECONDS = 0.05


@dataclass
class Stand:
    """Everything that runs, and the means to spoil it."""

    platform: Platform
    sample: Sample
    folder: Path
    prometheus: str
    alerts: "Alerts"
    # What the load asks for besides; a test may add paths, as (method, path).
    asked: list[tuple[str, str]] = field(default_factory=list)
    trip: Trip = field(init=False)

    def __post_init__(self) -> None:
        console = Console(file=StringIO())
        self.trip = Trip(self.platform, self.sample, console, f"{self.sample.seed:04d}")

    @property
    def repository(self) -> Path:
        """Where the home is backed up to."""
        return self.folder / "backups"

    def query(self, expression: str) -> list[dict]:
        """The instant vector. Raises AssertionError with what Prometheus says of the expression."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}, trust_env=False, timeout=30)
        document = answer.json()
        assert document["status"] == "success", f"{expression}: {document.get('error')}"
        return document["data"]["result"]

    def firing(self) -> set[tuple[str, str]]:
        """(alert, severity) of all that Prometheus has sent and not taken back."""
        return self.alerts.active()

    @contextlib.contextmanager
    def rpcs(self, faults: str) -> Iterator[None]:
        """RPCs fail as NHIP_FAULTS says."""
        path = self.folder / "faults"
        path.write_text(faults, encoding="utf-8")
        try:
            yield
        finally:
            path.unlink()

    def target(self, service: str, *, is_there: bool = True) -> None:
        """Has Prometheus scrape a service, or forget it; found in the cluster's manner, by job, pod and namespace."""
        self.scrape(
            service.replace("_", "-"), self.platform.state.services[service].metrics_address if is_there else ""
        )

    def scrape(self, job: str, address: str) -> None:
        """Has Prometheus scrape an address as one job's, or nothing as its."""
        labels = {"job": job, "namespace": NAMESPACE, "pod": f"nhip-{job}-6d4f9c7b8d-x2kqv"}
        targets = [{"targets": [address], "labels": labels}] if address else []
        (self.folder / "targets" / f"{job}.json").write_text(json.dumps(targets), encoding="utf-8")


@contextlib.contextmanager
def standing(folder: Path, setenv: Callable[[str, str], None]) -> Iterator[Stand]:
    """Up, with a journey walked and a load going on; down after."""
    setenv("NHIP_FAULTS", f"@{folder / 'faults'}")
    with _watched(folder) as (prometheus, alerts):
        setenv("NHIP_PROMETHEUS_URL", prometheus)
        with Platform(folder / "home", secured=True, durable=False) as running:
            stand = Stand(running, sample_of(running, seed=SEED, people=PEOPLE), folder, prometheus, alerts)
            for service in running.state.services:
                stand.target(service)
            well, printed = walk(running, stand.sample, folder / "journey.json")
            assert well, printed
            with contextlib.closing(stand.trip), _load(stand), _probing(stand), _archiving(stand):
                yield stand


@contextlib.contextmanager
def _watched(folder: Path) -> Iterator[tuple[str, "Alerts"]]:
    """Prometheus over the folder's targets, and what it sends."""
    rules, targets = folder / "rules", folder / "targets"
    rules.mkdir()
    targets.mkdir()
    for name, text in rule_files(PACE).items():
        (rules / name).write_text(text, encoding="utf-8")
    queries = f"127.0.0.1:{free_port()}"
    configuration = {
        "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE},
        "rule_files": [f"{rules}/*.yaml"],
        "scrape_configs": [
            {"job_name": "nhip", "file_sd_configs": [{"files": [f"{targets}/*.json"], "refresh_interval": "1s"}]}
        ],
    }
    with _listening() as (address, alerts):
        configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [address]}]}]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        words = (
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={queries}",
            # What is over is told of at once, so that the next test sees what is.
            "--rules.alert.resend-delay=1s",
        )
        with _running(programs().prometheus, *words, log=folder / "prometheus.log"):
            _until(lambda: httpx.get(f"http://{queries}/-/ready", trust_env=False).is_success)
            yield f"http://{queries}", alerts


class Alerts:
    """What was sent, by its labels, until its end."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str, str], datetime] = {}

    def take(self, sent: list[dict]) -> None:
        """Takes what Prometheus posts to /api/v2/alerts."""
        for one in sent:
            labels = one["labels"]
            key = labels["alertname"], labels["severity"], json.dumps(labels, sort_keys=True)
            self._ends[key] = datetime.fromisoformat(one["endsAt"])

    def active(self) -> set[tuple[str, str]]:
        """(alert, severity) of those that are not over."""
        now = datetime.now(UTC)
        return {(name, severity) for (name, severity, _), end in [*self._ends.items()] if end > now}


@contextlib.contextmanager
def _listening() -> Iterator[tuple[str, Alerts]]:
    """The door of an Alertmanager."""
    alerts = Alerts()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            alerts.take(json.loads(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"127.0.0.1:{server.server_port}", alerts
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@contextlib.contextmanager
def _running(program: Path, *words: str, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen([program, *words], stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if is_so():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def _probing(stand: Stand) -> Iterator[None]:
    """A synthetic person goes through the platform every other second."""
    address = f"127.0.0.1:{free_port()}"
    client = stand.platform.home.secrets / "bootstrap_client"
    words = ("-m", "tools.probe", "--edge", stand.platform.edge_url, "--client", str(client), "--every", "2")
    with _running(Path(sys.executable), *words, "--metrics", address, log=stand.folder / "probe.log"):
        stand.scrape("probe", address)
        _until(lambda: bool(stand.query("nhip_probe_held_timestamp_seconds > 0")))
        yield


@contextlib.contextmanager
def _archiving(stand: Stand) -> Iterator[None]:
    """The home's log is received, and a base backup made."""
    address, home = f"127.0.0.1:{free_port()}", stand.platform.home.path
    recipient = new_identity(stand.folder / "backup.key")
    configure(home, Configuration(str(stand.repository), str(recipient)))
    environment = {
        **os.environ,
        "NHIP_BACKUP_HOME": str(home),
        "NHIP_BACKUP_URL": stand.platform.databases.postgres.url("postgres"),
        "NHIP_BACKUP_METRICS": address,
    }
    words = ("-m", "tools.backup.archiver", "archive")
    with _running(Path(sys.executable), *words, log=stand.folder / "archiver.log", environment=environment):
        stand.scrape("archiver", address)
        _until(lambda: bool(stand.query("nhip_backup_base_timestamp_seconds > 0")))
        yield


@contextlib.contextmanager
def _load(stand: Stand) -> Iterator[None]:
    """Somebody reads, somebody searches, somebody has no token; failures are what some tests are about."""
    ending = threading.Event()
    trip = stand.trip
    doctor = trip.doctor_at_a
    patient = doctor.get("/fhir/R4/Patient", _count=1).body["entry"][0]["resource"]["id"]
    token = doctor._bearer
    asked = [
        ("GET", f"/fhir/R4/Patient/{patient}"),
        ("GET", f"/fhir/R4/Observation?patient={patient}&_count=5"),
        ("GET", f"/v1/registrations/{patient}"),
        ("GET", "/v1/claims?page_size=1"),
    ]
    stand.asked.extend(asked)

    def work() -> None:
        with httpx.Client(base_url=stand.platform.edge_url, trust_env=False, timeout=10) as client:
            for number in itertools.count():
                if ending.wait(PAUSE_SECONDS):
                    return
                method, path = stand.asked[number % len(stand.asked)]
                headers = {"authorization": f"Bearer {token()}"} if number % 50 else {}
                with contextlib.suppress(httpx.HTTPError, PermissionError):
                    client.request(method, path, headers=headers)

    worker = threading.Thread(target=work, name="load")
    worker.start()
    try:
        yield
    finally:
        ending.set()
        worker.join()
