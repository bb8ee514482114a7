"""What prescribers did with advice."""

from datetime import datetime

from nhip.records.v1 import decisions_pb2
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Writer

RECORD = Statement(
    "decision_feedback.record",
    text(
        """
        INSERT INTO decision_feedback
            (card, organization_id, service, outcome, suggestions, reason, comment, occurred_at, recorded_at)
        VALUES (:card, :organization_id, :service, :outcome, :suggestions, :reason, :comment, :occurred_at, :recorded_at)
        ON CONFLICT DO NOTHING
        """
    ),
)


async def record(
    writer: Writer, service: str, organization_id: str, one: decisions_pb2.Feedback, recorded_at: datetime
) -> bool:
    """Keeps one; False where it was known."""
    count = await writer.execute(
        RECORD,
        card=one.card,
        organization_id=organization_id,
        service=service,
        outcome=one.outcome,
        suggestions=list(one.suggestions),
        reason=one.reason,
        comment=one.comment,
        occurred_at=one.occurred_at,
        recorded_at=recorded_at,
    )
    return count > 0
