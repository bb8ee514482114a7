"""What citizens decided about who may see what, as identity announces it."""

from alembic import op

revision = "0005_consents"
down_revision = "0004_models"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE consents (
        consent_id text PRIMARY KEY,
        citizen_key text NOT NULL,
        organization_id text NOT NULL,
        category smallint NOT NULL,
        decision smallint NOT NULL,
        version bigint NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX consents_of_citizen ON consents (citizen_key)",
)


def upgrade() -> None:
    for ddl in TABLES:
        op.execute(ddl)


def downgrade() -> None:
    op.execute("DROP TABLE consents")
