"""Import jobs, their bytes, progress and rejected rows; the people and visits that files named."""

from alembic import op

from libs.database.migrations import create_ground_tables

revision = "0001_start"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE imports (
    import_id text PRIMARY KEY,
    organization_id text NOT NULL,
    format smallint NOT NULL,
    file_name text NOT NULL,
    sha256 text NOT NULL DEFAULT '',
    size_bytes bigint NOT NULL DEFAULT 0,
    state smallint NOT NULL,
    upload_id text NOT NULL,
    run integer NOT NULL DEFAULT 1,
    rows_total bigint NOT NULL DEFAULT 0,
    rows_done bigint NOT NULL DEFAULT 0,
    cursor text NOT NULL DEFAULT '',
    error_reason text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    leased_by text NOT NULL DEFAULT '',
    leased_until timestamptz NOT NULL DEFAULT to_timestamp(0),
    touched_at timestamptz NOT NULL DEFAULT now(),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE UNIQUE INDEX imports_by_content ON imports (organization_id, format, sha256) WHERE state <> 1;
CREATE INDEX imports_by_organization ON imports (organization_id, import_id);
CREATE INDEX imports_unfinished ON imports (state, touched_at) WHERE state IN (1, 2, 3);
CREATE TABLE import_chunks (
    upload_id text NOT NULL,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (upload_id, number)
);
ALTER TABLE import_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TABLE import_files (
    import_id text NOT NULL,
    position integer NOT NULL,
    file text NOT NULL,
    rows bigint NOT NULL,
    created bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    note text NOT NULL DEFAULT '',
    after_line bigint NOT NULL DEFAULT 1,
    is_done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (import_id, position)
);
CREATE TABLE rejected_rows (
    import_id text NOT NULL,
    position integer NOT NULL,
    line bigint NOT NULL,
    file text NOT NULL,
    column_name text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    raw text NOT NULL,
    PRIMARY KEY (import_id, position, line)
);
CREATE TABLE persons (
    organization_id text NOT NULL,
    pid text NOT NULL,
    registration_id text NOT NULL,
    local_number text NOT NULL,
    hn text NOT NULL,
    registration bytea NOT NULL,
    import_id text NOT NULL,
    outcome smallint NOT NULL,
    PRIMARY KEY (organization_id, pid)
);
CREATE UNIQUE INDEX persons_by_local_number ON persons (organization_id, local_number);
CREATE INDEX persons_by_hn ON persons (organization_id, hn) WHERE hn <> '';
CREATE TABLE visits (
    organization_id text NOT NULL,
    kind text NOT NULL,
    number text NOT NULL,
    registration_id text NOT NULL,
    PRIMARY KEY (organization_id, kind, number)
);
CREATE TABLE homes (
    organization_id text NOT NULL,
    hid text NOT NULL,
    address bytea NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (organization_id, hid)
);
CREATE TABLE staged_parts (
    import_id text NOT NULL,
    pid text NOT NULL,
    part text NOT NULL,
    value bytea NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (import_id, pid, part)
);
CREATE TABLE staged_rows (
    import_id text NOT NULL,
    visit text NOT NULL,
    position integer NOT NULL,
    line bigint NOT NULL,
    fields text[] NOT NULL,
    PRIMARY KEY (import_id, visit, position, line)
);
"""
_NAMES = (
    "imports", "import_chunks", "import_files", "rejected_rows", "persons", "visits", "homes", "staged_parts",
    "staged_rows",
)  # fmt: skip


def upgrade() -> None:
    create_ground_tables()
    for statement in filter(None, (part.strip() for part in _TABLES.split(";"))):
        op.execute(statement)


def downgrade() -> None:
    for name in _NAMES:
        op.execute(f"DROP TABLE {name}")
