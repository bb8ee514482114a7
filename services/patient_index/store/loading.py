"""Loads what a transaction needs to see: a few indexed queries, whatever the number of registrations that come."""

from dataclasses import replace

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.patient_index.model import Held, Key, Loaded, Override, Scope
from services.patient_index.store.history import list_decisions, merged_into, read_decision
from services.patient_index.store.reviews import read_asked
from services.patient_index.store.rows import HELD_COLUMNS, held_of

# Each block by itself, at most one row more than a block may have: a dummy number costs as little as any other.
FIND_BLOCKS = Statement(
    "patient_index.find_blocks",
    text(
        """
        SELECT wanted.kind, wanted.key, array_agg(CAST(found.registration_id AS text)) AS registration_ids
        FROM unnest(CAST(:kinds AS smallint[]), CAST(:keys AS bigint[])) AS wanted (kind, key)
        CROSS JOIN LATERAL (
            SELECT registration_id FROM registration_keys
            WHERE registration_keys.key = wanted.key AND registration_keys.kind = wanted.kind
            LIMIT CAST(:most AS integer)
        ) AS found
        GROUP BY wanted.kind, wanted.key
        """
    ),
)

# Registrations with all who share a person with them, and everybody of the persons named.
FIND_REGISTRATIONS = Statement(
    "patient_index.find_registrations",
    text(
        f"""
        SELECT {HELD_COLUMNS}
        FROM registrations
        WHERE person_id IN (
            SELECT found.person_id
            FROM unnest(CAST(:registration_ids AS uuid[])) AS wanted (registration_id)
            JOIN registrations AS found USING (registration_id)
            UNION
            SELECT unnest(CAST(:person_ids AS uuid[]))
        )
        """
    ),
)

# Pairs that were parted (kind 0), and those about which something is ordained (model.Override).
FIND_APART = Statement(
    "patient_index.find_apart",
    text(
        """
        SELECT CAST(registration_id AS text) AS registration_id, CAST(other_id AS text) AS other_id, 0 AS kind
        FROM held_apart
        WHERE registration_id = ANY (CAST(:registration_ids AS uuid[]))
        UNION ALL
        SELECT CAST(registration_id AS text), CAST(other_id AS text), kind
        FROM overrides
        WHERE registration_id = ANY (CAST(:registration_ids AS uuid[]))
        """
    ),
)


async def load(reader: Reader, scope: Scope, max_block: int) -> Loaded:
    """What the scope holds. Blocks with more than `max_block` members are cut."""
    blocks, cut = await _find_blocks(reader, scope.keys, max_block)
    found = scope.registration_ids.union(*blocks.values())
    held: dict[str, Held] = {}
    if found or scope.person_ids:
        rows = await reader.fetch(FIND_REGISTRATIONS, registration_ids=list(found), person_ids=list(scope.person_ids))
        held.update((one.registration_id, one) for one in map(held_of, rows))
    apart: dict[str, set[str]] = {}
    overrides: dict[str, dict[str, Override]] = {}
    known = [one for one in scope.registration_ids if one in held]
    if known:
        for registration_id, other_id, kind in await reader.fetch(FIND_APART, registration_ids=known):
            if kind:
                overrides.setdefault(registration_id, {})[other_id] = Override(kind)
            else:
                apart.setdefault(registration_id, set()).add(other_id)
    histories = {one: await list_decisions(reader, one) for one in scope.histories}
    decisions = {one: await read_decision(reader, one) for one in scope.decision_ids}
    merged = await merged_into(reader, scope.merged_ids) if scope.merged_ids else {}
    asked = await read_asked(reader, scope.reviewed) if scope.reviewed else {}
    return Loaded(held, blocks, cut, apart, overrides, histories, decisions, merged, asked, scope)


async def load_blocks(reader: Reader, loaded: Loaded, keys: frozenset[Key], max_block: int) -> Loaded:
    """What was loaded, with these blocks too."""
    assert loaded.scope is not None  # noqa: S101 what the store loads says for what
    more, cut = await _find_blocks(reader, keys, max_block)
    held = dict(loaded.held)
    unseen = frozenset[str]().union(*more.values()) - held.keys()
    if unseen:
        rows = await reader.fetch(FIND_REGISTRATIONS, registration_ids=list(unseen), person_ids=[])
        held.update((one.registration_id, one) for one in map(held_of, rows))
    scope = replace(loaded.scope, keys=loaded.scope.keys | keys)
    return replace(loaded, held=held, blocks={**loaded.blocks, **more}, cut=loaded.cut | cut, scope=scope)


async def _find_blocks(reader: Reader, wanted: frozenset[Key], max_block: int) -> tuple[dict[Key, set[str]], set[Key]]:
    """Who is found under each key, and the keys of blocks that are too large."""
    blocks: dict[Key, set[str]] = {key: set() for key in wanted}
    cut: set[Key] = set()
    if blocks:
        kinds, keys = zip(*blocks, strict=True)
        for kind, key, members in await reader.fetch(
            FIND_BLOCKS, kinds=list(kinds), keys=list(keys), most=max_block + 1
        ):
            if len(members) > max_block:
                cut.add((kind, key))
            else:
                blocks[kind, key].update(members)
    return blocks, cut
