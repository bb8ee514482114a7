"""Organisations, practitioners, clients, accounts, consent and signing keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from libs.database.migrations import create_ground_tables

revision = "0001_start"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _recorded_at() -> sa.Column[object]:
    return sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    create_ground_tables()
    op.create_table(
        "organizations",
        sa.Column("organization_id", sa.Text, primary_key=True),
        _text("name"),
        _text("name_en"),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        _text("hcode9"),
        _text("place_code"),
        sa.Column("health_region", sa.SmallInteger, nullable=False),
        _recorded_at(),
    )
    op.create_table(
        "practitioners",
        sa.Column("practitioner_id", sa.Text, primary_key=True),
        sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.organization_id"), nullable=False),
        _text("licence"),
        _text("name_language"),
        _text("name_prefix"),
        _text("name_given"),
        _text("name_family"),
        sa.Column("role", sa.SmallInteger, nullable=False),
        _recorded_at(),
        sa.UniqueConstraint("organization_id", "licence"),
    )
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.organization_id"), nullable=False),
        _text("name"),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("may_act_for_others", sa.Boolean, nullable=False),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
        sa.Column("secret_salt", sa.LargeBinary, nullable=False),
        sa.Column("secret_digest", sa.LargeBinary, nullable=False),
        _recorded_at(),
    )
    op.create_table(
        "failed_attempts",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("citizen_key", sa.Text, primary_key=True),
        _text("account_id"),
        _text("identifier_system"),
        _text("masked_value"),
        _text("display_name"),
        _recorded_at(),
    )
    _create_consent_tables()
    op.create_table(
        "signing_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        _text("jwk"),
        sa.Column("sealed_private_key", sa.LargeBinary),
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True)),
        _recorded_at(),
    )
    op.create_index(
        "signing_keys_in_force", "signing_keys", ["signs_from"], postgresql_where=sa.text("retired_at IS NULL")
    )


def _create_consent_tables() -> None:
    op.create_table(
        "consents",
        sa.Column("citizen_key", sa.Text, primary_key=True),
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("category", sa.SmallInteger, primary_key=True),
        _text("consent_id"),
        sa.Column("decision", sa.SmallInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        _recorded_at(),
    )
    op.create_table(
        "consent_history",
        sa.Column("citizen_key", sa.Text, primary_key=True),
        sa.Column("consent_id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        _text("organization_id"),
        sa.Column("category", sa.SmallInteger, nullable=False),
        sa.Column("decision", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        _recorded_at(),
    )
