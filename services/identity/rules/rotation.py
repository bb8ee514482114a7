"""When a signing key signs, verifies and goes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.identity.model import SigningKey
from services.identity.rules.grants import LONGEST_LIFETIME

# Services learn a key from the feed within about a second; five leave room for one that is slow. A service that learns
# it later still refuses tokens of the new key until then, and its callers try again.
ACTIVATION = timedelta(seconds=5)
# A month limits what a leaked key is worth, and is often enough that rotation is not a special event.
ROTATE_EVERY = timedelta(days=30)
# A key outlives its turn by as much again, so that a month in which nothing could be rotated refuses no token.
LONGEST_USE = 2 * ROTATE_EVERY
# The last token of a key expires after its lifetime; clocks differ by seconds.
VERIFIES_AFTERWARDS = LONGEST_LIFETIME + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a rotation does: when the new key signs and verifies, and which older keys change or go."""

    signs_from: datetime
    not_after: datetime
    shortened: tuple[SigningKey, ...]
    retired: tuple[SigningKey, ...]


def turn(in_force: Sequence[SigningKey], now: datetime, *, at_once: bool, retire_older: bool) -> Turn:
    """The rotation that makes a new key beside those in force.

    `at_once`: the new key signs from now, without the delay that lets services learn it.
    `retire_older`: the older keys stop now; otherwise they verify until their last token has expired.
    """
    signs_from = now if at_once or retire_older else now + ACTIVATION
    not_after = signs_from + LONGEST_USE
    if retire_older:
        return Turn(signs_from, not_after, (), tuple(in_force))
    ends = signs_from + VERIFIES_AFTERWARDS
    shortened = tuple(replace(key, not_after=ends, version=key.version + 1) for key in in_force if key.not_after > ends)
    return Turn(signs_from, not_after, shortened, ())


def is_due(in_force: Sequence[SigningKey], now: datetime) -> bool:
    """True if it is time for a new key: the newest has had its turn, or there is none."""
    return all(now - key.signs_from >= ROTATE_EVERY for key in in_force)


def can_sign(key: SigningKey, now: datetime) -> bool:
    """True if a token of any lifetime, signed now, verifies until it expires."""
    return key.signs_from <= now and now + LONGEST_LIFETIME <= key.not_after


def past(in_force: Sequence[SigningKey], now: datetime) -> tuple[SigningKey, ...]:
    """The keys that verify nothing any more."""
    return tuple(key for key in in_force if key.not_after <= now)
