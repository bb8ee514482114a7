"""Indexes on the filled tables: of what is to be indexed anew, and of the versions that a page walk may still ask for.

Built partition by partition, so that nobody waits: on a partitioned table no index is built concurrently. Each step may be
cut off and run again.
"""

from alembic import op
from sqlalchemy import text

revision = "0005_search_indexes"
down_revision = "0004_search"
branch_labels = None
depends_on = None

PARTITIONS = 8
INDEXES = {
    "resources_to_index": ("resources", "(type, id) WHERE index_generation < 2"),
    "resource_versions_superseded": ("resource_versions", "(type, superseded_at) WHERE superseded_at IS NOT NULL"),
}
ATTACHED = "SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass('public.{name}')"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, what) in INDEXES.items():
            op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {what}")
            for number in range(PARTITIONS):
                part = f"{name}_{number}"
                if op.get_bind().execute(text(ATTACHED.format(name=part))).scalar():
                    continue
                # One that was cut off is there, and invalid.
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {part}")
                op.execute(f"CREATE INDEX CONCURRENTLY {part} ON {table}_{number} {what}")
                op.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")
