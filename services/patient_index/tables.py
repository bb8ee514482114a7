"""The tables of the index.

Each unique constraint begins with the registration or the key that a large installation distributes by. What a person is
stands in no table: it is the registrations with its id.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    desc,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()

registrations = Table(
    "registrations",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("local_number", Text, nullable=False),
    Column("person_id", UUID, nullable=False),
    Column("version", BigInteger, nullable=False),
    # The normalised registration as protobuf, deterministically written: equal bytes are equal content.
    Column("content", LargeBinary, nullable=False),
    # What is compared, as an array in the order of model.Features.
    Column("features", JSONB, nullable=False),
    Column("citizen_key", Text, nullable=False),
    Column("written_at", DateTime(timezone=True), nullable=False),
    Column("decision_id", UUID, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("registrations_of_person", "person_id"),
)
Index(
    "registrations_of_citizen",
    registrations.c.citizen_key,
    postgresql_where=registrations.c.citizen_key != "",
)

# What a registration said before: one row for each content that another replaced.
registration_versions = Table(
    "registration_versions",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("written_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("superseded_at", DateTime(timezone=True), nullable=False),
)

# By what registrations are found: identifiers for exact search, blocks for matching. kind is model.KeyKind.
registration_keys = Table(
    "registration_keys",
    metadata,
    Column("key", BigInteger, primary_key=True),
    Column("kind", SmallInteger, primary_key=True),
    Column("registration_id", UUID, primary_key=True),
)

# Every decision, never overwritten. `position` orders them as they were made.
decisions = Table(
    "decisions",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("decision_id", UUID, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("previous_person_id", UUID, nullable=True),
    Column("person_id", UUID, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("weight", Double, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

# `kind` is model.DecisionKind: a decision of registering (1) is found by its registration.
Index("decisions_by_id", decisions.c.decision_id, postgresql_where=text("kind <> 1"))
# Into whom a person was merged.
Index("decisions_of_merged", decisions.c.previous_person_id, postgresql_where=text("kind IN (4, 6)"))
# What people decided, in its order: few among what the index decides by itself.
Index(
    "decisions_by_people",
    decisions.c.position,
    postgresql_where=text("kind <> 1 AND (kind <> 2 OR decided_by <> 'index')"),
)

# Pairs that somebody unlinked: the index does not link them by itself. Each pair stands twice, once from either side.
held_apart = Table(
    "held_apart",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("decision_id", UUID, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

# What somebody ordained about pairs; kind is model.Override. Each pair stands twice, once from either side.
overrides = Table(
    "overrides",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("decision_id", UUID, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

# Pairs that somebody should judge; registration_id < other_id. Closed when a decision settles them.
reviews = Table(
    "reviews",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("grade", SmallInteger, nullable=False),
    Column("weight", Double, nullable=False),
    Column("probability", Double, nullable=False),
    Column("fields", JSONB, nullable=False),
    Column("rule", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True), nullable=True),
    # rules.reviewing says how urgent.
    Column("priority", Double, nullable=False, server_default=text("0")),
    # Who works on it; nobody else is given it until then.
    Column("assigned_to", Text, nullable=False, server_default=text("''")),
    Column("assigned_until", DateTime(timezone=True), nullable=True),
    Index("reviews_of_other", "other_id"),
)
Index(
    "reviews_by_urgency",
    desc(reviews.c.weight),
    reviews.c.registration_id,
    reviews.c.other_id,
    postgresql_where=reviews.c.closed_at.is_(None),
)

Index(
    "reviews_by_priority",
    desc(reviews.c.priority),
    reviews.c.registration_id,
    reviews.c.other_id,
    postgresql_where=reviews.c.closed_at.is_(None),
)

# What reviewers said, in their order. Those older than the question that stands in `reviews` do not count.
review_verdicts = Table(
    "review_verdicts",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("reviewer", Text, nullable=False),
    Column("verdict", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

# Pairs drawn by lot, to be judged blindly: whether they were linked when they were drawn.
sampled_pairs = Table(
    "sampled_pairs",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("is_linked", Boolean, nullable=False),
    # Dimension → stratum, as when it was drawn.
    Column("strata", JSONB, nullable=False),
    Column("drawn_at", DateTime(timezone=True), nullable=False),
    Column("assigned_to", Text, nullable=False, server_default=text("''")),
    Column("assigned_until", DateTime(timezone=True), nullable=True),
    Column("is_settled", Boolean, nullable=False, server_default=text("false")),
)

sample_verdicts = Table(
    "sample_verdicts",
    metadata,
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("reviewer", Text, nullable=False),
    Column("verdict", SmallInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)
Index(
    "sample_verdicts_once",
    sample_verdicts.c.registration_id,
    sample_verdicts.c.other_id,
    sample_verdicts.c.reviewer,
    unique=True,
)

# Matching models that were registered; the one that the software brings is none of them.
models = Table(
    "models",
    metadata,
    Column("name", Text, primary_key=True),
    Column("definition", Text, nullable=False),
    Column("registered_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
)

model_approvals = Table(
    "model_approvals",
    metadata,
    Column("name", Text, primary_key=True),
    Column("approved_by", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("approved_at", DateTime(timezone=True), nullable=False),
)

# The last one decides.
model_adoptions = Table(
    "model_adoptions",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("adopted_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("adopted_at", DateTime(timezone=True), nullable=False),
)

# How far all registrations are scored by a model that does not decide; `cursor` is the last that was.
model_runs = Table(
    "model_runs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("against", Text, nullable=False),
    Column("cursor", UUID, nullable=False),
    Column("scored", BigInteger, nullable=False),
    Column("registrations", BigInteger, nullable=False),
    Column("joins", BigInteger, nullable=False),
    Column("parts", BigInteger, nullable=False),
    Column("is_finished", Boolean, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

# Pairs that a model judges otherwise; kind is rules.shadowing.FlipKind, fields and probability are the model's.
model_flips = Table(
    "model_flips",
    metadata,
    Column("name", Text, primary_key=True),
    Column("registration_id", UUID, primary_key=True),
    Column("other_id", UUID, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("grade_before", SmallInteger, nullable=False),
    Column("grade_after", SmallInteger, nullable=False),
    Column("weight_before", Double, nullable=False),
    Column("weight_after", Double, nullable=False),
    Column("probability", Double, nullable=False),
    Column("fields", JSONB, nullable=False),
)
Index(
    "model_flips_by_change",
    model_flips.c.name,
    text("abs(weight_after - weight_before) DESC"),
    model_flips.c.registration_id,
    model_flips.c.other_id,
)

# How common a name is, for names borne by many; see store.names.
name_shares = Table(
    "name_shares",
    metadata,
    # `given_name|<folded>` or `family_name|<folded>`.
    Column("name", Text, primary_key=True),
    Column("share", Double, nullable=False),
)

# What citizens decided, as identity announced it: a projection. `category` and `decision` are identity's numbers.
consents = Table(
    "consents",
    metadata,
    Column("consent_id", Text, primary_key=True),
    Column("citizen_key", Text, nullable=False),
    # Whom it is about; empty for every organisation.
    Column("organization_id", Text, nullable=False),
    Column("category", SmallInteger, nullable=False),
    Column("decision", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("consents_of_citizen", "citizen_key"),
)
