"""Rights, tariffs, claims and the ledger, and the projections of visits and placements."""

from alembic import op

from libs.database.migrations import create_ground_tables

revision = "0001_start"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE placements (
        registration_id text PRIMARY KEY,
        organization_id text NOT NULL,
        person_id text NOT NULL,
        citizen_key text NOT NULL,
        version bigint NOT NULL
    )
    """,
    "CREATE INDEX placements_of_person ON placements (person_id)",
    "CREATE INDEX placements_of_citizen ON placements (citizen_key) WHERE citizen_key <> ''",
    """
    CREATE TABLE visits (
        encounter_id text PRIMARY KEY,
        registration_id text NOT NULL,
        organization_id text NOT NULL,
        state smallint NOT NULL,
        version bigint NOT NULL
    )
    """,
    """
    CREATE TABLE coverages (
        coverage_id text PRIMARY KEY,
        registration_id text NOT NULL,
        scheme text NOT NULL,
        sub_scheme text NOT NULL,
        card_number text NOT NULL,
        main_organization_id text NOT NULL,
        primary_organization_id text NOT NULL,
        starts_on date NOT NULL,
        ends_on date,
        recorded_at timestamptz NOT NULL,
        CHECK (ends_on >= starts_on)
    )
    """,
    "CREATE INDEX coverages_of_registration ON coverages (registration_id, scheme)",
    """
    CREATE TABLE tariff_items (
        tariff_item_id text PRIMARY KEY,
        scheme text NOT NULL,
        code text COLLATE "C" NOT NULL,
        charge_group text NOT NULL,
        name text NOT NULL,
        price bigint NOT NULL CHECK (price >= 0),
        quantity_limit integer NOT NULL CHECK (quantity_limit >= 0),
        starts_on date NOT NULL,
        ends_on date,
        CHECK (ends_on >= starts_on),
        UNIQUE (scheme, code, starts_on)
    )
    """,
    """
    CREATE TABLE claims (
        claim_id text COLLATE "C" PRIMARY KEY,
        organization_id text NOT NULL,
        invoice_number text NOT NULL,
        content_hash bytea NOT NULL,
        registration_id text NOT NULL,
        encounter_id text NOT NULL,
        scheme text NOT NULL,
        service_date date NOT NULL,
        authen_code text NOT NULL,
        diagnoses text[] NOT NULL,
        lines jsonb NOT NULL,
        status smallint NOT NULL,
        status_changes jsonb NOT NULL,
        approved bigint NOT NULL CHECK (approved >= 0),
        coverage_id text NOT NULL,
        person_id text NOT NULL,
        recorded_at timestamptz NOT NULL,
        version bigint NOT NULL,
        UNIQUE (organization_id, invoice_number)
    )
    """,
    "CREATE INDEX claims_of_organization ON claims (organization_id, claim_id DESC)",
    "CREATE INDEX claims_of_organization_by_status ON claims (organization_id, status, claim_id DESC)",
    "CREATE INDEX claims_by_status ON claims (status, claim_id DESC)",
    "CREATE INDEX claims_of_registration ON claims (registration_id, claim_id DESC)",
    "CREATE INDEX claims_of_encounter ON claims (encounter_id)",
    "CREATE INDEX claims_waiting ON claims (registration_id) WHERE status = 1",
    "CREATE INDEX claims_to_pay ON claims (scheme, claim_id) WHERE status = 2",
    """
    CREATE TABLE ledger_entries (
        entry_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transaction_id text NOT NULL,
        account text NOT NULL,
        amount bigint NOT NULL CHECK (amount <> 0),
        claim_id text NOT NULL,
        organization_id text NOT NULL,
        description text NOT NULL,
        recorded_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ledger_entries_of_account ON ledger_entries (account, entry_number) INCLUDE (amount, organization_id)",
    "CREATE INDEX ledger_entries_of_claim ON ledger_entries (claim_id, entry_number) WHERE claim_id <> ''",
    "CREATE INDEX ledger_entries_of_transaction ON ledger_entries (transaction_id)",
    # A transaction is inserted by one statement, and a later statement could only add to it what sums to zero by itself.
    """
    CREATE FUNCTION require_balanced_transactions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM posted GROUP BY transaction_id HAVING sum(amount) <> 0) THEN
            RAISE EXCEPTION 'a ledger transaction does not sum to zero' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION require_balanced_transactions()
    """,
    """
    CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger only grows' USING ERRCODE = 'integrity_constraint_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER ledger_entries_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()
    """,
)


def upgrade() -> None:
    create_ground_tables()
    for statement in STATEMENTS:
        op.execute(statement)
