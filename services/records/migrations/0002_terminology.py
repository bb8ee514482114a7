"""Code systems, maps between them, and drug interactions, as a deployment loads them."""

from alembic import op

revision = "0002_terminology"
down_revision = "0001_start"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE terminology_loads (
        kind text NOT NULL,
        name text NOT NULL,
        version text NOT NULL,
        title text NOT NULL,
        digest text NOT NULL,
        rows bigint NOT NULL,
        is_complete boolean NOT NULL,
        is_current boolean NOT NULL,
        loaded_at timestamptz NOT NULL,
        PRIMARY KEY (kind, name, version)
    )
    """,
    "CREATE UNIQUE INDEX terminology_loads_current ON terminology_loads (kind, name) WHERE is_current",
    """
    CREATE TABLE concepts (
        system text NOT NULL,
        version text NOT NULL,
        code text NOT NULL,
        ordinal bigint NOT NULL,
        display text NOT NULL,
        definition text NOT NULL,
        designations jsonb NOT NULL,
        properties jsonb NOT NULL,
        is_inactive boolean NOT NULL,
        words text NOT NULL,
        PRIMARY KEY (system, version, code)
    )
    """,
    "CREATE INDEX concepts_in_order ON concepts (system, version, ordinal)",
    """
    CREATE TABLE concept_parents (
        system text NOT NULL,
        version text NOT NULL,
        parent text NOT NULL,
        code text NOT NULL,
        PRIMARY KEY (system, version, parent, code)
    )
    """,
    "CREATE INDEX concept_parents_of_a_code ON concept_parents (system, version, code)",
    """
    CREATE TABLE mappings (
        name text NOT NULL,
        version text NOT NULL,
        source_system text NOT NULL,
        source_code text NOT NULL,
        target_system text NOT NULL,
        target_code text NOT NULL,
        target_display text NOT NULL,
        equivalence text NOT NULL,
        PRIMARY KEY (source_system, source_code, name, version, target_system, target_code)
    )
    """,
    "CREATE INDEX mappings_to_a_code ON mappings (target_system, target_code)",
    """
    CREATE TABLE interactions (
        name text NOT NULL,
        version text NOT NULL,
        atc_a text NOT NULL,
        atc_b text NOT NULL,
        severity text NOT NULL,
        direction text NOT NULL,
        text_th text NOT NULL,
        text_en text NOT NULL,
        PRIMARY KEY (atc_a, atc_b, name, version)
    )
    """,
)


def upgrade() -> None:
    for ddl in TABLES:
        op.execute(ddl)
