"""Indexes on partitioned tables that are filled and in use."""

from alembic.operations import Operations
from sqlalchemy import text

_ATTACHED = "SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass('public.{name}')"


def build_index(op: Operations, name: str, table: str, what: str, *, partitions: int) -> None:
    """Makes an index of `what`, as it follows the table in SQL, while others read and write.

    Built partition by partition (`table_0` and so on), since on a partitioned table no index is built concurrently. Must be
    called outside a transaction; may be cut off anywhere and called again.
    """
    op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {what}")
    for number in range(partitions):
        part = f"{name}_{number}"
        if op.get_bind().execute(text(_ATTACHED.format(name=part))).scalar():
            continue
        # One that was cut off is there, and invalid.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {part}")
        op.execute(f"CREATE INDEX CONCURRENTLY {part} ON {table}_{number} {what}")
        op.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")
