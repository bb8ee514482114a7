"""Registrations, the keys by which they are found, decisions, pairs held apart, pairs to review, names borne by many."""

from alembic import op

from libs.database.migrations import create_ground_tables

revision = "0001_start"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE registrations (
        registration_id uuid PRIMARY KEY,
        organization_id text NOT NULL,
        local_number text NOT NULL,
        person_id uuid NOT NULL,
        version bigint NOT NULL,
        content bytea NOT NULL,
        features jsonb NOT NULL,
        citizen_key text NOT NULL,
        written_at timestamptz NOT NULL,
        decision_id uuid NOT NULL,
        recorded_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX registrations_of_person ON registrations (person_id)",
    "CREATE INDEX registrations_of_citizen ON registrations (citizen_key) WHERE citizen_key <> ''",
    """
    CREATE TABLE registration_versions (
        registration_id uuid NOT NULL,
        version bigint NOT NULL,
        content bytea NOT NULL,
        written_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        superseded_at timestamptz NOT NULL,
        PRIMARY KEY (registration_id, version)
    )
    """,
    """
    CREATE TABLE registration_keys (
        key bigint NOT NULL,
        kind smallint NOT NULL,
        registration_id uuid NOT NULL,
        PRIMARY KEY (key, kind, registration_id)
    )
    """,
    """
    CREATE TABLE decisions (
        registration_id uuid NOT NULL,
        position bigint GENERATED ALWAYS AS IDENTITY,
        decision_id uuid NOT NULL,
        kind smallint NOT NULL,
        previous_person_id uuid,
        person_id uuid NOT NULL,
        decided_by text NOT NULL,
        reason text NOT NULL,
        model text NOT NULL,
        weight double precision NOT NULL,
        evidence jsonb NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (registration_id, position)
    )
    """,
    """
    CREATE TABLE held_apart (
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        decision_id uuid NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (registration_id, other_id)
    )
    """,
    """
    CREATE TABLE reviews (
        registration_id uuid NOT NULL,
        other_id uuid NOT NULL,
        grade smallint NOT NULL,
        weight double precision NOT NULL,
        probability double precision NOT NULL,
        fields jsonb NOT NULL,
        rule text NOT NULL,
        recorded_at timestamptz NOT NULL,
        closed_at timestamptz,
        PRIMARY KEY (registration_id, other_id)
    )
    """,
    "CREATE INDEX reviews_of_other ON reviews (other_id)",
    "CREATE INDEX reviews_by_urgency ON reviews (weight DESC, registration_id, other_id) WHERE closed_at IS NULL",
    "CREATE TABLE name_shares (name text PRIMARY KEY, share double precision NOT NULL)",
)


def upgrade() -> None:
    create_ground_tables()
    for ddl in TABLES:
        op.execute(ddl)


def downgrade() -> None:
    for table in (
        "registrations",
        "registration_versions",
        "registration_keys",
        "decisions",
        "held_apart",
        "reviews",
        "name_shares",
    ):
        op.execute(f"DROP TABLE {table}")
