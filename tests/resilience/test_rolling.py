"""Every process is stopped and started in turn while the platform works: no request fails, and nothing is lost.

Two processes of records and two edges here; `make test-lifecycle` runs two of each service, and goes round until a hundred
thousand requests were answered.
"""

import asyncio
import json
import sys
import time

import pytest

from tests.resilience.load import LONG_REQUESTS, pressed
from tools.nhip.platform import Platform
from tools.nhip.services import SERVICES, Service, replicated

DRAIN_SECONDS = 1
ROLLED = ("records", "edge")


def services() -> tuple[Service, ...]:
    """Two of each in the long run, else two of those that are rolled."""
    second = replicated(SERVICES, 2)[len(SERVICES) :]
    return (*SERVICES, *(one for one in second if LONG_REQUESTS or one.service in ROLLED))


@pytest.mark.xdist_group("whole")
async def test_every_process_is_replaced_under_load_and_no_request_fails(home_path, monkeypatch, capsys):
    monkeypatch.setenv("NHIP_DRAIN_SECONDS", str(DRAIN_SECONDS))
    with Platform(home_path, services=services(), durable=False) as running:
        rolled = [one.name for one in services() if LONG_REQUESTS or one.service in ROLLED]
        async with pressed(running) as under:
            began, slowest, rounds = time.monotonic(), 0.0, 0
            while not rounds or under.tally.requests < LONG_REQUESTS:
                for name in rolled:
                    started = time.monotonic()
                    await asyncio.to_thread(running.restart, name)
                    slowest = max(slowest, time.monotonic() - started)
                    await under.goes_on(20)
                rounds += 1
            seconds = time.monotonic() - began
        assert not under.tally.failed, (dict(under.tally.failures), under.tally.first)
        assert under.written.count > 0
        assert not await under.written.missing(running)
        assert not await under.faults()
        assert {running.state.services[name].restarts for name in rolled} == {rounds}
    with capsys.disabled():
        said = {
            "requests": under.tally.requests,
            "failed": under.tally.failed,
            "stored": under.written.count,
            "lost": 0,
            "processes_replaced": rounds * len(rolled),
            "seconds": round(seconds, 1),
            "slowest_process_seconds": round(slowest, 1),
        }
        sys.stdout.write(f"\nevery process was replaced under load: {json.dumps(said)}\n")
