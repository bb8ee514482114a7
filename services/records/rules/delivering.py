"""What becomes of a subscription after an attempt to deliver."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.records.rules.subscribing import ACTIVE, ERROR, OFF, REQUESTED

# Tried 1, 2, 4, … seconds after, at most five minutes apart: for half an hour in all.
MAX_ATTEMPTS = 14
LONGEST_PAUSE = timedelta(minutes=5)
# So many notifications in a row that could not be delivered: then nobody is there any more.
MAX_FAILURES = 5
# So much longer than its receiver may take, a notification is nobody else's to deliver.
LEASE_MARGIN = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class Before:
    """How it stood: its status, failed attempts at this notification, notifications given up in a row."""

    status: str
    attempts: int
    failures: int


@dataclass(frozen=True, slots=True)
class Settled:
    """How it stands then; and whether the events of the notification are given up."""

    status: str
    error: str
    attempts: int
    failures: int
    next_attempt_at: datetime
    is_dead: bool = False


def delivered(now: datetime) -> Settled:
    """The receiver took it."""
    return Settled(ACTIVE, "", 0, 0, now)


def failed(before: Before, error: str, now: datetime, *, is_final: bool, has_events: bool) -> Settled:
    """It did not. A heartbeat is not repeated: the next comes in its time."""
    attempts = before.attempts + 1
    pause = min(timedelta(seconds=2.0 ** (attempts - 1)), LONGEST_PAUSE)
    if attempts < MAX_ATTEMPTS and not is_final:
        status = before.status if before.status == REQUESTED else ERROR
        return Settled(status, error, attempts, before.failures, now + pause)
    if before.status == REQUESTED:
        # Nobody answered the handshake: nothing is sent to whom it may not concern.
        return Settled(OFF, error, 0, before.failures, now)
    failures = before.failures + 1
    status = OFF if failures >= MAX_FAILURES else ERROR
    return Settled(status, error, 0, failures, now + (timedelta(0) if has_events else pause), is_dead=has_events)
