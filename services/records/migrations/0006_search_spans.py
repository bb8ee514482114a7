"""Indexes of the few whose span is not about a point: of numbers by their high end, of resources that last longer than a month.

All others are found by their beginning, so that a search for what is greater or later need not look at what is less.
"""

from alembic import op

from libs.database.partitions import build_index

revision = "0006_search_spans"
down_revision = "0005_search_indexes"
branch_labels = None
depends_on = None

PARTITIONS = 8
INDEXES = {
    "search_numbers_with_ends": ("search_numbers", "(place, high) WHERE low < high"),
    "resources_that_last": ("resources", "(type) WHERE occurred_to - occurred_from > interval '32 days'"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, what) in INDEXES.items():
            build_index(op, name, table, what, partitions=PARTITIONS)
