"""PostgreSQL's disk is full under visits: what cannot be stored is refused, what was confirmed stays, and all goes on with room.

The disk is a tmpfs that the test mounts, which root may; or an empty directory on a small file system, by NHIP_SMALL_DISK.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.resilience.load import pressed
from tests.resilience.test_broken_under_load import nothing_is_lost, until_it_accepts
from tools.nhip.platform import Platform

SIZE = "512m"
# Refusals that the full disk must have caused before room is made again.
REFUSALS = 100


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A directory on a file system that a test may fill."""
    if given := os.environ.get("NHIP_SMALL_DISK", ""):
        yield Path(given)
        return
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0711", "none", folder], check=True)  # noqa: S607 the system's
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)  # noqa: S607 the same


@contextlib.asynccontextmanager
async def filled(disk: Path) -> AsyncIterator[None]:
    """No byte is left."""
    filler = disk / "filler"

    def fill() -> None:
        for block in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(b"\0" * block)

    # In a thread: the visits go on meanwhile.
    await asyncio.to_thread(fill)
    try:
        yield
    finally:
        filler.unlink()


async def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(home_path, capsys):
    home_path.mkdir()
    home_path.chmod(0o711)
    with small_disk(home_path.parent / "disk") as disk:
        (home_path / "postgres").symlink_to(disk / "postgres")
        (disk / "postgres").mkdir(mode=0o711)
        with Platform(home_path) as running:
            before = {name: one.pid for name, one in running.state.services.items()}
            async with pressed(running) as under:
                async with filled(disk):
                    while under.tally.failed < REFUSALS:
                        await asyncio.sleep(0.05)
                refused = {kind: dict(outcomes) for kind, outcomes in under.tally.failures.items()}
                began = time.monotonic()
                await until_it_accepts(running)
                await under.goes_on()
                seconds = time.monotonic() - began
            await nothing_is_lost(under)
            assert {name: one.pid for name, one in running.state.services.items()} == before
    assert {outcome for outcomes in refused.values() for outcome in outcomes} <= {"429", "503", "504", "507"}, (
        refused,
        under.tally.first,
    )
    said = {
        "stored": under.written.count,
        "lost": 0,
        "refused": under.tally.failed,
        "seconds_after_room": round(seconds, 1),
    }
    with capsys.disabled():
        sys.stdout.write(f"\nthe disk was full: {json.dumps(said)}\n")
