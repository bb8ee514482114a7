"""What an order is held against: the person's allergies and drugs, what codes are in ATC, and interactions."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson
from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.model import Operation, Stored
from services.records.rules.allergies import ATC
from services.records.rules.checking import Interaction
from services.records.store import compartment
from services.records.store.terminology import translating

HELD_AGAINST = ("AllergyIntolerance", "MedicationRequest", "MedicationStatement")

INTERACTIONS = Statement(
    "interactions.among",
    text(
        """
        SELECT i.atc_a, i.atc_b, i.severity, i.direction, i.text_th, i.text_en, i.name || ' ' || i.version AS source
        FROM interactions AS i
        JOIN terminology_loads AS l
          ON l.kind = 'interactions' AND l.name = i.name AND l.version = i.version AND l.is_current
        WHERE i.atc_a = ANY(CAST(:prefixes AS text[])) AND i.atc_b = ANY(CAST(:prefixes AS text[]))
        ORDER BY i.atc_a, i.atc_b, i.name
        """
    ),
)


async def on_record(
    reader: Reader, caller: Caller, seen_at: datetime, registration_id: str, types: Sequence[str] = HELD_AGAINST
) -> list[Stored]:
    """The person's allergies and drugs, as far as the caller may see them; the Patient first, who says that there is one."""
    found = await compartment.newest(reader, caller, seen_at, registration_id, ("Patient", *types))
    return [one for one in found if one.operation is not Operation.DELETE]


async def in_atc(reader: Reader, codings: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """What loaded maps give as ATC for codes of other systems."""
    keys = sorted({(system, code) for system, code in codings if system != ATC})
    if not keys:
        return {}
    found: dict[tuple[str, str], list[str]] = {}
    for one in await translating.loaded(reader, keys):
        if one.target_system == ATC:
            found.setdefault((one.source_system, one.source_code), []).append(one.target_code)
    return found


async def interactions(reader: Reader, prefixes: Sequence[str]) -> list[Interaction]:
    """Those between drugs of these ATC codes and groups, of the tables that are current."""
    if not prefixes:
        return []
    return [Interaction(**row) for row in await reader.fetch(INTERACTIONS, prefixes=prefixes)]


def body_of(stored: Stored) -> dict[str, object]:
    """What a stored resource says."""
    found: dict[str, object] = orjson.loads(stored.body)
    return found
