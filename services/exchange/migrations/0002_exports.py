"""Export jobs and their files."""

from alembic import op

revision = "0002_exports"
down_revision = "0001_start"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE exports (
    export_id text PRIMARY KEY,
    organization_id text NOT NULL,
    subject text NOT NULL,
    request_url text NOT NULL,
    plan text NOT NULL,
    ignored text[] NOT NULL,
    state smallint NOT NULL,
    transaction_time timestamptz NOT NULL,
    types text[],
    registration_ids text[],
    part integer NOT NULL DEFAULT 0,
    place text NOT NULL DEFAULT '',
    resources bigint NOT NULL DEFAULT 0,
    error_reason text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    leased_by text NOT NULL DEFAULT '',
    leased_until timestamptz NOT NULL DEFAULT to_timestamp(0),
    recorded_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz
);
CREATE INDEX exports_unfinished ON exports (organization_id, recorded_at) WHERE state IN (2, 3);
CREATE INDEX exports_expiring ON exports (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE export_files (
    export_id text NOT NULL,
    number integer NOT NULL,
    kind smallint NOT NULL,
    type text NOT NULL,
    lines bigint NOT NULL,
    size_bytes bigint NOT NULL,
    crc32 bigint NOT NULL,
    chunks integer NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (export_id, number)
);
CREATE TABLE export_chunks (
    export_id text NOT NULL,
    number integer NOT NULL,
    chunk integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (export_id, number, chunk)
);
ALTER TABLE export_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;
"""
_NAMES = ("exports", "export_files", "export_chunks")


def upgrade() -> None:
    for statement in filter(None, (part.strip() for part in _TABLES.split(";"))):
        op.execute(statement)


def downgrade() -> None:
    for name in _NAMES:
        op.execute(f"DROP TABLE {name}")
