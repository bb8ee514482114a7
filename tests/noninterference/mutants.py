"""That the test can fail: conditions of access are taken away one by one, and each must be found out.

    python -m tests.noninterference.mutants --pairs 2000

A mutant is the service with one condition gone: what it reads there is everybody's. For each, callers ask what looks there,
drawn as anything else is, until an answer differs. One that survives so many request pairs is printed, and the exit code is 1:
then requests are missing that would ask where it looks.
"""

import argparse
import asyncio
import functools
import importlib
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from libs.database.embedded import EmbeddedPostgres
from libs.database.migrations import migrate
from services.records.api import including as api_including
from services.records.store import compartment, exporting, resources
from services.records.store.searching import building, frequencies, including, pages
from services.records.visibility import View, visible
from tests.noninterference.asking import Ask, Asking
from tests.noninterference.judging import CALLERS
from tests.noninterference.playing import Failure, play
from tests.noninterference.stores import Countries

TEMPLATE = "template_records"
# Requests of one caller, before the next one follows.
OF_ONE = 60
# So often at most until a request is one that looks where something is missing.
MOST_DRAWS = 500
Mutant = Callable[[], Any]
Asked = Callable[[Ask], bool]


def everyone(row: str, view: View) -> str:
    """SQL with the parameters of the condition, which is true of every row."""
    return f"({visible(row, view)} OR true)"


def within(owner: Any, name: str) -> Mutant:
    """While the function writes its SQL, whatever is seen is everybody's."""
    written = getattr(owner, name)

    @functools.wraps(written)
    def blind(*args: Any, **more: Any) -> Any:
        with patch.object(building, "visible", everyone):
            return written(*args, **more)

    return functools.partial(patch.object, owner, name, blind)


def row_by_row(mutant: Mutant) -> Mutant:
    """The same where chains that end at a Patient, or begin at one, are looked at row by row: seldom so in a small world."""

    @contextmanager
    def blind() -> Iterator[None]:
        with patch.object(frequencies, "is_frequent", lambda _: True), mutant():
            yield

    return blind


def statement(module: ModuleType, name: str) -> Mutant:
    """The statement of each view as if it had been written without its condition."""

    @contextmanager
    def blind() -> Iterator[None]:
        with patch.object(resources, "visible", everyone), patch("services.records.visibility.visible", everyone):
            importlib.reload(module)
            written = getattr(module, name)
        importlib.reload(module)
        with patch.object(module, name, written):
            yield

    return blind


def _asks(*beginnings: str) -> Asked:
    return lambda ask: any(name.startswith(beginnings) for name, _ in ask.query)


def _is_chained(ask: Ask) -> bool:
    return any("." in name and not name.startswith("_") for name, _ in ask.query)


def _is_patients(ask: Ask) -> bool:
    return ask.path.startswith("Patient") and _asks("_has")(ask)


def _is_export(ask: Ask) -> bool:
    return ask.method == "export"


def _is_of_a_patient(ask: Ask) -> bool:
    return _asks("patient", "subject", "_has")(ask)


# Name → what is taken away, and which requests look there.
MUTANTS: Mapping[str, tuple[Mutant, Asked]] = {
    "matches and totals": (functools.partial(patch.object, pages, "visible", everyone), lambda ask: bool(ask.query)),
    "links of a chain": (within(building.Builder, "_chain"), _is_chained),
    "links of a chain, of one row": (row_by_row(within(building.Builder, "_chain_of")), _is_chained),
    "reverse chains": (within(building.Builder, "_has"), _asks("_has")),
    "reverse chains, of one row": (row_by_row(within(building.Builder, "_has_of")), _is_patients),
    "whose Patient is named": (within(building, "same_person"), _is_of_a_patient),
    "what is included": (statement(including, "INCLUDED"), _asks("_include")),
    "what includes in reverse": (statement(including, "REFERRING"), _asks("_revinclude")),
    "conditions of transactions": (statement(including, "BY_TOKENS"), lambda ask: ask.method not in {"GET", "HEAD"}),
    "scopes of what is included": (
        functools.partial(patch.object, api_including, "may_see", lambda *_: True),
        _asks("_include", "_revinclude"),
    ),
    "everything of a person": (statement(compartment, "EVERYTHING"), lambda ask: "$everything" in ask.path),
    "what an export reads": (functools.partial(patch.object, exporting, "visible", everyone), _is_export),
}


async def pairs_until_found(countries: Countries, pairs: int, seed: int, looks: Asked) -> int:
    """How many request pairs it took at most until an answer differed; 0 if none did."""
    done = 0
    drawn = Asking.draw

    def draw(asking: Asking) -> Ask:
        for _ in range(MOST_DRAWS):
            ask = drawn(asking)
            if looks(ask):
                break
        return ask

    # Small failures take many trials; that there is one is enough here.
    with patch("tests.noninterference.playing._smaller", _as_found), patch.object(Asking, "draw", draw):
        while done < pairs:
            for eyes in CALLERS:
                try:
                    done += await play(countries, seed, eyes, min(OF_ONE, pairs - done))
                except Failure:
                    return done + OF_ONE
                if done >= pairs:
                    break
            seed += 1
    return 0


async def _as_found(_: Countries, found: Failure) -> Failure:
    return found


def main(words: list[str]) -> int:
    """0 if every mutant was found out."""
    parser = argparse.ArgumentParser(prog="python -m tests.noninterference.mutants", description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000, help="how many request pairs a mutant may survive")
    parser.add_argument("--seed", type=int, default=1, help="the first world")
    parser.add_argument("--only", choices=sorted(MUTANTS), help="this one alone")
    asked = parser.parse_args(words)
    logging.disable(logging.CRITICAL)
    survivors = []
    with tempfile.TemporaryDirectory(prefix="nhip-mutants-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder, "home"), durable=False)
        server.start()
        try:
            server.create_database(TEMPLATE)
            migrate(server.url(TEMPLATE), "records")
            countries = Countries(server, TEMPLATE)
            # The world is filed by the service as it is.
            asyncio.run(play(countries, asked.seed, CALLERS[0], 1))
            for name, (mutant, looks) in MUTANTS.items():
                if asked.only not in {None, name}:
                    continue
                with mutant():
                    took = asyncio.run(pairs_until_found(countries, asked.pairs, asked.seed, looks))
                print(f"{name}: {f'found within {took} request pairs' if took else 'SURVIVED'}", flush=True)
                survivors += [] if took else [name]
        finally:
            server.stop()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
