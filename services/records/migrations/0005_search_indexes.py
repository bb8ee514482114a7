"""Indexes on the filled tables: of what is to be indexed anew, and of the versions that a page walk may still ask for.

Nobody waits, and each step may be cut off and run again.
"""

from alembic import op

from libs.database.partitions import build_index

revision = "0005_search_indexes"
down_revision = "0004_search"
branch_labels = None
depends_on = None

PARTITIONS = 8
INDEXES = {
    "resources_to_index": ("resources", "(type, id) WHERE index_generation < 2"),
    "resource_versions_superseded": ("resource_versions", "(type, superseded_at) WHERE superseded_at IS NOT NULL"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, what) in INDEXES.items():
            build_index(op, name, table, what, partitions=PARTITIONS)
