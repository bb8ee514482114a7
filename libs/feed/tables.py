"""Every table that the ground needs in each service's database."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, MetaData, SmallInteger, Table, Text, func

from libs.feed.log import changes_table, horizons_table

metadata = MetaData()

changes = changes_table(metadata)
horizons = horizons_table(metadata)

# Where this service stands in the feeds that it follows. One row per group of partitions; the replica that holds the lease
# follows them.
cursors = Table(
    "feed_cursors",
    metadata,
    Column("source", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("group_number", SmallInteger, primary_key=True),
    Column("cursor", Text, nullable=False, server_default=""),
    Column("leased_by", Text, nullable=False, server_default=""),
    Column("leased_until", DateTime(timezone=True), nullable=False, server_default=func.to_timestamp(0)),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# The public keys that verify access tokens, as identity announced them.
verification_keys = Table(
    "verification_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("jwk", Text, nullable=False),
    Column("not_before", DateTime(timezone=True), nullable=False),
    Column("not_after", DateTime(timezone=True), nullable=False),
)

# Answers to requests that carried a request_id, so that a retry is harmless.
remembered_requests = Table(
    "remembered_requests",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("remembered_requests_by_age", "recorded_at"),
)
