"""Puts what stands where the decisions say."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Writer
from services.patient_index.model import Held, Override, Pair
from services.patient_index.store.pairs import REJOIN, hold_apart, ordain
from services.patient_index.store.reading import read_registrations

# The last decision is looked at again, for a newer one may have been made since.
PUT_RIGHT = Statement(
    "patient_index.put_right",
    text(
        """
        UPDATE registrations
        SET person_id = told.person_id, decision_id = told.decision_id, version = registrations.version + 1,
            recorded_at = CAST(:moment AS timestamptz)
        FROM (
            SELECT DISTINCT ON (registration_id) registration_id, decisions.person_id, decisions.decision_id
            FROM decisions
            WHERE registration_id = ANY (CAST(:registration_ids AS uuid[]))
            ORDER BY registration_id, position DESC
        ) AS told
        WHERE registrations.registration_id = told.registration_id AND registrations.person_id <> told.person_id
        RETURNING CAST(registrations.registration_id AS text) AS registration_id
        """
    ),
)


async def put_right(writer: Writer, registration_ids: list[str], moment: datetime) -> list[Held]:
    """Puts each with the person that its last decision says, and answers those that moved."""
    rows = await writer.change(PUT_RIGHT, registration_ids=registration_ids, moment=moment)
    held = await read_registrations(writer, [row["registration_id"] for row in rows])
    return list(held.values())


async def put_pairs_right(
    writer: Writer, apart: Mapping[Pair, str], overrides: Mapping[Pair, tuple[Override, str]], moment: datetime
) -> None:
    """Pair → the decision that holds it apart, empty for none; pair → what is ordained, and by which decision."""
    gone = [pair for one, decision in apart.items() if not decision for pair in (one, one[::-1])]
    if gone:
        await writer.execute(REJOIN, registration_ids=[one for one, _ in gone], other_ids=[other for _, other in gone])
    held = {one: decision for one, decision in apart.items() if decision}
    if held:
        await hold_apart(writer, held, moment)
    if overrides:
        await ordain(writer, overrides, moment)
