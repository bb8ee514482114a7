"""Subscriptions that are acted upon, their events, and what could not be delivered."""

from alembic import op

revision = "0007_subscriptions"
down_revision = "0006_search_spans"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE subscriptions (
            subscription_id text PRIMARY KEY,
            organization_id text NOT NULL,
            eyes jsonb NOT NULL,
            base_url text NOT NULL,
            topic text NOT NULL,
            resource_type text NOT NULL,
            filters text[] NOT NULL,
            channel text NOT NULL,
            endpoint text NOT NULL,
            headers jsonb NOT NULL,
            content text NOT NULL,
            content_type text NOT NULL,
            heartbeat_seconds integer NOT NULL,
            timeout_seconds integer NOT NULL,
            max_count integer NOT NULL,
            ends_at timestamptz NOT NULL,
            status text NOT NULL,
            error text NOT NULL,
            cursor_transaction bigint NOT NULL,
            cursor_position bigint NOT NULL,
            last_number bigint NOT NULL,
            attempts integer NOT NULL,
            failures integer NOT NULL,
            next_attempt_at timestamptz NOT NULL,
            contacted_at timestamptz NOT NULL,
            lease text NOT NULL,
            lease_until timestamptz NOT NULL,
            leased_numbers bigint[] NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE subscription_events (
            subscription_id text NOT NULL,
            number bigint NOT NULL,
            type text NOT NULL,
            id text NOT NULL,
            version bigint NOT NULL,
            operation smallint NOT NULL,
            occurred_at timestamptz NOT NULL,
            state smallint NOT NULL,
            PRIMARY KEY (subscription_id, number)
        )
        """
    )
    op.execute(
        "CREATE INDEX subscription_events_waiting ON subscription_events (subscription_id, number) WHERE state = 0"
    )
    op.execute(
        """
        CREATE TABLE subscription_dead_letters (
            dead_letter_id text PRIMARY KEY,
            subscription_id text NOT NULL,
            numbers bigint[] NOT NULL,
            attempts integer NOT NULL,
            error text NOT NULL,
            failed_at timestamptz NOT NULL
        )
        """
    )
    op.execute(
        "CREATE INDEX subscription_dead_letters_newest ON subscription_dead_letters (subscription_id, failed_at DESC)"
    )
