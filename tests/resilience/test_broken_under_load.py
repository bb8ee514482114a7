"""Processes are killed and PostgreSQL crashes under visits: what was answered as stored is there, once, and all agree after.

What is sent meanwhile may be refused; nothing is started anew by hand. Printed is how long it took until all was well again.
`make test-lifecycle` kills each of the eight, and PostgreSQL again.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.resilience.load import LONG_REQUESTS, Pressed, pressed
from tools.nhip.platform import Platform

KILLED = ("records", "edge")


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    """A platform whose PostgreSQL keeps what it has confirmed, as a real one."""
    with tempfile.TemporaryDirectory(prefix="nhip-home-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        with Platform(Path(folder, "home")) as platform:
            yield platform


async def nothing_is_lost(under: Pressed) -> None:
    assert under.written.count > 0
    assert not await under.written.missing(under.running)
    assert not await under.faults()


def say(capsys, what: str, under: Pressed, seconds: dict[str, float]) -> None:
    said = {
        "requests": under.tally.requests,
        "refused": under.tally.failed,
        "stored": under.written.count,
        "lost": 0,
        "seconds": {name: round(one, 1) for name, one in seconds.items()},
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: {json.dumps(said)}\n")


async def until_it_accepts(running: Platform) -> None:
    """Returns when PostgreSQL has replayed its log."""
    while True:
        try:
            connection = await asyncpg.connect(running.databases.url("records"))
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return


@pytest.mark.xdist_group("whole")
async def test_whichever_process_is_killed_nothing_that_was_stored_is_lost(running, capsys):
    seconds = {}
    killed = [name for name in running.state.services if LONG_REQUESTS or name in KILLED]
    async with pressed(running) as under:
        for name in killed:
            began = time.monotonic()
            pid = await asyncio.to_thread(running.kill, name)
            await asyncio.to_thread(running.wait_healthy, name, but_not_pid=pid)
            await under.goes_on()
            seconds[name] = time.monotonic() - began
    await nothing_is_lost(under)
    assert {running.state.services[name].restarts for name in killed} == {1}
    say(capsys, "processes were killed under load", under, seconds)


@pytest.mark.xdist_group("whole")
async def test_services_go_on_by_themselves_after_a_crash_of_postgresql(running, capsys):
    seconds = {}
    before = {name: one.pid for name, one in running.state.services.items()}
    async with pressed(running) as under:
        for number in range(2 if LONG_REQUESTS else 1):
            crashed = running.databases.postgres.pid
            began = time.monotonic()
            # An immediate shutdown: connections are cut, nothing is written, the log is replayed at the start.
            os.kill(crashed, signal.SIGQUIT)
            while running.databases.postgres.pid in {None, crashed}:
                await asyncio.sleep(0.02)
            await until_it_accepts(running)
            seconds[f"postgresql {number + 1}"] = time.monotonic() - began
            began = time.monotonic()
            await under.goes_on()
            seconds[f"services after it {number + 1}"] = time.monotonic() - began
    await nothing_is_lost(under)
    assert {name: one.pid for name, one in running.state.services.items()} == before
    say(capsys, "PostgreSQL crashed under load", under, seconds)
