"""Reviews are assigned, judged by as many as they need, and ordered by urgency; a sample is judged blindly."""

from alembic import op

revision = "0003_reviews"
down_revision = "0002_decisions"
branch_labels = None
depends_on = None

COLUMNS = """
    ALTER TABLE reviews
        ADD COLUMN priority double precision NOT NULL DEFAULT 0,
        ADD COLUMN assigned_to text NOT NULL DEFAULT '',
        ADD COLUMN assigned_until timestamptz
"""

TABLES = (
    """
    CREATE TABLE review_verdicts (
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        position bigint GENERATED ALWAYS AS IDENTITY,
        reviewer text NOT NULL,
        verdict smallint NOT NULL,
        reason text NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (registration_id, other_id, position)
    )
    """,
    """
    CREATE TABLE sampled_pairs (
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        is_linked boolean NOT NULL,
        strata jsonb NOT NULL,
        drawn_at timestamptz NOT NULL,
        assigned_to text NOT NULL DEFAULT '',
        assigned_until timestamptz,
        is_settled boolean NOT NULL DEFAULT false,
        PRIMARY KEY (registration_id, other_id)
    )
    """,
    """
    CREATE TABLE sample_verdicts (
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        position bigint GENERATED ALWAYS AS IDENTITY,
        reviewer text NOT NULL,
        verdict smallint NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (registration_id, other_id, position)
    )
    """,
    "CREATE UNIQUE INDEX sample_verdicts_once ON sample_verdicts (registration_id, other_id, reviewer)",
)

# The previous release asks without a priority: what it asks is as urgent as it is likely.
FILL = "UPDATE reviews SET priority = weight"

BY_PRIORITY = """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS reviews_by_priority ON reviews (priority DESC, registration_id, other_id)
    WHERE closed_at IS NULL
"""


def upgrade() -> None:
    for ddl in (COLUMNS, *TABLES, FILL):
        op.execute(ddl)
    with op.get_context().autocommit_block():
        op.execute(BY_PRIORITY)


def downgrade() -> None:
    op.execute("DROP INDEX reviews_by_priority")
    for table in ("review_verdicts", "sampled_pairs", "sample_verdicts"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE reviews DROP COLUMN priority, DROP COLUMN assigned_to, DROP COLUMN assigned_until")
