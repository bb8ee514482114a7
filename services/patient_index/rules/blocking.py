"""By what a registration finds those that may be the same person: a handful of keys, each shared by few.

A pair that shares none of them is never compared. The keys are chosen so that a pair may differ in any one of given
name, family name, birth date or number and still share one.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace

from libs.thai.identifiers import Local, parse_local
from services.patient_index.model import Features, Identifier, Incoming, Key, KeyKind, Scope

# A block with more members tells nothing: a dummy number, a storm of one name. It is passed over; finer keys of the same
# registration stand in for it.
MAX_BLOCK = 50
# So many are compared with one registration, the most discriminating keys first.
MAX_CANDIDATES = 60
# Keys of these kinds are locked while one registration is placed, so that two of the same person wait for each other.
LOCKED_KINDS = frozenset({KeyKind.IDENTIFIER, KeyKind.GIVEN_AND_BIRTH, KeyKind.NAME_AND_YEAR})

_FULL_DATE = 10
_YEAR = 4


def keys_of(features: Features, organization_id: str = "", local_number: str = "") -> tuple[Key, ...]:
    """The keys of a registration, each once, the most discriminating first.

    An organisation's own number is no key: it is the registration's identity already.
    """
    keys = [identifier_key(one) for one in features.identifiers if not _is_own(one, organization_id, local_number)]
    born = features.birth_date
    given, family = features.given or features.given_roman, features.family or features.family_roman
    if len(born) == _FULL_DATE:
        keys.extend(given_and_birth_key(name, born) for name in (features.given, features.given_roman) if name)
        if family:
            keys.append(family_and_birth_key(family, born))
    if given and family:
        if born:
            keys.append(name_and_year_key(given, family, born))
        keys.append(_key(KeyKind.NAME, f"{given}|{family}"))
    if features.phone:
        keys.append(_key(KeyKind.PHONE, features.phone))
    return tuple(dict.fromkeys(keys))


def identifier_key(identifier: Identifier) -> Key:
    """The key of a normalized identifier."""
    return _key(KeyKind.IDENTIFIER, f"{identifier.system}|{identifier.value}")


def given_and_birth_key(given: str, born: str) -> Key:
    """The key of a folded given name and a full birth date."""
    return _key(KeyKind.GIVEN_AND_BIRTH, f"{given}|{born}")


def family_and_birth_key(family: str, born: str) -> Key:
    """The key of a folded family name and a full birth date."""
    return _key(KeyKind.FAMILY_AND_BIRTH, f"{family}|{born}")


def name_and_year_key(given: str, family: str, born: str) -> Key:
    """The key of a whole folded name and the year of a birth date."""
    return _key(KeyKind.NAME_AND_YEAR, f"{given}|{family}|{born[:_YEAR]}")


def scope_of(incoming: Iterable[Incoming]) -> Scope:
    """What placing these registrations needs at first: who shows their numbers. See `placing.further_keys`."""
    registration_ids: set[str] = set()
    keys: set[Key] = set()
    locks: set[str] = set()
    for one in incoming:
        registration_ids.add(one.registration_id)
        keys.update(numbers_among(one.keys))
        locks.update(locked_keys(one.registration_id, one.keys))
    return Scope(frozenset(registration_ids), keys=frozenset(keys), locks=frozenset(locks))


def numbers_among(keys: Iterable[Key]) -> list[Key]:
    """The keys of identifiers among keys."""
    return [key for key in keys if key[0] == KeyKind.IDENTIFIER]


def wider(scope: Scope, *, registration_ids: Collection[str] = (), keys: frozenset[Key] = frozenset()) -> Scope:
    """The same scope with these registrations, locked, and the blocks of these keys."""
    return replace(
        scope,
        keys=scope.keys | keys,
        registration_ids=scope.registration_ids.union(registration_ids),
        locks=scope.locks.union(registration_ids),
    )


def joined(scope: Scope, other: Scope) -> Scope:
    """What either of two scopes sees and locks."""
    return Scope(*(getattr(scope, name) | getattr(other, name) for name in Scope.__slots__))


def locks_of(keys: Iterable[Key]) -> frozenset[str]:
    """By what keys are locked."""
    return frozenset(map(_lock_of, keys))


def locked_keys(registration_id: str, keys: tuple[Key, ...]) -> list[str]:
    """What is locked while a registration is placed: itself, and what another of the same person would lock too."""
    return [registration_id, *(_lock_of(key) for key in keys if key[0] in LOCKED_KINDS)]


def _lock_of(key: Key) -> str:
    return f"{key[0]}:{key[1]}"


def _is_own(identifier: Identifier, organization_id: str, local_number: str) -> bool:
    if identifier.value != local_number:
        return False
    local = parse_local(identifier.system)
    return local is not None and local.kind in (Local.HN, Local.PID) and local.facility == organization_id


def _key(kind: KeyKind, text: str) -> Key:
    digest = hashlib.blake2b(f"{int(kind)}|{text}".encode(), digest_size=8).digest()
    return int(kind), int.from_bytes(digest, "big", signed=True)
