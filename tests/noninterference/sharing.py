"""What one process of a long run does."""

import asyncio
import logging
from pathlib import Path

from libs.database.embedded import EmbeddedPostgres
from tests.noninterference.playing import Failure, play_many
from tests.noninterference.stores import Countries


def share(home: Path, template: str, pairs: int, first_seed: int, step: int) -> tuple[int, str]:
    """How many pairs were compared, and the failure in words."""
    logging.disable(logging.CRITICAL)
    done = 0

    def told(now: int, seed: int, name: str) -> None:
        nonlocal done
        done = now
        print(f"{now:7} pairs, seed {seed}, {name}", flush=True)

    try:
        countries = Countries(EmbeddedPostgres(home, durable=False), template)
        return asyncio.run(play_many(countries, pairs, first_seed, step, told)), ""
    except Failure as failure:
        return done, str(failure)
