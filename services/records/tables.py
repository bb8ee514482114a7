"""The tables of records, and why they lie as they lie.

Everything of one person at one organisation lies together: `filed_under` is the registration's id, or `Type/id` for what
is about nobody, and the tables that grow are hash-partitioned by it, so that a region can spread them over machines
without a rewrite. A resource never moves from one registration to another, so that the value never changes.

Uniqueness. `(type, id)` is unique by `locators`, which is partitioned by id: one narrow row per resource, that also answers
whether a reference has a target that the caller may see. In `resources` the primary key carries `filed_under`, and begins
with (type, id): a read by id probes the index of each partition, 122 µs measured against 102 µs unpartitioned and 470 µs
by a join through the locator.

The index ([decision 17](../../docs/decisions/0017-the-index-is-kept-by-path.md)). Values are kept by path, as 64-bit
tokens in one array per resource under GIN: 40 thousand resources a second with 14 tokens each came in that way (8
partitions, two further indexes), against 15 thousand with a row per token. Two different values share a token once in
10^19 pairs. Texts are tokens too, and stand once each in the dictionary `search_texts`. The date that matters for a type
lies in the row, since results are sorted by it; further dates, and numbers with their units, lie in tables of rows, each
with the version that it is of. What a type is about (a code that very many resources carry) is walked by date in
`search_orders`; an entry there counts only if the row still says the same.

Versions. `resources` holds the current one, a deletion too (empty body); what it replaces moves to `resource_versions`,
with its tokens and with the transactions that wrote and superseded it: the pages of one search are all of one state.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from libs.database.columns import text_column, version_column

metadata = MetaData()


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


resources = Table(
    "resources",
    metadata,
    text_column("type", primary_key=True),
    text_column("id", primary_key=True),
    text_column("filed_under", primary_key=True),
    version_column(),
    # ResourceOperation: what made this version.
    _small("operation"),
    # False for what is about no person: `filed_under` then is its own address.
    _flag("is_personal"),
    # Who filed it.
    text_column("organization_id"),
    # Sensitivity: 0 general, 1 sensitive.
    _small("sensitivity"),
    _time("recorded_at"),
    # When the source wrote it, for imports.
    _time("source_updated_at", nullable=True),
    # Of the content without what the server fills in: the same again makes no version.
    Column("content_hash", LargeBinary, nullable=False),
    # The span of the type's principal date; both `libs.fhir.moments.BEGINNING` where there is none.
    _time("occurred_from"),
    _time("occurred_to"),
    Column("tokens", ARRAY(BigInteger), nullable=False),
    # The JSON with id and meta; empty for a deletion.
    Column("body", LargeBinary, nullable=False),
    # `rules.index_entries.GENERATION` when it was indexed.
    _small("index_generation"),
    # The transaction (xid8) that wrote this version; NULL for what was written before there was the column.
    Column("written_by", BigInteger, nullable=True),
)

resource_versions = Table(
    "resource_versions",
    metadata,
    text_column("type", primary_key=True),
    text_column("id", primary_key=True),
    Column("version", BigInteger, primary_key=True),
    text_column("filed_under", primary_key=True),
    _small("operation"),
    _flag("is_personal"),
    text_column("organization_id"),
    _small("sensitivity"),
    _time("recorded_at"),
    Column("body", LargeBinary, nullable=False),
    # As in `resources`, for pages that are of a state before this version was superseded.
    Column("tokens", ARRAY(BigInteger), nullable=True),
    _time("occurred_from", nullable=True),
    _time("occurred_to", nullable=True),
    Column("written_by", BigInteger, nullable=True),
    Column("superseded_by", BigInteger, nullable=True),
    _time("superseded_at", nullable=True),
)

locators = Table(
    "locators",
    metadata,
    text_column("type", primary_key=True),
    text_column("id", primary_key=True),
    text_column("filed_under"),
    _flag("is_personal"),
    text_column("organization_id"),
    _small("sensitivity"),
    _flag("is_deleted"),
)

# Every text that some resource is found by, once.
search_texts = Table(
    "search_texts",
    metadata,
    # `rules.index_entries.text_hash`.
    Column("hash", BigInteger, primary_key=True, autoincrement=False),
    # As `libs.fhir.search_parameters.normalized` makes it; addresses as they are.
    text_column("value"),
)

search_dates = Table(
    "search_dates",
    metadata,
    text_column("filed_under"),
    text_column("type"),
    text_column("id"),
    # The path.
    text_column("parameter"),
    _time("occurred_from"),
    _time("occurred_to"),
    version_column(),
)

search_numbers = Table(
    "search_numbers",
    metadata,
    text_column("filed_under"),
    text_column("type"),
    text_column("id"),
    version_column(),
    # `rules.index_entries.number_place`.
    Column("place", BigInteger, nullable=False),
    # The code beside it, or 0.
    Column("about", BigInteger, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("keys", ARRAY(BigInteger), nullable=False),
)

search_orders = Table(
    "search_orders",
    metadata,
    text_column("filed_under"),
    text_column("type"),
    text_column("id"),
    # One of the tokens of the resource, and the beginning of its principal date.
    Column("token", BigInteger, nullable=False),
    _time("occurred_from"),
)

# From feed `patient_index`: which registrations are one person.
registrations = Table(
    "registrations",
    metadata,
    text_column("registration_id", primary_key=True),
    text_column("organization_id"),
    text_column("person_id"),
    text_column("citizen_key"),
    version_column(),
)

# From feed `identity`: what each citizen decided.
consents = Table(
    "consents",
    metadata,
    text_column("consent_id", primary_key=True),
    text_column("citizen_key"),
    text_column("organization_id"),
    _small("category"),
    _small("decision"),
    version_column(),
    _time("expires_at"),
)

# Made of the two above: what holds for a person, whichever of their registrations the citizen's key stands on.
person_consents = Table(
    "person_consents",
    metadata,
    text_column("person_id", primary_key=True),
    Column("category", SmallInteger, primary_key=True),
    text_column("organization_id", primary_key=True),
    Column("decision", SmallInteger, primary_key=True),
    _time("expires_at"),
)

# Subscriptions that are acted upon; the resource itself lies with the others, without the secrets of its headers.
subscriptions = Table(
    "subscriptions",
    metadata,
    text_column("subscription_id", primary_key=True),
    text_column("organization_id"),
    # For whose eyes its notifications are: `rules.subscribing.eyes_of`.
    Column("eyes", JSONB, nullable=False),
    text_column("base_url"),
    text_column("topic"),
    text_column("resource_type"),
    Column("filters", ARRAY(Text), nullable=False),
    text_column("channel"),
    text_column("endpoint"),
    # Name → value.
    Column("headers", JSONB, nullable=False),
    text_column("content"),
    text_column("content_type"),
    Column("heartbeat_seconds", Integer, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("max_count", Integer, nullable=False),
    # No later than the grant of who wrote it lasts.
    _time("ends_at"),
    # requested, active, error, off.
    text_column("status"),
    text_column("error"),
    # How far the feed has been looked through.
    Column("cursor_transaction", BigInteger, nullable=False),
    Column("cursor_position", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    # Of the notification that is being delivered.
    Column("attempts", Integer, nullable=False),
    # Dead letters in a row.
    Column("failures", Integer, nullable=False),
    _time("next_attempt_at"),
    _time("contacted_at"),
    text_column("lease"),
    _time("lease_until"),
    Column("leased_numbers", ARRAY(BigInteger), nullable=False),
)

subscription_events = Table(
    "subscription_events",
    metadata,
    text_column("subscription_id", primary_key=True),
    Column("number", BigInteger, primary_key=True),
    text_column("type"),
    text_column("id"),
    version_column(),
    _small("operation"),
    _time("occurred_at"),
    # 0 waiting, 1 delivered, 2 dead.
    _small("state"),
)

subscription_dead_letters = Table(
    "subscription_dead_letters",
    metadata,
    text_column("dead_letter_id", primary_key=True),
    text_column("subscription_id"),
    Column("numbers", ARRAY(BigInteger), nullable=False),
    Column("attempts", Integer, nullable=False),
    text_column("error"),
    _time("failed_at"),
)
