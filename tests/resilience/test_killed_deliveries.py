"""Services are killed (-9) while subscriptions are delivered: whatever was recorded arrives, in order, by both channels."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.services.records.subscribing import Told, a_subscription
from tests.support.whole import platform, sample_of
from tools.nhip.enrol import client_id
from tools.nhip.journey.session import Session, program_login

TOPIC = "https://nhip.th/fhir/SubscriptionTopic/location-changed"
WRITES = 12
# After so many writes, this service dies; the next write waits until it is back.
KILLS = {2: "exchange", 4: "records", 6: "exchange", 8: "records", 9: "edge", 10: "exchange"}
PATIENCE_SECONDS = 120


class Receiver:
    """An HTTP server that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.changed = threading.Condition()

    def take(self, body: bytes) -> None:
        with self.changed:
            self.told.append(Told.of(body))
            self.changed.notify_all()

    @property
    def numbers(self) -> list[int]:
        return [number for one in self.told for number, _ in one.events]

    def has(self, numbers: set[int]) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: numbers <= set(self.numbers), PATIENCE_SECONDS)

    def is_greeted(self) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: bool(self.told), PATIENCE_SECONDS)


@contextmanager
def a_receiver() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def asked_for(hospital: Session, **more: Any) -> str:
    answer = hospital.post("/fhir/R4/Subscription", a_subscription(topic=TOPIC, timeout=2, **more))
    assert answer.status == 201, answer.body
    return str(answer.body["id"])


def in_order(numbers: list[int]) -> list[int]:
    """Each number where it came first."""
    return list(dict.fromkeys(numbers))


@pytest.mark.xdist_group("whole")
def test_what_was_recorded_is_delivered_whoever_is_killed(home_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_receiver() as (receiver, origin):
        monkeypatch.setenv("NHIP_SUBSCRIPTION_ENDPOINTS", origin)
        with platform(home_path / "whole") as running:
            sample = sample_of(running, seed=7, people=20)
            credentials = running.home.client(client_id(sample.population.hospital_a))
            login = program_login(credentials.client_id, credentials.client_secret, "PURPOSE_OF_USE_OPERATIONS")
            hospital = Session(running.edge_url, "hospital", login)
            by_websocket = asked_for(hospital, channel="websocket", endpoint="")
            asked_for(hospital, endpoint=f"{origin}/told")
            assert receiver.is_greeted()
            for write in range(1, WRITES + 1):
                answer = hospital.post("/fhir/R4/Location", {"resourceType": "Location", "name": f"Ward {write}"})
                assert answer.status == 201
                if write in KILLS:
                    running.wait_healthy(KILLS[write])
                    running.kill(KILLS[write])
                    if KILLS[write] != "exchange":
                        running.wait_healthy(KILLS[write])
            wanted = list(range(1, WRITES + 1))
            assert receiver.has(set(wanted))
            assert in_order(receiver.numbers) == wanted
            running.wait_healthy()
            bound = hospital.get(f"/fhir/R4/Subscription/{by_websocket}/$get-ws-binding-token").body["parameter"]
            said = {one["name"]: one.get("valueString", one.get("valueUrl")) for one in bound}
            with connect(said["websocket-url"], proxy=None) as socket:
                socket.send(f"bind-with-token {said['token']}")
                heard: list[int] = []
                assert Told.of(socket.recv(PATIENCE_SECONDS)).kind == "handshake"
                while set(heard) != set(wanted):
                    heard += [number for number, _ in Told.of(socket.recv(PATIENCE_SECONDS)).events]
            assert in_order(heard) == wanted
            status = hospital.get(f"/fhir/R4/Subscription/{by_websocket}/$status").body
            assert Told.of(json.dumps({"entry": status["entry"]})).since_start == WRITES
            hospital.close()
