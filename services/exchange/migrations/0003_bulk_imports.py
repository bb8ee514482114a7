"""Imports of newline-delimited JSON: whose they are, what they are of, their lines, and what waits for its references."""

from alembic import op

revision = "0003_bulk_imports"
down_revision = "0002_exports"
branch_labels = None
depends_on = None

_TABLES = """
ALTER TABLE imports ADD COLUMN subject text NOT NULL DEFAULT '';
ALTER TABLE imports ADD COLUMN request_url text NOT NULL DEFAULT '';
ALTER TABLE imports ADD COLUMN input_source text NOT NULL DEFAULT '';
ALTER TABLE imports ADD COLUMN grants text NOT NULL DEFAULT '';
ALTER TABLE import_files ADD COLUMN after_offset bigint NOT NULL DEFAULT 0;
ALTER TABLE rejected_rows ADD COLUMN issues text NOT NULL DEFAULT '';
CREATE TABLE import_inputs (
    import_id text NOT NULL,
    position integer NOT NULL,
    type text NOT NULL,
    url text NOT NULL,
    etag text NOT NULL,
    sha256 text NOT NULL,
    is_complete boolean NOT NULL,
    lines bigint NOT NULL,
    size_bytes bigint NOT NULL,
    found_sha256 text NOT NULL,
    error_reason text NOT NULL,
    error_message text NOT NULL,
    PRIMARY KEY (import_id, position)
);
CREATE TABLE input_chunks (
    import_id text NOT NULL,
    position integer NOT NULL,
    chunk integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (import_id, position, chunk)
);
ALTER TABLE input_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TABLE deferred_lines (
    import_id text NOT NULL,
    subject text NOT NULL,
    position integer NOT NULL,
    line bigint NOT NULL,
    start bigint NOT NULL,
    length bigint NOT NULL,
    PRIMARY KEY (import_id, subject, position, line)
);
CREATE TABLE source_patients (
    organization_id text NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    registration_id text NOT NULL,
    PRIMARY KEY (organization_id, source, source_id)
)
"""
_NAMES = ("import_inputs", "input_chunks", "deferred_lines", "source_patients")
_COLUMNS = {
    "imports": ("subject", "request_url", "input_source", "grants"),
    "import_files": ("after_offset",),
    "rejected_rows": ("issues",),
}
_KEY = "(organization_id, format, sha256)"


def upgrade() -> None:
    for statement in filter(None, (part.strip() for part in _TABLES.split(";"))):
        op.execute(statement)
    # The same file twice is one import, unless it is one of lines: each of those is known by itself.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS imports_by_file")
        op.execute(
            f"CREATE UNIQUE INDEX CONCURRENTLY imports_by_file ON imports {_KEY} WHERE state <> 1 AND format <> 4"
        )
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS imports_by_content")


def downgrade() -> None:
    op.execute("DELETE FROM imports WHERE format = 4")
    with op.get_context().autocommit_block():
        op.execute(f"CREATE UNIQUE INDEX CONCURRENTLY imports_by_content ON imports {_KEY} WHERE state <> 1")
        op.execute("DROP INDEX CONCURRENTLY imports_by_file")
    for name in _NAMES:
        op.execute(f"DROP TABLE {name}")
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
