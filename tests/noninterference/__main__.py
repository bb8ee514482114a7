"""Request pairs in great number: `python -m tests.noninterference --pairs 100000`; or one that failed, once more."""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from libs.database.embedded import EmbeddedPostgres
from libs.database.migrations import migrate
from tests.noninterference.asking import Ask
from tests.noninterference.judging import CALLERS
from tests.noninterference.playing import again
from tests.noninterference.sharing import share
from tests.noninterference.stores import Countries

TEMPLATE = "template_records"


def main(words: list[str]) -> int:
    """0 if all pairs were answered alike."""
    parser = argparse.ArgumentParser(prog="python -m tests.noninterference", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000, help="how many request pairs")
    parser.add_argument("--seed", type=int, default=1, help="the first world")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--caller", choices=[one.name for one in CALLERS], help="of one failure: whose eyes")
    parser.add_argument("--differences", default="", help="the numbers of its differences")
    parser.add_argument("--request", action="append", help="its requests, each with its second before it")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="nhip-noninterference-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder, "home"), durable=False)
        server.start()
        try:
            server.create_database(TEMPLATE)
            migrate(server.url(TEMPLATE), "records")
            return _repeat(server, asked) if asked.request else _many(Path(folder, "home"), asked)
        finally:
            server.stop()


def _repeat(server: EmbeddedPostgres, asked: argparse.Namespace) -> int:
    eyes = next(one for one in CALLERS if one.name == asked.caller)
    requests = [(int(one.partition(" ")[0]), Ask.parse(one.partition(" ")[2])) for one in asked.request]
    kept = [int(one) for one in asked.differences.split(",") if one]
    failure = asyncio.run(again(Countries(server, TEMPLATE), asked.seed, eyes, requests, kept))
    print(failure or "answered alike")
    return 1 if failure else 0


def _many(home: Path, asked: argparse.Namespace) -> int:
    count = asked.processes
    each = -(-asked.pairs // count)
    begun = time.monotonic()
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        shares = [pool.submit(share, home, TEMPLATE, each, asked.seed + at, count) for at in range(count)]
        told = [one.result() for one in shares]
    for _, failure in told:
        if failure:
            print(failure)
    pairs = sum(done for done, _ in told)
    print(f"{pairs} request pairs in {time.monotonic() - begun:.0f} s, seeds from {asked.seed}")
    return 1 if any(failure for _, failure in told) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
