"""Reads decisions: of a registration, by their id, and all of them in the order in which they were made."""

from collections.abc import AsyncIterator, Collection

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.patient_index.model import Decision, Override, Pair
from services.patient_index.store.rows import decision_of

_COLUMNS = """
    CAST(decision_id AS text) AS decision_id, CAST(registration_id AS text) AS registration_id,
    CAST(previous_person_id AS text) AS previous_person_id, CAST(person_id AS text) AS person_id, kind, decided_by,
    reason, model, weight, evidence, recorded_at, position
"""
_PAGE = 1000
_NOBODY = "00000000-0000-0000-0000-000000000000"

LIST_DECISIONS = Statement(
    "patient_index.list_decisions",
    text(
        f"""
        SELECT {_COLUMNS} FROM decisions
        WHERE registration_id = CAST(:registration_id AS uuid)
        ORDER BY position
        """
    ),
)

# Not of registering, which is found by the registration.
READ_DECISION = Statement(
    "patient_index.read_decision",
    text(
        f"""
        SELECT {_COLUMNS} FROM decisions
        WHERE decision_id = CAST(:decision_id AS uuid) AND kind <> 1
        ORDER BY position
        """
    ),
)

# A person whose registrations all went to another by a merge or an override, and where that one went, until somebody is
# there.
MERGED_INTO = Statement(
    "patient_index.merged_into",
    text(
        """
        WITH RECURSIVE merged (first_id, person_id, depth) AS (
            SELECT first_id, first_id, 0 FROM unnest(CAST(:person_ids AS uuid[])) AS wanted (first_id)
            UNION ALL
            SELECT merged.first_id, next.person_id, merged.depth + 1
            FROM merged CROSS JOIN LATERAL (
                SELECT person_id FROM decisions
                WHERE previous_person_id = merged.person_id AND kind IN (4, 6) AND person_id <> previous_person_id
                ORDER BY position DESC LIMIT 1
            ) AS next
            WHERE merged.depth < 100 AND NOT EXISTS (
                SELECT FROM registrations WHERE registrations.person_id = merged.person_id
            )
        )
        SELECT DISTINCT ON (first_id) CAST(first_id AS text) AS first_id, CAST(person_id AS text) AS person_id
        FROM merged WHERE depth > 0
        ORDER BY first_id, depth DESC
        """
    ),
)

# In the order of the primary key, so that all of one registration come together.
SCAN_DECISIONS = Statement(
    "patient_index.scan_decisions",
    text(
        f"""
        SELECT {_COLUMNS} FROM decisions
        WHERE (registration_id, position) > (CAST(:registration_id AS uuid), CAST(:position AS bigint))
        ORDER BY decisions.registration_id, position
        LIMIT CAST(:most AS integer)
        """
    ),
)

SCAN_PEOPLE_S_DECISIONS = Statement(
    "patient_index.scan_people_s_decisions",
    text(
        f"""
        SELECT {_COLUMNS} FROM decisions
        WHERE kind <> 1 AND (kind <> 2 OR decided_by <> 'index') AND position > CAST(:position AS bigint)
        ORDER BY position
        LIMIT CAST(:most AS integer)
        """
    ),
)

READ_PAIRS = Statement(
    "patient_index.read_pairs",
    text(
        """
        SELECT CAST(registration_id AS text) AS registration_id, CAST(other_id AS text) AS other_id, 0 AS kind
        FROM held_apart WHERE registration_id < other_id
        UNION ALL
        SELECT CAST(registration_id AS text), CAST(other_id AS text), kind
        FROM overrides WHERE registration_id < other_id
        """
    ),
)


async def list_decisions(reader: Reader, registration_id: str) -> list[Decision]:
    """The decisions about a registration, oldest first."""
    return [decision_of(row) for row in await reader.fetch(LIST_DECISIONS, registration_id=registration_id)]


async def read_decision(reader: Reader, decision_id: str) -> list[Decision]:
    """A decision, once for each registration that it is about; empty where there is none."""
    return [decision_of(row) for row in await reader.fetch(READ_DECISION, decision_id=decision_id)]


async def merged_into(reader: Reader, person_ids: Collection[str]) -> dict[str, str]:
    """Person without registrations → the person that these were merged into, where they were."""
    rows = await reader.fetch(MERGED_INTO, person_ids=list(person_ids))
    return {row["first_id"]: row["person_id"] for row in rows}


async def scan_decisions(reader: Reader) -> AsyncIterator[Decision]:
    """Every decision, registration by registration, those of each in their order."""
    registration_id, position = _NOBODY, 0
    while rows := await reader.fetch(SCAN_DECISIONS, registration_id=registration_id, position=position, most=_PAGE):
        for row in rows:
            yield decision_of(row)
        registration_id, position = rows[-1]["registration_id"], rows[-1]["position"]


async def scan_people_s_decisions(reader: Reader) -> AsyncIterator[Decision]:
    """What was decided beside what the index does by itself, in the order in which it was decided."""
    position = 0
    while rows := await reader.fetch(SCAN_PEOPLE_S_DECISIONS, position=position, most=_PAGE):
        for row in rows:
            yield decision_of(row)
        position = rows[-1]["position"]


async def read_pairs(reader: Reader) -> tuple[set[Pair], dict[Pair, Override]]:
    """The pairs that are held apart, and those about which something is ordained."""
    apart: set[Pair] = set()
    overrides: dict[Pair, Override] = {}
    for one, other, kind in await reader.fetch(READ_PAIRS):
        if kind:
            overrides[one, other] = Override(kind)
        else:
            apart.add((one, other))
    return apart, overrides
