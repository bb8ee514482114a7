"""The table of changes, and the statements that append to it and read from it.

Two traps are closed here and in `libs.database.transactions`:

1. A reader that remembers the last position misses rows numbered earlier and committed later. `READ` therefore orders by
   (transaction, position) and stops before the oldest transaction still running (`pg_snapshot_xmin`).
2. Transaction order is not commit order for one key. A writer locks the key before its first write.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)

from libs.database.columns import TransactionId
from libs.database.statements import Statement

PARTITIONS = 64


def changes_table(metadata: MetaData) -> Table:
    """The feed's table, beside the data that it tells of."""
    return Table(
        "changes",
        metadata,
        Column("position", BigInteger, Identity(always=True), primary_key=True),
        Column("transaction", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
        Column("feed", Text, nullable=False),
        Column("partition", SmallInteger, nullable=False),
        Column("key", Text, nullable=False),
        Column("event", LargeBinary, nullable=False),
        Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("traceparent", Text, nullable=False, server_default=""),
        Index("changes_in_feed_order", "feed", "transaction", "position"),
    )


@dataclass(frozen=True, slots=True)
class Announcement:
    """A change on its way into the feed."""

    feed: str
    partition: int
    key: str
    event: bytes


def partition_of(key: str) -> int:
    """The partition of a key: stable over processes, machines and releases."""
    return hashlib.blake2b(key.encode(), digest_size=1).digest()[0] % PARTITIONS


LOCK = Statement(
    "feed.lock_keys",
    text("SELECT pg_advisory_xact_lock(hash) FROM unnest(CAST(:hashes AS bigint[])) AS wanted (hash)"),
)

TRY_LOCK = Statement(
    "feed.try_lock_keys",
    text("SELECT bool_and(pg_try_advisory_xact_lock(hash)) FROM unnest(CAST(:hashes AS bigint[])) AS wanted (hash)"),
)

APPEND = Statement(
    "feed.append",
    text(
        """
        INSERT INTO changes (feed, partition, key, event, traceparent)
        SELECT feed, partition, key, event, CAST(:traceparent AS text)
        FROM unnest(CAST(:feeds AS text[]), CAST(:partitions AS smallint[]), CAST(:keys AS text[]), CAST(:events AS bytea[]))
            WITH ORDINALITY AS announced (feed, partition, key, event, ordinal)
        ORDER BY ordinal
        RETURNING feed, CAST(CAST(transaction AS text) AS bigint) AS transaction, position
        """
    ),
)

READ = Statement(
    "feed.read",
    text(
        """
        SELECT position, CAST(CAST(transaction AS text) AS bigint) AS transaction, partition, key, event, recorded_at, traceparent
        FROM changes
        WHERE feed = :feed
          AND (transaction, position) > (CAST(CAST(:transaction AS text) AS xid8), CAST(:position AS bigint))
          AND transaction < pg_snapshot_xmin(pg_current_snapshot())
          AND (CAST(:partitions AS smallint[]) IS NULL OR partition = ANY(CAST(:partitions AS smallint[])))
        ORDER BY transaction, position
        LIMIT CAST(:batch_size AS integer)
        """
    ),
)

PENDING = Statement(
    "feed.pending",
    text(
        """
        SELECT EXISTS (
            SELECT 1 FROM changes
            WHERE feed = :feed
              AND (transaction, position) > (CAST(CAST(:transaction AS text) AS xid8), CAST(:position AS bigint))
        )
        """
    ),
)

# A cursor that stands exactly at the fence: everything before it is settled, everything after it still to come.
FENCE = Statement(
    "feed.fence",
    text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) - 1"),
)

# What was removed by retention: the last position of each feed that followers can no longer get.
TRIM = Statement(
    "feed.trim",
    text(
        """
        WITH removed AS (
            DELETE FROM changes
            WHERE position IN (
                SELECT position FROM changes
                WHERE feed = :feed AND recorded_at < CAST(:before AS timestamptz)
                  AND transaction < pg_snapshot_xmin(pg_current_snapshot())
                ORDER BY transaction, position
                LIMIT CAST(:batch_size AS integer)
            )
            RETURNING transaction, position
        ), newest AS (
            SELECT transaction, position FROM removed ORDER BY transaction DESC, position DESC LIMIT 1
        ), horizon AS (
            INSERT INTO feed_horizons (feed, transaction, position)
            SELECT :feed, transaction, position FROM newest
            ON CONFLICT (feed) DO UPDATE SET transaction = excluded.transaction, position = excluded.position
        )
        SELECT count(*) FROM removed
        """
    ),
)

HORIZON = Statement(
    "feed.horizon",
    text(
        "SELECT CAST(CAST(transaction AS text) AS bigint) AS transaction, position FROM feed_horizons WHERE feed = :feed"
    ),
)


def horizons_table(metadata: MetaData) -> Table:
    """Up to where retention has removed each feed."""
    return Table(
        "feed_horizons",
        metadata,
        Column("feed", Text, primary_key=True),
        Column("transaction", TransactionId, nullable=False),
        Column("position", BigInteger, nullable=False),
    )


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in a feed."""

    transaction: int = 0
    position: int = 0

    def __str__(self) -> str:
        return f"{self.transaction}.{self.position}"

    @classmethod
    def parse(cls, text_form: str) -> "Cursor":
        """A cursor from its text; the empty text is the beginning. Raises ValueError."""
        if not text_form:
            return cls()
        transaction, dot, position = text_form.partition(".")
        if not (dot and transaction.isdigit() and position.isdigit()):
            raise ValueError("a cursor is two numbers with a dot between")
        return cls(int(transaction), int(position))
