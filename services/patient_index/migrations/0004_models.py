"""Matching models as data: registered, run in the shadow, approved, adopted."""

from alembic import op

revision = "0004_models"
down_revision = "0003_reviews"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE models (
        name text PRIMARY KEY,
        definition text NOT NULL,
        registered_by text NOT NULL,
        reason text NOT NULL,
        registered_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE model_approvals (
        name text NOT NULL,
        approved_by text NOT NULL,
        reason text NOT NULL,
        approved_at timestamptz NOT NULL,
        PRIMARY KEY (name, approved_by)
    )
    """,
    """
    CREATE TABLE model_adoptions (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        previous text NOT NULL,
        adopted_by text NOT NULL,
        reason text NOT NULL,
        adopted_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE model_runs (
        name text PRIMARY KEY,
        against text NOT NULL,
        cursor uuid NOT NULL,
        scored bigint NOT NULL,
        registrations bigint NOT NULL,
        joins bigint NOT NULL,
        parts bigint NOT NULL,
        is_finished boolean NOT NULL,
        started_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE model_flips (
        name text NOT NULL,
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        kind smallint NOT NULL,
        grade_before smallint NOT NULL,
        grade_after smallint NOT NULL,
        weight_before double precision NOT NULL,
        weight_after double precision NOT NULL,
        probability double precision NOT NULL,
        fields jsonb NOT NULL,
        PRIMARY KEY (name, registration_id, other_id)
    )
    """,
    """
    CREATE INDEX model_flips_by_change
        ON model_flips (name, abs(weight_after - weight_before) DESC, registration_id, other_id)
    """,
)


def upgrade() -> None:
    for ddl in TABLES:
        op.execute(ddl)


def downgrade() -> None:
    for table in ("models", "model_approvals", "model_adoptions", "model_runs", "model_flips"):
        op.execute(f"DROP TABLE {table}")
