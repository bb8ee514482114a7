"""Rebuilds the index from its decisions, compares that with what stands, and puts what stands right."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.message import Message

from libs.database.engine import Database
from libs.database.transactions import Reader
from services.patient_index.api.transaction import FEED
from services.patient_index.model import Held, Override, Pair
from services.patient_index.rules.history import HistoryBrokenError, Standings, fold_pairs, follow
from services.patient_index.store import history, reading, repairing

_SHOWN = 5
# So many registrations are put right in one transaction.
_REPAIRED_AT_ONCE = 200


@dataclass(slots=True)
class Comparison:
    """What the decisions come to, and where what stands differs from it."""

    decisions: int = 0
    registrations: int = 0
    # Registrations whose decisions do not follow from each other, and what is wrong: nothing can be rebuilt of them.
    broken: dict[str, str] = field(default_factory=dict)
    # Registration that stands elsewhere → the person that the decisions say.
    misplaced: dict[str, str] = field(default_factory=dict)
    # Registrations without any decision, and decisions without a registration.
    undecided: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    # Pairs in which the two differ → what the decisions say, and which of them; no decision where nothing holds.
    apart: dict[Pair, str] = field(default_factory=dict)
    overrides: dict[Pair, tuple[Override, str]] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """True if what stands is the sum of the decisions."""
        return not (self.broken or self.misplaced or self.undecided or self.lost or self.apart or self.overrides)

    @property
    def told(self) -> str:
        """In words, with the ids of the first few of each sort."""
        begun = f"{self.decisions} decisions rebuild {self.registrations} registrations"
        wrong = [
            f"{len(found)} {what} ({', '.join(map(str, list(found)[:_SHOWN]))})"
            for what, found in (
                ("whose decisions do not follow from each other", self.broken),
                ("that stand with another person", self.misplaced),
                ("that nobody decided about", self.undecided),
                ("that were decided about and are not there", self.lost),
                ("pairs held apart otherwise", self.apart),
                ("pairs ordained otherwise", self.overrides),
            )
            if found
        ]
        return f"{begun}; {'; '.join(wrong)}" if wrong else f"{begun}, and all stand as decided"


async def compare(database: Database) -> Comparison:
    """Replays every decision beside what stands, in one snapshot; needs memory for pairs alone, not for registrations."""
    found = Comparison()
    async with database.reading(snapshot=True) as reader:
        await _compare_persons(reader, found)
        await _compare_pairs(reader, found)
    return found


async def repair(database: Database, found: Comparison, event_of: Callable[[Held], Message], moment: datetime) -> int:
    """Puts registrations and pairs where the decisions say, and announces; the number of registrations put right.

    What is broken, undecided or lost is left for people. Registrations that a decision moved since the comparison are
    passed over.
    """
    misplaced = list(found.misplaced)
    repaired = 0
    for start in range(0, len(misplaced), _REPAIRED_AT_ONCE):
        chunk = misplaced[start : start + _REPAIRED_AT_ONCE]
        async with database.writing() as writer:
            await writer.lock(*chunk)
            for held in await repairing.put_right(writer, chunk, moment):
                writer.announce(FEED, held.registration_id, event_of(held))
                repaired += 1
    if found.apart or found.overrides:
        async with database.writing() as writer:
            await repairing.put_pairs_right(writer, found.apart, found.overrides, moment)
    return repaired


async def _compare_persons(reader: Reader, found: Comparison) -> None:
    """Two walks in the order of the registrations, side by side."""
    standing = reading.scan_persons(reader)
    there = await anext(standing, None)
    current, person_id = "", ""
    decided = history.scan_decisions(reader)
    one = await anext(decided, None)
    while one is not None or there is not None:
        if one is None or (there is not None and there[0] < one.registration_id):
            if there is not None:
                found.undecided.append(there[0])
            there = await anext(standing, None)
            continue
        current, person_id = one.registration_id, ""
        while one is not None and one.registration_id == current:
            found.decisions += 1
            try:
                follow(person_id, one)
            except HistoryBrokenError as error:
                found.broken.setdefault(current, str(error))
            person_id = one.person_id
            one = await anext(decided, None)
        found.registrations += 1
        if there is None or there[0] != current:
            found.lost.append(current)
            continue
        if there[1] != person_id and current not in found.broken:
            found.misplaced[current] = person_id
        there = await anext(standing, None)


async def _compare_pairs(reader: Reader, found: Comparison) -> None:
    sums = Standings()
    async for decision in history.scan_people_s_decisions(reader):
        fold_pairs(sums, decision)
    apart, overrides = await history.read_pairs(reader)
    found.apart = {one: sums.apart.get(one, "") for one in sums.apart.keys() ^ apart}
    nothing = Override.NONE, ""
    for one in sums.overrides.keys() | overrides.keys():
        said = sums.overrides.get(one, nothing)
        if said[0] is not overrides.get(one, Override.NONE):
            found.overrides[one] = said
