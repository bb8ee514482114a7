"""Decisions of exchange: pure, without I/O and clock."""

from collections.abc import Iterable
from enum import Enum

from services.exchange.model import MEBIBYTE, Counts, Outcome, State

# The whole register of a large hospital, zipped, is below a fifth of this.
MAX_UPLOAD_BYTES = 512 * MEBIBYTE
CHUNK_BYTES = MEBIBYTE
# A job that fails so often for reasons of our own, without getting further, is given up.
MAX_FAILURES = 5
_FIRST_BACKOFF = 0.2
_MOST_BACKOFF = 10.0


class Again(Enum):
    """What happens to bytes that were sent before."""

    # The import that there is answers; nothing runs.
    ANSWER = "answer"
    # Cut off before: goes on where it stopped.
    GO_ON = "go-on"
    # Failed before: begins anew.
    BEGIN_ANEW = "begin-anew"


def again(state: State) -> Again:
    """What the same bytes mean for an import in this state."""
    if state is State.CANCELLED:
        return Again.GO_ON
    return Again.BEGIN_ANEW if state is State.FAILED else Again.ANSWER


def may_cancel(state: State) -> bool:
    """True for an import that still has something to stop."""
    return state in (State.QUEUED, State.RUNNING)


def backoff(failures: int) -> float:
    """Seconds until the next try after so many failures in a row, at least 1."""
    return float(min(_MOST_BACKOFF, _FIRST_BACKOFF * 2 ** min(failures - 1, 10)))


def combined(outcomes: Iterable[Outcome]) -> Outcome:
    """What became of a row that is several things: the first is the main one, the others belong to it.

    Created when the main thing is new, updated when anything of it changed; skipped when it was nothing at all.
    """
    told = list(outcomes)
    if not told:
        return Outcome.SKIPPED
    if Outcome.REJECTED in told:
        return Outcome.REJECTED
    if told[0] is Outcome.CREATED:
        return Outcome.CREATED
    return Outcome.UNCHANGED if all(one is Outcome.UNCHANGED for one in told) else Outcome.UPDATED


def count(outcomes: Iterable[Outcome]) -> Counts:
    """Rows by what became of them."""
    told = list(outcomes)
    return Counts(
        created=told.count(Outcome.CREATED),
        updated=told.count(Outcome.UPDATED),
        unchanged=told.count(Outcome.UNCHANGED),
        rejected=told.count(Outcome.REJECTED),
        skipped=told.count(Outcome.SKIPPED),
    )


def local_number(pid: str, hn: str, before: str, owners: dict[str, str]) -> str:
    """The number under which a person is registered: HN, or PID where there is none.

    The number that was used before stays. HN and PID are numbered apart, so that one person's PID may be another's HN:
    where somebody else has the number, the PID is marked as one. `owners` maps a number to the PID that has it.
    """
    if before:
        return before
    wanted = hn or pid
    return wanted if owners.get(wanted, pid) == pid else f"PID-{pid}"


def waves(keys: Iterable[str]) -> list[list[int]]:
    """Positions in groups to be sent one after the other, so that of two with one key the later goes later."""
    groups: list[list[int]] = []
    met: dict[str, int] = {}
    for position, key in enumerate(keys):
        wave = met[key] = met.get(key, -1) + 1
        if wave == len(groups):
            groups.append([])
        groups[wave].append(position)
    return groups
