"""The tables of records, and why they lie as they lie.

Everything of one person at one organisation lies together: `filed_under` is the registration's id, or `Type/id` for what
is about nobody, and the tables that grow are hash-partitioned by it, so that a region can spread them over machines
without a rewrite. A resource never moves from one registration to another, so that the value never changes.

Uniqueness. `(type, id)` is unique by `locators`, which is partitioned by id: one narrow row per resource, that also answers
whether a reference has a target that the caller may see. In `resources` the primary key carries `filed_under`, and begins
with (type, id): a read by id probes the index of each partition, 122 µs measured against 102 µs unpartitioned and 470 µs
by a join through the locator.

The index. Tokens, references and URIs are hashed to 64 bits and lie in one array per resource under GIN: 40 thousand
resources a second with 14 tokens each came in that way (8 partitions, two further indexes), against 15 thousand with a row
per token. Two different values share a hash once in 10^19 pairs, and the type and the parameter are part of it. The date
that matters for a type lies in the row, since results are sorted by it; other dates and strings, which few types have many
of, lie in tables of rows.

Versions. `resources` holds the current one, a deletion too (empty body); what it replaces moves to `resource_versions`.
"""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, LargeBinary, MetaData, SmallInteger, Table
from sqlalchemy.dialects.postgresql import ARRAY

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

search_strings = Table(
    "search_strings",
    metadata,
    text_column("filed_under"),
    text_column("type"),
    text_column("id"),
    text_column("parameter"),
    # As `libs.fhir.search_parameters.normalized` makes it, its first characters.
    text_column("value"),
)

search_dates = Table(
    "search_dates",
    metadata,
    text_column("filed_under"),
    text_column("type"),
    text_column("id"),
    text_column("parameter"),
    _time("occurred_from"),
    _time("occurred_to"),
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
