"""What prescribers did with advice."""

from alembic import op

revision = "0003_feedback"
down_revision = "0002_terminology"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE decision_feedback (
            card text NOT NULL,
            organization_id text NOT NULL,
            service text NOT NULL,
            outcome text NOT NULL,
            suggestions text[] NOT NULL,
            reason text NOT NULL,
            comment text NOT NULL,
            occurred_at text NOT NULL,
            recorded_at timestamptz NOT NULL,
            PRIMARY KEY (organization_id, card, occurred_at)
        )
        """
    )
