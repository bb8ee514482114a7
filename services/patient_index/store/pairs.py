"""Writes what holds between two registrations: that they are held apart, or what is ordained. Each pair stands twice."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Writer
from services.patient_index.model import Changes, Override, Pair

HOLD_APART = Statement(
    "patient_index.hold_apart",
    text(
        """
        INSERT INTO held_apart (registration_id, other_id, decision_id, recorded_at)
        SELECT pairs.*, CAST(:recorded_at AS timestamptz) FROM unnest(
            CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:decision_ids AS uuid[])
        ) AS pairs
        ON CONFLICT (registration_id, other_id) DO UPDATE
        SET decision_id = excluded.decision_id, recorded_at = excluded.recorded_at
        """
    ),
)

REJOIN = Statement(
    "patient_index.rejoin",
    text(
        """
        DELETE FROM held_apart
        USING unnest(CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[])) AS gone (registration_id, other_id)
        WHERE held_apart.registration_id = gone.registration_id AND held_apart.other_id = gone.other_id
        """
    ),
)

ORDAIN = Statement(
    "patient_index.ordain",
    text(
        """
        INSERT INTO overrides (registration_id, other_id, kind, decision_id, recorded_at)
        SELECT pairs.*, CAST(:recorded_at AS timestamptz) FROM unnest(
            CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:kinds AS smallint[]),
            CAST(:decision_ids AS uuid[])
        ) AS pairs
        ON CONFLICT (registration_id, other_id) DO UPDATE
        SET kind = excluded.kind, decision_id = excluded.decision_id, recorded_at = excluded.recorded_at
        """
    ),
)

WITHDRAW = Statement(
    "patient_index.withdraw",
    text(
        """
        DELETE FROM overrides
        USING unnest(CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[])) AS gone (registration_id, other_id)
        WHERE overrides.registration_id = gone.registration_id AND overrides.other_id = gone.other_id
        """
    ),
)


async def write_pairs(writer: Writer, changes: Changes, moment: datetime) -> None:
    """Writes what a transaction changed between pairs."""
    if changes.held_apart:
        await hold_apart(writer, changes.held_apart, moment)
    if changes.rejoined:
        both = [*changes.rejoined, *((other, one) for one, other in changes.rejoined)]
        await writer.execute(REJOIN, registration_ids=[one for one, _ in both], other_ids=[other for _, other in both])
    if changes.overrides:
        await ordain(writer, changes.overrides, moment)


async def hold_apart(writer: Writer, pairs: Mapping[Pair, str], moment: datetime) -> None:
    """Pair → the decision that holds it apart from now on."""
    both = [(one, other, decision) for (one, other), decision in pairs.items()]
    both += [(other, one, decision) for one, other, decision in both]
    await writer.execute(
        HOLD_APART,
        registration_ids=[one for one, _, _ in both],
        other_ids=[other for _, other, _ in both],
        decision_ids=[decision for _, _, decision in both],
        recorded_at=moment,
    )


async def ordain(writer: Writer, pairs: Mapping[Pair, tuple[Override, str]], moment: datetime) -> None:
    """Pair → what is ordained about it from now on, and by which decision; NONE withdraws."""
    both = [(one, other, kind, decision) for (one, other), (kind, decision) in pairs.items()]
    both += [(other, one, kind, decision) for one, other, kind, decision in both]
    standing = [row for row in both if row[2] is not Override.NONE]
    withdrawn = [row for row in both if row[2] is Override.NONE]
    if standing:
        await writer.execute(
            ORDAIN,
            registration_ids=[one for one, _, _, _ in standing],
            other_ids=[other for _, other, _, _ in standing],
            kinds=[int(kind) for _, _, kind, _ in standing],
            decision_ids=[decision for _, _, _, decision in standing],
            recorded_at=moment,
        )
    if withdrawn:
        await writer.execute(
            WITHDRAW,
            registration_ids=[one for one, _, _, _ in withdrawn],
            other_ids=[other for _, other, _, _ in withdrawn],
        )
