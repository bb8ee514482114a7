"""Value sets: found, put together, and asked whether a code is of them."""

from dataclasses import dataclass
from datetime import datetime

import orjson

from libs.access.caller import Caller
from libs.database.transactions import Reader
from libs.errors import FailedPreconditionError, FieldViolation, NotFoundError
from services.records.model import Operation
from services.records.rules.terminology import carried
from services.records.rules.terminology.composing import (
    Composition,
    Part,
    composition_of,
    implicit,
    narrowed,
    renamed,
    words_of,
)
from services.records.rules.terminology.concepts import Concept, Selection, has_words
from services.records.store import resources, searching
from services.records.store.terminology.systems import filed_resources, find_system, require_system

# More than one answer holds; a larger set is asked with a filter.
MAX_MEMBERS = 50_000
# Value sets that are made of value sets that are made of value sets.
_DEEPEST = 10
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A concept of a value set."""

    system: str
    version: str
    concept: Concept


class ValueSets:
    """Value sets as one caller sees them, at one time."""

    def __init__(self, reader: Reader, caller: Caller, seen_at: datetime) -> None:
        self._reader = reader
        self._caller = caller
        self._seen_at = seen_at

    async def find(self, canonical: str) -> Composition:
        """The value set: implied by a code system, carried, or filed. Raises NotFoundError, reason VALUE_SET_UNKNOWN."""
        url, _, version = canonical.partition("|")
        found = implicit(url)
        if found is not None:
            return found
        # What the platform carries is nobody's to redefine for others.
        row = carried.value_set(url)
        if row is not None and version in {"", row["version"]}:
            return composition_of(row)
        for filed in await filed_resources(self._reader, self._caller, self._seen_at, "ValueSet", url, version):
            return composition_of(filed)
        raise _unknown(canonical)

    async def read(self, resource_id: str) -> Composition:
        """A filed value set by its id. Raises NotFoundError, reason VALUE_SET_UNKNOWN."""
        if not searching.may_see(self._caller, "ValueSet"):
            raise _unknown(resource_id)
        found = await resources.read(self._reader, self._caller, self._seen_at, "ValueSet", resource_id)
        if found is None or not found.is_visible or found.stored.operation is Operation.DELETE:
            raise _unknown(resource_id)
        return composition_of(orjson.loads(found.stored.body))

    async def expand(
        self, wanted: Composition, words: tuple[str, ...] = (), *, active_only: bool = False, depth: int = 0
    ) -> list[Member]:
        """The members, each once, in order.

        Raises NotFoundError, reasons VALUE_SET_UNKNOWN, CODE_SYSTEM_UNKNOWN; FailedPreconditionError, reason
        EXPANSION_TOO_COSTLY.
        """
        if depth > _DEEPEST:
            raise _too_costly(wanted.url, "it is made of value sets in too many steps")
        found: dict[Key, Member] = {}
        for part in wanted.includes:
            for member in await self._part(part, words, active_only=active_only, depth=depth):
                found.setdefault((member.system, member.concept.code), member)
            if len(found) > MAX_MEMBERS:
                raise _too_costly(wanted.url, f"it has more than {MAX_MEMBERS} codes; ask with a filter")
        for part in wanted.excludes:
            for member in await self._part(part, (), active_only=False, depth=depth):
                found.pop((member.system, member.concept.code), None)
        return list(found.values())

    async def _part(self, part: Part, words: tuple[str, ...], *, active_only: bool, depth: int) -> list[Member]:
        members: list[Member] | None = None
        if part.system:
            members = await self._of_system(part, words, active_only=active_only)
        for canonical in part.value_sets:
            inner = await self.expand(await self.find(canonical), words, active_only=active_only, depth=depth + 1)
            if members is None:
                members = inner
            else:
                keys = {(one.system, one.concept.code) for one in inner}
                members = [one for one in members if (one.system, one.concept.code) in keys]
        return members or []

    async def _of_system(self, part: Part, words: tuple[str, ...], *, active_only: bool) -> list[Member]:
        listed = part.selection.codes is not None and not part.selection.filters
        found = (
            await find_system(self._reader, self._caller, self._seen_at, part.system, part.version)
            if listed
            else await require_system(self._reader, self._caller, self._seen_at, part.system, part.version)
        )
        if found is None:
            # A list of codes stands by itself, whether or not the system is known.
            concepts = [renamed(part, Concept(code)) for code in part.selection.codes or ()]
            return [Member(part.system, part.version, one) for one in concepts if has_words(one, words)]
        named = {code for code, _ in part.displays}
        selection = narrowed(part.selection, () if named else words, active_only=active_only)
        concepts = [renamed(part, one) for one in await found.select(selection, MAX_MEMBERS + 1)]
        if named:
            # What the value set calls them counts as well.
            concepts = [one for one in concepts if has_words(one, words)]
        return [Member(part.system, found.version, one) for one in concepts]

    async def includes(self, wanted: Composition, system: str, code: str, depth: int = 0) -> Member | None:
        """The member with this code (of any system, where none is named); None for none.

        Asks for one code of each part, so that large systems cost no expansion. Raises as `expand`.
        """
        if depth > _DEEPEST:
            raise _too_costly(wanted.url, "it is made of value sets in too many steps")
        for part in wanted.includes:
            member = await self._has(part, system, code, depth)
            if member is not None:
                for excluded in wanted.excludes:
                    if await self._has(excluded, member.system, code, depth) is not None:
                        break
                else:
                    return member
        return None

    async def _has(self, part: Part, system: str, code: str, depth: int) -> Member | None:
        if part.system and system not in {"", part.system}:
            return None
        member: Member | None = None
        if part.system:
            codes = part.selection.codes
            if codes is not None and code not in codes:
                return None
            one = Part(part.system, part.version, Selection((code,), part.selection.filters), (), part.displays)
            members = await self._of_system(one, (), active_only=False)
            if not members:
                return None
            member = members[0]
        for canonical in part.value_sets:
            inner = await self.includes(
                await self.find(canonical), member.system if member else system, code, depth + 1
            )
            if inner is None:
                return None
            member = member or inner
        return member


async def members(reader: Reader, caller: Caller, seen_at: datetime, canonical: str) -> list[Key]:
    """(system, code) of every member of a value set: what `:in` and `:not-in` ask for.

    Raises as `ValueSets.expand`.
    """
    sets = ValueSets(reader, caller, seen_at)
    return [(one.system, one.concept.code) for one in await sets.expand(await sets.find(canonical))]


async def below(reader: Reader, caller: Caller, seen_at: datetime, system: str, code: str) -> list[str]:
    """The code and all that it subsumes: what `:below` asks for. A system that is not known has the code alone."""
    found = await find_system(reader, caller, seen_at, system)
    return [code, *sorted(await found.descendants(code))] if found is not None else [code]


async def above(reader: Reader, caller: Caller, seen_at: datetime, system: str, code: str) -> list[str]:
    """The code and all that subsume it: what `:above` asks for. A system that is not known has the code alone."""
    found = await find_system(reader, caller, seen_at, system)
    return [code, *sorted(await found.ancestors(code))] if found is not None else [code]


def _unknown(canonical: str) -> NotFoundError:
    message = f"the value set {canonical} is not known here"
    return NotFoundError("VALUE_SET_UNKNOWN", message, fields=[FieldViolation("url", "not-found", message)])


def _too_costly(url: str, why: str) -> FailedPreconditionError:
    message = f"the value set {url} is not expanded: {why}"
    return FailedPreconditionError(
        "EXPANSION_TOO_COSTLY", message, fields=[FieldViolation("url", "too-costly", message)]
    )


__all__ = ["MAX_MEMBERS", "Member", "ValueSets", "above", "below", "members", "words_of"]
