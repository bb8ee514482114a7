"""Decisions found by their id and in the order in which people made them; what is ordained about pairs.

Earlier unlinks are told which pairs they hold apart, so that replaying decisions rebuilds those too.
"""

from alembic import op

revision = "0002_decisions"
down_revision = "0001_start"
branch_labels = None
depends_on = None

# On filled tables, so built while the previous release goes on writing.
INDEXES = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS decisions_by_id ON decisions (decision_id) WHERE kind <> 1",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS decisions_of_merged ON decisions (previous_person_id) WHERE kind IN (4, 6)",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS decisions_by_people ON decisions (position) "
    "WHERE kind <> 1 AND (kind <> 2 OR decided_by <> 'index')",
)

OVERRIDES = """
    CREATE TABLE overrides (
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        kind smallint NOT NULL,
        decision_id uuid NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (registration_id, other_id)
    )
"""

TELL_UNLINKS = """
    UPDATE decisions SET evidence = evidence || jsonb_build_object('held_apart', apart.pairs)
    FROM (
        SELECT decision_id, jsonb_agg(jsonb_build_array(registration_id, other_id) ORDER BY registration_id, other_id)
            AS pairs
        FROM held_apart WHERE registration_id < other_id GROUP BY decision_id
    ) AS apart
    WHERE decisions.decision_id = apart.decision_id AND decisions.kind = 3
"""


def upgrade() -> None:
    op.execute(OVERRIDES)
    op.execute(TELL_UNLINKS)
    with op.get_context().autocommit_block():
        for ddl in INDEXES:
            op.execute(ddl)


def downgrade() -> None:
    op.execute("DROP TABLE overrides")
    for name in ("decisions_by_id", "decisions_of_merged", "decisions_by_people"):
        op.execute(f"DROP INDEX {name}")
