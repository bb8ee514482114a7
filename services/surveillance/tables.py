"""The tables of surveillance, as its migrations leave them."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Integer, MetaData, SmallInteger, Table

from libs.database.columns import text_column, version_column

metadata = MetaData()

# Whom each registration stands for, from the patient index.
placements = Table(
    "placements",
    metadata,
    text_column("registration_id", primary_key=True),
    text_column("person_id"),
    text_column("place_code"),
    Column("birth_date", Date),
    Column("sex", SmallInteger, nullable=False),
    text_column("nationality"),
    version_column(),
)

# One row per diagnosis and reportable disease: above what was filed, below what it comes to within the person's episodes.
cases = Table(
    "cases",
    metadata,
    text_column("case_id", primary_key=True),
    text_column("diagnosis_id"),
    text_column("disease_code"),
    text_column("registration_id"),
    text_column("organization_id"),
    text_column("icd10"),
    Column("onset_on", Date, nullable=False),
    Column("diagnosed_at", DateTime(timezone=True), nullable=False),
    text_column("stated_place"),
    Column("stated_status", SmallInteger, nullable=False),
    Column("fact_version", BigInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("role", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    text_column("head_case_id"),
    text_column("person_id"),
    text_column("place_code"),
    Column("age_years", SmallInteger, nullable=False),
    Column("sex", SmallInteger, nullable=False),
    text_column("nationality"),
    Column("week_on", Date, nullable=False),
    version_column(),
)

# Raised once for each disease, place and week; one whose count no longer stands out is kept and not listed.
alerts = Table(
    "alerts",
    metadata,
    text_column("alert_id", primary_key=True),
    text_column("disease_code"),
    text_column("place_code"),
    Column("week_on", Date, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("expected", Double, nullable=False),
    Column("score", Double, nullable=False),
    text_column("detector"),
    Column("is_standing", Boolean, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)
