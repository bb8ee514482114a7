"""Resources and their versions, the search index, the projections that access rests on."""

from alembic import op

from libs.database.migrations import create_ground_tables

revision = "0001_start"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 8

PARTITIONED = {
    "resources": (
        "filed_under",
        """
        CREATE TABLE resources (
            filed_under text NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            version bigint NOT NULL,
            operation smallint NOT NULL,
            is_personal boolean NOT NULL,
            organization_id text NOT NULL,
            sensitivity smallint NOT NULL,
            recorded_at timestamptz NOT NULL,
            source_updated_at timestamptz,
            content_hash bytea NOT NULL,
            occurred_from timestamptz NOT NULL,
            occurred_to timestamptz NOT NULL,
            tokens bigint[] NOT NULL,
            body bytea NOT NULL,
            PRIMARY KEY (type, id, filed_under)
        ) PARTITION BY HASH (filed_under)
        """,
    ),
    "resource_versions": (
        "filed_under",
        """
        CREATE TABLE resource_versions (
            filed_under text NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            version bigint NOT NULL,
            operation smallint NOT NULL,
            is_personal boolean NOT NULL,
            organization_id text NOT NULL,
            sensitivity smallint NOT NULL,
            recorded_at timestamptz NOT NULL,
            body bytea NOT NULL,
            PRIMARY KEY (type, id, version, filed_under)
        ) PARTITION BY HASH (filed_under)
        """,
    ),
    "locators": (
        "id",
        """
        CREATE TABLE locators (
            type text NOT NULL,
            id text NOT NULL,
            filed_under text NOT NULL,
            is_personal boolean NOT NULL,
            organization_id text NOT NULL,
            sensitivity smallint NOT NULL,
            is_deleted boolean NOT NULL,
            PRIMARY KEY (type, id)
        ) PARTITION BY HASH (id)
        """,
    ),
    "search_strings": (
        "filed_under",
        """
        CREATE TABLE search_strings (
            filed_under text NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            parameter text NOT NULL,
            value text NOT NULL
        ) PARTITION BY HASH (filed_under)
        """,
    ),
    "search_dates": (
        "filed_under",
        """
        CREATE TABLE search_dates (
            filed_under text NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            parameter text NOT NULL,
            occurred_from timestamptz NOT NULL,
            occurred_to timestamptz NOT NULL
        ) PARTITION BY HASH (filed_under)
        """,
    ),
}

INDEXES = (
    "CREATE INDEX resources_of_a_registration ON resources (filed_under, type, occurred_from)",
    "CREATE INDEX resources_by_time_recorded ON resources (type, recorded_at, id)",
    "CREATE INDEX resources_by_time_occurred ON resources (type, occurred_from, id)",
    # The pending list is read by every search: kept short, it costs them little and still batches the writes.
    "CREATE INDEX resources_by_token ON resources USING gin (tokens) WITH (gin_pending_list_limit = 512)",
    "CREATE INDEX resource_versions_by_time ON resource_versions (type, recorded_at, id)",
    "CREATE INDEX search_strings_by_value ON search_strings (type, parameter, value text_pattern_ops)",
    "CREATE INDEX search_strings_of_a_resource ON search_strings (filed_under, type, id)",
    "CREATE INDEX search_dates_by_value ON search_dates (type, parameter, occurred_from)",
    "CREATE INDEX search_dates_of_a_resource ON search_dates (filed_under, type, id)",
)

PROJECTIONS = (
    """
    CREATE TABLE registrations (
        registration_id text PRIMARY KEY,
        organization_id text NOT NULL,
        person_id text NOT NULL,
        citizen_key text NOT NULL,
        version bigint NOT NULL
    )
    """,
    "CREATE INDEX registrations_of_a_person ON registrations (person_id)",
    "CREATE INDEX registrations_of_a_citizen ON registrations (citizen_key) WHERE citizen_key <> ''",
    """
    CREATE TABLE consents (
        consent_id text PRIMARY KEY,
        citizen_key text NOT NULL,
        organization_id text NOT NULL,
        category smallint NOT NULL,
        decision smallint NOT NULL,
        version bigint NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX consents_of_a_citizen ON consents (citizen_key)",
    """
    CREATE TABLE person_consents (
        person_id text NOT NULL,
        category smallint NOT NULL,
        organization_id text NOT NULL,
        decision smallint NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (person_id, category, organization_id, decision)
    )
    """,
)


def upgrade() -> None:
    create_ground_tables()
    for name, (_, ddl) in PARTITIONED.items():
        op.execute(ddl)
        for number in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE {name}_{number} PARTITION OF {name} "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            )
    for ddl in (*INDEXES, *PROJECTIONS):
        op.execute(ddl)
