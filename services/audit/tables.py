"""The tables of audit."""

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, MetaData, SmallInteger, Table, Text

from libs.database.columns import text_column, version_column

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, unique=True),
    Column("salt", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
)

# Whose data an entry is about; the primary key is the way from a subject to its newest entries.
entry_subjects = Table(
    "entry_subjects",
    metadata,
    text_column("subject", primary_key=True),
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
)

# The hash of every complete subtree; level 0 holds the leaves.
tree_nodes = Table(
    "tree_nodes",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("node_index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tree_size", BigInteger, primary_key=True, autoincrement=False),
    Column("root_hash", LargeBinary, nullable=False),
    Column("signed_at", DateTime(timezone=True), nullable=False),
    text_column("note"),
    text_column("key_id"),
)

# Whose each registration is today, as the patient index announced it.
placements = Table(
    "placements",
    metadata,
    text_column("registration_id", primary_key=True),
    text_column("person_id"),
    text_column("citizen_key"),
    version_column(),
    Index("placements_by_person", "person_id"),
    Index("placements_by_citizen", "citizen_key"),
)
