"""The tables of exchange, beside those of the ground."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)

from libs.database.columns import recorded_at_column, text_column

metadata = MetaData()

imports = Table(
    "imports",
    metadata,
    text_column("import_id", primary_key=True),
    text_column("organization_id"),
    Column("format", SmallInteger, nullable=False),
    text_column("file_name"),
    Column("sha256", Text, nullable=False, server_default=""),
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),
    Column("state", SmallInteger, nullable=False),
    text_column("upload_id"),
    Column("run", Integer, nullable=False, server_default="1"),
    Column("rows_total", BigInteger, nullable=False, server_default="0"),
    Column("rows_done", BigInteger, nullable=False, server_default="0"),
    Column("cursor", Text, nullable=False, server_default=""),
    Column("error_reason", Text, nullable=False, server_default=""),
    Column("error_message", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("leased_by", Text, nullable=False, server_default=""),
    Column("leased_until", DateTime(timezone=True), nullable=False, server_default=func.to_timestamp(0)),
    # When bytes last came, for an upload; when it was queued, later.
    Column("touched_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    recorded_at_column(),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    # Of an import of lines: who may see it, what was asked, whose ids the lines use, and what they may write.
    Column("subject", Text, nullable=False, server_default=""),
    Column("request_url", Text, nullable=False, server_default=""),
    Column("input_source", Text, nullable=False, server_default=""),
    Column("grants", Text, nullable=False, server_default=""),
    # The same bytes are the same import; not so of lines, each of which is known by itself.
    Index(
        "imports_by_file",
        "organization_id",
        "format",
        "sha256",
        unique=True,
        postgresql_where=text("state <> 1 AND format <> 4"),
    ),
    Index("imports_by_organization", "organization_id", "import_id"),
    Index("imports_unfinished", "state", "touched_at", postgresql_where=text("state IN (1, 2, 3)")),
)

import_chunks = Table(
    "import_chunks",
    metadata,
    text_column("upload_id", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
)

import_files = Table(
    "import_files",
    metadata,
    text_column("import_id", primary_key=True),
    Column("position", Integer, primary_key=True),
    text_column("file"),
    Column("rows", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False, server_default="0"),
    Column("updated", BigInteger, nullable=False, server_default="0"),
    Column("unchanged", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("note", Text, nullable=False, server_default=""),
    Column("after_line", BigInteger, nullable=False, server_default="1"),
    Column("is_done", Boolean, nullable=False, server_default="false"),
    # Where the line after `after_line` begins, for formats of lines.
    Column("after_offset", BigInteger, nullable=False, server_default="0"),
)

# The files of an import of lines. `sha256` and `etag` are what was asked for.
import_inputs = Table(
    "import_inputs",
    metadata,
    text_column("import_id", primary_key=True),
    Column("position", Integer, primary_key=True),
    text_column("type"),
    # Empty for an upload.
    text_column("url"),
    text_column("etag"),
    text_column("sha256"),
    # All of it lies in `input_chunks`, or will never.
    Column("is_complete", Boolean, nullable=False),
    Column("lines", BigInteger, nullable=False),
    # Uncompressed.
    Column("size_bytes", BigInteger, nullable=False),
    text_column("found_sha256"),
    text_column("error_reason"),
    text_column("error_message"),
)

# A mebibyte of lines each, as DEFLATE.
input_chunks = Table(
    "input_chunks",
    metadata,
    text_column("import_id", primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
)

# Lines that refer to what is not there yet. In the order of whom they are about, so that what refers to each other meets.
deferred_lines = Table(
    "deferred_lines",
    metadata,
    text_column("import_id", primary_key=True),
    text_column("subject", primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("start", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
)

# By which id a source knows a Patient; every other id is derived.
source_patients = Table(
    "source_patients",
    metadata,
    text_column("organization_id", primary_key=True),
    text_column("source", primary_key=True),
    text_column("source_id", primary_key=True),
    text_column("registration_id"),
)

rejected_rows = Table(
    "rejected_rows",
    metadata,
    text_column("import_id", primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line", BigInteger, primary_key=True),
    text_column("file"),
    text_column("column_name"),
    text_column("reason"),
    text_column("message"),
    text_column("raw"),
    # All that is wrong with a line that was a resource, as JSON; empty for other formats.
    Column("issues", Text, nullable=False, server_default=""),
)

# By which number a facility knows a person, and what it said of them last.
persons = Table(
    "persons",
    metadata,
    text_column("organization_id", primary_key=True),
    text_column("pid", primary_key=True),
    text_column("registration_id"),
    text_column("local_number"),
    text_column("hn"),
    Column("registration", LargeBinary, nullable=False),
    text_column("import_id"),
    Column("outcome", SmallInteger, nullable=False),
    Index("persons_by_local_number", "organization_id", "local_number", unique=True),
    Index("persons_by_hn", "organization_id", "hn", postgresql_where=text("hn <> ''")),
)

visits = Table(
    "visits",
    metadata,
    text_column("organization_id", primary_key=True),
    text_column("kind", primary_key=True),
    text_column("number", primary_key=True),
    text_column("registration_id"),
)

homes = Table(
    "homes",
    metadata,
    text_column("organization_id", primary_key=True),
    text_column("hid", primary_key=True),
    Column("address", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# What is held only while its import runs.
staged_parts = Table(
    "staged_parts",
    metadata,
    text_column("import_id", primary_key=True),
    text_column("pid", primary_key=True),
    text_column("part", primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
staged_rows = Table(
    "staged_rows",
    metadata,
    text_column("import_id", primary_key=True),
    text_column("visit", primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("fields", ARRAY(Text), nullable=False),
)

exports = Table(
    "exports",
    metadata,
    text_column("export_id", primary_key=True),
    text_column("organization_id"),
    # Who asked, and nobody else may have it.
    text_column("subject"),
    text_column("request_url"),
    # What records understood, sealed by it.
    text_column("plan"),
    Column("ignored", ARRAY(Text), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("transaction_time", DateTime(timezone=True), nullable=False),
    # What there is to walk; NULL until records has told.
    Column("types", ARRAY(Text)),
    Column("registration_ids", ARRAY(Text)),
    # How far the walk is: a part, and a place within it.
    Column("part", Integer, nullable=False, server_default="0"),
    Column("place", Text, nullable=False, server_default=""),
    Column("resources", BigInteger, nullable=False, server_default="0"),
    Column("error_reason", Text, nullable=False, server_default=""),
    Column("error_message", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("leased_by", Text, nullable=False, server_default=""),
    Column("leased_until", DateTime(timezone=True), nullable=False, server_default=func.to_timestamp(0)),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Index("exports_unfinished", "organization_id", "recorded_at", postgresql_where=text("state IN (2, 3)")),
    Index("exports_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
)

export_files = Table(
    "export_files",
    metadata,
    text_column("export_id", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    text_column("type"),
    Column("lines", BigInteger, nullable=False),
    # Of the lines, uncompressed; so are the checksums.
    Column("size_bytes", BigInteger, nullable=False),
    Column("crc32", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    # Empty until the file is complete.
    text_column("sha256"),
)

# The chunks of a file, one after the other, are one DEFLATE stream that is not ended (RFC 1951).
export_chunks = Table(
    "export_chunks",
    metadata,
    text_column("export_id", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
)
