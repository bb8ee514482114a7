"""The tables of claims, as its migrations leave them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from libs.database.columns import text_column, version_column

metadata = sa.MetaData()

# Whom each registration stands for, from the patient index.
placements = sa.Table(
    "placements",
    metadata,
    text_column("registration_id", primary_key=True),
    text_column("organization_id"),
    text_column("person_id"),
    text_column("citizen_key"),
    version_column(),
)

# What records said of each visit.
visits = sa.Table(
    "visits",
    metadata,
    text_column("encounter_id", primary_key=True),
    text_column("registration_id"),
    text_column("organization_id"),
    sa.Column("state", sa.SmallInteger, nullable=False),
    version_column(),
)

coverages = sa.Table(
    "coverages",
    metadata,
    text_column("coverage_id", primary_key=True),
    text_column("registration_id"),
    text_column("scheme"),
    text_column("sub_scheme"),
    text_column("card_number"),
    text_column("main_organization_id"),
    text_column("primary_organization_id"),
    sa.Column("starts_on", sa.Date, nullable=False),
    sa.Column("ends_on", sa.Date),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
)

tariff_items = sa.Table(
    "tariff_items",
    metadata,
    text_column("tariff_item_id", primary_key=True),
    text_column("scheme"),
    text_column("code"),
    text_column("charge_group"),
    text_column("name"),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("quantity_limit", sa.Integer, nullable=False),
    sa.Column("starts_on", sa.Date, nullable=False),
    sa.Column("ends_on", sa.Date),
)

# A claim is read and decided as a whole: its lines and the statuses it had stand in the row.
claims = sa.Table(
    "claims",
    metadata,
    text_column("claim_id", primary_key=True),
    text_column("organization_id"),
    text_column("invoice_number"),
    sa.Column("content_hash", sa.LargeBinary, nullable=False),
    text_column("registration_id"),
    text_column("encounter_id"),
    text_column("scheme"),
    sa.Column("service_date", sa.Date, nullable=False),
    text_column("authen_code"),
    sa.Column("diagnoses", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("lines", JSONB, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("status_changes", JSONB, nullable=False),
    sa.Column("approved", sa.BigInteger, nullable=False),
    text_column("coverage_id"),
    text_column("person_id"),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    version_column(),
)

# Only grows; every transaction sums to zero. Both are held by triggers.
ledger_entries = sa.Table(
    "ledger_entries",
    metadata,
    sa.Column("entry_number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    text_column("transaction_id"),
    text_column("account"),
    sa.Column("amount", sa.BigInteger, nullable=False),
    text_column("claim_id"),
    text_column("organization_id"),
    text_column("description"),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
)
