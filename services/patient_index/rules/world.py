"""The part of the index that one transaction sees, and what it makes of it.

A world is loaded with the blocks of the registrations that come, everybody found in them, and all who share a person with
those. Decisions are taken one after the other in it, so that a batch ends as its registrations sent singly would. What is
then different from what was loaded is written in bulk.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.patient_index.model import (
    Changes,
    Decision,
    DecisionKind,
    Features,
    Held,
    Identifier,
    Key,
    Loaded,
    Match,
    Move,
    Override,
    Pair,
    Review,
    Scope,
    Settled,
    Shares,
)
from services.patient_index.rules.blocking import (
    MAX_BLOCK,
    MAX_CANDIDATES,
    identifier_key,
    keys_of,
    locked_keys,
    locks_of,
    numbers_among,
)
from services.patient_index.rules.matching import PERSON_CONTRADICTED
from services.patient_index.rules.registering import opens_account
from services.patient_index.rules.soundness import Claimant
from services.patient_index.rules.weighing import FS_1, NO_SHARES, Model

KeyOf = Callable[[Identifier], str]
MakeId = Callable[[], str]


class NotLoadedError(Exception):
    """A decision needs what the world was not loaded with: load it again with that."""

    def __init__(self, needed: Scope) -> None:
        super().__init__()
        self.needed = needed


def held_keys(held: Held) -> tuple[Key, ...]:
    """The keys under which a registration is found."""
    return keys_of(held.features, held.organization_id, held.local_number)


@dataclass(slots=True)
class World:
    """See the module."""

    loaded: Loaded
    key_of: KeyOf
    make_id: MakeId
    shares: Shares = field(default_factory=lambda: NO_SHARES)
    # The model that decides.
    model: Model = FS_1
    blocks: dict[Key, set[str]] = field(init=False)
    held: dict[str, Held] = field(init=False)
    apart: dict[str, set[str]] = field(init=False)
    # What is ordained about pairs, from both sides.
    overrides: dict[str, dict[str, Override]] = field(init=False)
    # As loaded; None for those that are new.
    originals: dict[str, Held | None] = field(default_factory=dict)
    superseded: list[Held] = field(default_factory=list)
    # The same content, written later: only the moment is kept.
    rewritten: dict[str, datetime] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    reviews: dict[Pair, Review] = field(default_factory=dict)
    held_apart: dict[Pair, str] = field(default_factory=dict)
    rejoined: set[Pair] = field(default_factory=set)
    ordained: dict[Pair, tuple[Override, str]] = field(default_factory=dict)
    settled: dict[Pair, Settled] = field(default_factory=dict)
    # Registrations whose open reviews may be settled by what was decided.
    moved: set[str] = field(default_factory=set)
    # Account numbers whose claimants changed.
    numbers: dict[Identifier, None] = field(default_factory=dict)
    # By the identity of the features, which are held so that it stays theirs.
    _keys: dict[int, tuple[Features, tuple[Key, ...]]] = field(default_factory=dict)
    _members: dict[str, dict[str, None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begins where the index stands, and groups the registrations by person."""
        self.blocks, self.held, self.apart = self.loaded.blocks, self.loaded.held, self.loaded.apart
        self.overrides = self.loaded.overrides
        for held in self.held.values():
            self._members.setdefault(held.person_id, {})[held.registration_id] = None

    def require(self, needed: Scope) -> None:
        """Makes sure that all of it is loaded and locked. Raises NotLoadedError."""
        known = self.loaded.scope
        if known is not None and any(getattr(needed, name) - getattr(known, name) for name in Scope.__slots__):
            raise NotLoadedError(needed)

    def require_persons(self, *person_ids: str) -> None:
        """Makes sure that everybody of these persons may be moved: nobody joins or leaves them meanwhile.

        Locked is also what another registration of the same person would lock. Raises NotLoadedError.
        """
        self.require(Scope(person_ids=frozenset(person_ids)))
        members = [held for person_id in person_ids for held in self.members(person_id)]
        locks = (lock for held in members for lock in locked_keys(held.registration_id, self._keys_of(held)))
        ids = frozenset(held.registration_id for held in members)
        self.require(Scope(registration_ids=ids, locks=frozenset(locks)))

    def require_all_of(self, registration_ids: Iterable[str]) -> None:
        """As `require_persons`, of those whom these registrations stand for, and what `settle` asks of their numbers.

        All in one look, however many they are. Raises NotLoadedError.
        """
        person_ids = {self.held[one].person_id for one in registration_ids if one in self.held}
        members = [held for person_id in person_ids for held in self.members(person_id)]
        keys = [key for held in members for key in numbers_among(self._keys_of(held))]
        locks = (lock for held in members for lock in locked_keys(held.registration_id, self._keys_of(held)))
        ids = frozenset(held.registration_id for held in members)
        self.require(Scope(ids, frozenset(person_ids), frozenset(keys), locks_of(keys).union(locks)))

    def require_blocks(self, keys: Iterable[Key]) -> None:
        """Makes sure that it is known who is found under these. Raises NotLoadedError, with all that are lacking."""
        missing = [key for key in keys if self.blocks.get(key) is None]
        if missing:
            raise NotLoadedError(Scope(keys=frozenset(missing), locks=locks_of(missing)))

    def members(self, person_id: str) -> list[Held]:
        """The registrations of a person."""
        return [self.held[one] for one in self._members.get(person_id, ())]

    def is_alone(self, registration_id: str) -> bool:
        """True if nobody shares the registration's person."""
        return len(self._members[self.held[registration_id].person_id]) == 1

    def block(self, key: Key) -> set[str]:
        """Who is found under a key; empty for a block too large to tell anything. Raises NotLoadedError."""
        found = self.blocks.get(key)
        if found is None:
            raise NotLoadedError(Scope(keys=frozenset({key}), locks=locks_of([key])))
        return set() if self._is_cut(key) else found

    def candidates(self, keys: Sequence[Key], registration_id: str) -> list[str]:
        """Who is to be compared, by the most discriminating keys first, without the registration itself."""
        self.require_blocks(keys)
        found: dict[str, None] = {}
        for key in keys:
            if len(found) >= MAX_CANDIDATES:
                break
            found.update(dict.fromkeys(sorted(self.block(key))))
        found.pop(registration_id, None)
        return list(found)[:MAX_CANDIDATES]

    def claimants(self, identifier: Identifier) -> list[Claimant] | None:
        """Those who show a number; None for a number that too many show to be anybody's."""
        key = identifier_key(identifier)
        if self._is_cut(key):
            return None
        shown = (self.held[one] for one in sorted(self.block(key)))
        return [Claimant(one.registration_id, one.person_id, one.features) for one in shown]

    def put(self, held: Held, *, is_content_new: bool = True) -> Held:
        """The registration stands so from now on. Answers it with its version.

        The version counts each content, and once in a transaction whatever else changed.
        """
        known = self.held.get(held.registration_id)
        first_change = held.registration_id not in self.originals
        if first_change:
            self.originals[held.registration_id] = known
        if known is not None:
            version = known.version + 1 if is_content_new or first_change else known.version
            if held.version != version:
                held = replace(held, version=version)
            if is_content_new:
                self.superseded.append(known)
            self._take_out(known, is_content_new=is_content_new)
        self.held[held.registration_id] = held
        self._members.setdefault(held.person_id, {})[held.registration_id] = None
        if is_content_new:
            for key in self._keys_of(held):
                block = self.blocks.get(key)
                if block is not None:
                    block.add(held.registration_id)
            self.note_numbers(held)
        return held

    def note_numbers(self, held: Held) -> None:
        """The claimants of the registration's account numbers have changed, or how they stand to each other."""
        for one in held.features.identifiers:
            if opens_account(one):
                self.numbers[one] = None

    def decide(
        self,
        kind: DecisionKind,
        held: Held,
        person_id: str,
        decided_by: str,
        moment: datetime,
        *,
        decision_id: str = "",
        reason: str = "",
        match: Match | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> Decision:
        """Records a decision and moves the registration. `evidence` is kept beside what the match tells."""
        decision = Decision(
            decision_id or self.make_id(),
            kind,
            held.registration_id,
            "" if kind is DecisionKind.REGISTER else held.person_id,
            person_id,
            decided_by,
            moment,
            reason,
            match.model if match else "",
            match.weight if match else 0.0,
            {**(evidence_of(match) if match else {}), **(evidence or {})},
        )
        self.decisions.append(decision)
        if held.person_id == person_id and kind is not DecisionKind.REGISTER:
            return decision
        moved = replace(held, person_id=person_id, decision_id=decision.decision_id, recorded_at=moment)
        self.put(moved, is_content_new=kind is DecisionKind.REGISTER)
        self.note_numbers(moved)
        return decision

    def review(self, registration_id: str, match: Match) -> None:
        """Asks for a person's judgement on a pair, unless they stand in one person or were held apart."""
        other = match.registration_id
        is_settled = self.held[other].person_id == self.held[registration_id].person_id
        if not is_settled and not self.is_apart(registration_id, other):
            self.reviews.setdefault(pair(registration_id, other), Review(registration_id, match))

    def question(self, registration_id: str, match: Match) -> None:
        """Asks whether two of one person belong together."""
        self.reviews.setdefault(pair(registration_id, match.registration_id), Review(registration_id, match))

    def is_apart(self, one: str, other: str) -> bool:
        """True if the index does not join these two by itself: they were parted, or are ordained to be two people."""
        return other in self.apart.get(one, ()) or self.overrides.get(one, {}).get(other) is Override.APART

    def hold_apart(self, one: str, other: str, decision_id: str) -> None:
        """The index does not join these two by itself from now on."""
        self.rejoined.discard(pair(one, other))
        self.held_apart[pair(one, other)] = decision_id
        self.apart.setdefault(one, set()).add(other)
        self.apart.setdefault(other, set()).add(one)

    def rejoin(self, one: str, other: str) -> None:
        """Forgets that these two were held apart."""
        self.held_apart.pop(pair(one, other), None)
        self.rejoined.add(pair(one, other))
        self.apart.get(one, set()).discard(other)
        self.apart.get(other, set()).discard(one)

    def ordain(self, one: str, other: str, kind: Override, decision_id: str) -> None:
        """Says what holds about a pair, whatever is matched or decided later."""
        self.ordained[pair(one, other)] = kind, decision_id
        for first, second in ((one, other), (other, one)):
            if kind is Override.NONE:
                self.overrides.get(first, {}).pop(second, None)
            else:
                self.overrides.setdefault(first, {})[second] = kind

    def moves(self) -> list[Move]:
        """The registrations that changed person."""
        return [
            Move(one, self.held[one].organization_id, before.person_id, self.held[one].person_id)
            for one, before in self.originals.items()
            if before is not None and before.person_id != self.held[one].person_id
        ]

    def announced(self) -> Iterator[Held]:
        """The registrations of which followers learn."""
        for registration_id, before in self.originals.items():
            after = self.held[registration_id]
            if before is None or before.version != after.version:
                yield after

    def changes(self) -> Changes:
        """What differs from what was loaded."""
        changed = [(before, self.held[registration_id]) for registration_id, before in self.originals.items()]
        made: list[tuple[Key, str]] = []
        gone: list[tuple[Key, str]] = []
        for before, after in changed:
            if before is not None and before.features == after.features:
                continue
            now, then = self._keys_of(after), self._keys_of(before) if before is not None else ()
            made.extend((key, after.registration_id) for key in now if key not in then)
            gone.extend((key, after.registration_id) for key in then if key not in now)
        return Changes(
            new=[after for before, after in changed if before is None],
            old=[after for before, after in changed if before is not None],
            superseded=self.superseded,
            rewritten={one: written for one, written in self.rewritten.items() if one not in self.originals},
            keys_made=made,
            keys_gone=gone,
            decisions=self.decisions,
            held_apart=self.held_apart,
            rejoined=list(self.rejoined),
            overrides=self.ordained,
            moved=[one for one in self.moved if self.originals.get(one, self.held[one]) is not None],
            reviews={one: review for one, review in self.reviews.items() if self._is_open(one, review)},
            settled=self.settled,
        )

    def _is_open(self, members: Pair, review: Review) -> bool:
        """What a later registration of the same batch has joined asks nobody any more."""
        one, other = (self.held[member] for member in members)
        return one.person_id != other.person_id or review.match.rule == PERSON_CONTRADICTED

    def note_keys(self, features: Features, keys: tuple[Key, ...]) -> None:
        """What was made of these features already, and need not be made again."""
        self._keys[id(features)] = features, keys

    def _keys_of(self, held: Held) -> tuple[Key, ...]:
        known = self._keys.get(id(held.features))
        if known is None:
            known = self._keys[id(held.features)] = held.features, held_keys(held)
        return known[1]

    def _is_cut(self, key: Key) -> bool:
        return key in self.loaded.cut or len(self.blocks.get(key, ())) > MAX_BLOCK

    def _take_out(self, known: Held, *, is_content_new: bool) -> None:
        members = self._members[known.person_id]
        del members[known.registration_id]
        if not members:
            del self._members[known.person_id]
        if is_content_new:
            self.note_numbers(known)
            for key in self._keys_of(known):
                self.blocks.get(key, set()).discard(known.registration_id)


def pair(one: str, other: str) -> Pair:
    """Two registrations as a pair: the same whichever comes first."""
    return (one, other) if one < other else (other, one)


def evidence_of(match: Match) -> Mapping[str, object]:
    """What a decision rested on, as it is kept."""
    return {
        "with": match.registration_id,
        "rule": match.rule,
        "grade": match.grade.name.lower(),
        "weight": match.weight,
        "fields": [[one.field, one.level, one.weight] for one in match.fields],
    }
