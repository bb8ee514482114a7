"""The search index by path: texts, numbers, codes walked by date, and what pages of one state need.

What is stored is indexed anew by the service while it serves (`services.records.reindexing`). `search_strings` is no
longer written nor read; the release after this one drops it.
"""

from alembic import op

revision = "0004_search"
down_revision = "0003_feedback"
branch_labels = None
depends_on = None

PARTITIONS = 8

# None of these rewrites a table: a constant default, or none.
COLUMNS = (
    "ALTER TABLE resources ADD COLUMN index_generation smallint NOT NULL DEFAULT 0",
    "ALTER TABLE resources ADD COLUMN written_by xid8",
    # For the previous release, which does not name the column.
    "ALTER TABLE resources ALTER COLUMN written_by SET DEFAULT pg_current_xact_id()",
    "ALTER TABLE resource_versions ADD COLUMN tokens bigint[]",
    "ALTER TABLE resource_versions ADD COLUMN occurred_from timestamptz",
    "ALTER TABLE resource_versions ADD COLUMN occurred_to timestamptz",
    "ALTER TABLE resource_versions ADD COLUMN written_by xid8",
    "ALTER TABLE resource_versions ADD COLUMN superseded_by xid8",
    "ALTER TABLE resource_versions ADD COLUMN superseded_at timestamptz",
    "ALTER TABLE search_dates ADD COLUMN version bigint NOT NULL DEFAULT 0",
)

FUNCTIONS = (
    # As `rules.index_entries.text_hash`.
    """
    CREATE FUNCTION search_hash(value text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('x' || encode(substring(sha256(convert_to(value, 'UTF8')) FROM 1 FOR 8), 'hex'))::bit(64)::bigint
    """,
    # A resource as jsonb, for what no index answers; a deletion has none, nor has what jsonb cannot hold.
    r"""
    CREATE FUNCTION search_body(body bytea) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN length(body) > 0 AND strpos(convert_from(body, 'UTF8'), '\u0000') = 0
        THEN CAST(convert_from(body, 'UTF8') AS jsonb)
    END
    """,
    # Every one, two and three characters that follow each other. Thai is written without spaces: words are parts of texts.
    """
    CREATE FUNCTION search_grams(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT coalesce(array_agg(DISTINCT gram), CAST('{}' AS text[]))
        FROM (SELECT string_to_array(value, NULL) AS letters) AS split
        CROSS JOIN generate_series(1, coalesce(array_length(letters, 1), 0)) AS n
        CROSS JOIN LATERAL (
            VALUES (letters[n]), (letters[n] || letters[n + 1]), (letters[n] || letters[n + 1] || letters[n + 2])
        ) AS found (gram)
        WHERE gram IS NOT NULL
    )
    """,
)

TABLES = {
    "search_numbers": """
        CREATE TABLE search_numbers (
            filed_under text NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            version bigint NOT NULL,
            place bigint NOT NULL,
            about bigint NOT NULL,
            low double precision NOT NULL,
            high double precision NOT NULL,
            keys bigint[] NOT NULL
        ) PARTITION BY HASH (filed_under)
    """,
    "search_orders": """
        CREATE TABLE search_orders (
            filed_under text NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            token bigint NOT NULL,
            occurred_from timestamptz NOT NULL
        ) PARTITION BY HASH (filed_under)
    """,
}

TEXTS = (
    "CREATE TABLE search_texts (hash bigint PRIMARY KEY, value text NOT NULL)",
    # What is longer than an index page holds is compared by its beginning first.
    "CREATE INDEX search_texts_by_value ON search_texts (left(value, 200) text_pattern_ops)",
    "CREATE INDEX search_texts_by_gram ON search_texts USING gin (search_grams(value))"
    " WITH (gin_pending_list_limit = 1024)",
)

INDEXES = (
    "CREATE INDEX search_numbers_by_value ON search_numbers (place, about, low)",
    "CREATE INDEX search_numbers_of_a_resource ON search_numbers (id)",
    "CREATE INDEX search_orders_by_date ON search_orders (token, occurred_from, id)",
)


def upgrade() -> None:
    for ddl in (*COLUMNS, *FUNCTIONS, *TEXTS):
        op.execute(ddl)
    for name, ddl in TABLES.items():
        op.execute(ddl)
        for number in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE {name}_{number} PARTITION OF {name} "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            )
    for ddl in INDEXES:
        op.execute(ddl)
