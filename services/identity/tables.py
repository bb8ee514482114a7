"""The tables of identity."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY

from libs.database.columns import recorded_at_column, text_column, version_column

metadata = MetaData()

organizations = Table(
    "organizations",
    metadata,
    text_column("organization_id", primary_key=True),
    text_column("name"),
    text_column("name_en"),
    Column("kind", SmallInteger, nullable=False),
    text_column("hcode9"),
    text_column("place_code"),
    Column("health_region", SmallInteger, nullable=False),
    recorded_at_column(),
)

practitioners = Table(
    "practitioners",
    metadata,
    text_column("practitioner_id", primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.organization_id"), nullable=False),
    text_column("licence"),
    text_column("name_language"),
    text_column("name_prefix"),
    text_column("name_given"),
    text_column("name_family"),
    Column("role", SmallInteger, nullable=False),
    recorded_at_column(),
    UniqueConstraint("organization_id", "licence"),
)

clients = Table(
    "clients",
    metadata,
    text_column("client_id", primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.organization_id"), nullable=False),
    text_column("name"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("may_act_for_others", Boolean, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("secret_salt", LargeBinary, nullable=False),
    Column("secret_digest", LargeBinary, nullable=False),
    recorded_at_column(),
)

# Attempts with a wrong secret, also at ids that no client has.
failed_attempts = Table(
    "failed_attempts",
    metadata,
    text_column("client_id", primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("window_ends_at", DateTime(timezone=True), nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    text_column("citizen_key", primary_key=True),
    text_column("account_id"),
    text_column("identifier_system"),
    text_column("masked_value"),
    text_column("display_name"),
    recorded_at_column(),
)

# The decisions as they stand.
consents = Table(
    "consents",
    metadata,
    text_column("citizen_key", primary_key=True),
    text_column("organization_id", primary_key=True),
    Column("category", SmallInteger, primary_key=True),
    text_column("consent_id"),
    Column("decision", SmallInteger, nullable=False),
    version_column(),
    Column("expires_at", DateTime(timezone=True)),
    recorded_at_column(),
)

# Every decision that ever was; appended only.
consent_history = Table(
    "consent_history",
    metadata,
    text_column("citizen_key", primary_key=True),
    text_column("consent_id", primary_key=True),
    Column("version", BigInteger, primary_key=True),
    text_column("organization_id"),
    Column("category", SmallInteger, nullable=False),
    Column("decision", SmallInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    recorded_at_column(),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    text_column("key_id", primary_key=True),
    text_column("jwk"),
    # Null once the key is retired.
    Column("sealed_private_key", LargeBinary),
    Column("signs_from", DateTime(timezone=True), nullable=False),
    Column("not_after", DateTime(timezone=True), nullable=False),
    version_column(),
    Column("retired_at", DateTime(timezone=True)),
    recorded_at_column(),
    Index("signing_keys_in_force", "signs_from", postgresql_where="retired_at IS NULL"),
)
