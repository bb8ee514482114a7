"""What audit speaks of."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

_PERSON, _REGISTRATION, _CITIZEN = "person/", "registration/", "citizen/"


def person_subject(person_id: str) -> str:
    """A person as the subject of an entry."""
    return _PERSON + person_id


def registration_subject(registration_id: str) -> str:
    """A registration as the subject of an entry."""
    return _REGISTRATION + registration_id


def citizen_subject(citizen_key: str) -> str:
    """A citizen as the subject of an entry: their account, their consent, what they did themself."""
    return _CITIZEN + citizen_key


@dataclass(frozen=True, slots=True)
class Access:
    """One access, as it goes into the log."""

    event_id: str
    occurred_at: datetime
    # The exact bytes that the commitment covers.
    content: bytes
    # Whose data were touched: `person/…`, `registration/…`, `citizen/…`.
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An access in the log."""

    leaf_index: int
    content: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """An entry with what it takes to recompute its leaf."""

    entry: Entry
    salt: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """What of an entry is shown."""

    person_ids: tuple[str, ...]
    registration_ids: tuple[str, ...]
    are_resources_shown: bool


class Place(NamedTuple):
    """A complete subtree: 2^level leaves, the first of them leaf number · 2^level."""

    level: int
    number: int


class Node(NamedTuple):
    """A complete subtree and its hash."""

    place: Place
    hash: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the tree, signed."""

    tree_size: int
    root_hash: bytes
    signed_at: datetime
    note: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a registration stands: whose it is."""

    registration_id: str
    person_id: str
    citizen_key: str
    version: int
