"""Cases, the placements they are counted by, and alerts."""

from alembic import op

from libs.database.migrations import create_ground_tables

revision = "0001_start"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE placements (
    registration_id text PRIMARY KEY,
    person_id text NOT NULL,
    place_code text NOT NULL,
    birth_date date,
    sex smallint NOT NULL,
    nationality text NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX placements_of_person ON placements (person_id);

CREATE TABLE cases (
    case_id text PRIMARY KEY,
    diagnosis_id text NOT NULL,
    disease_code text NOT NULL,
    registration_id text NOT NULL,
    organization_id text NOT NULL,
    icd10 text NOT NULL,
    onset_on date NOT NULL,
    diagnosed_at timestamptz NOT NULL,
    stated_place text NOT NULL,
    stated_status smallint NOT NULL,
    fact_version bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    role smallint NOT NULL,
    status smallint NOT NULL,
    head_case_id text NOT NULL,
    person_id text NOT NULL,
    place_code text COLLATE "C" NOT NULL,
    age_years smallint NOT NULL,
    sex smallint NOT NULL,
    nationality text NOT NULL,
    week_on date NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX cases_counted ON cases (disease_code, place_code, week_on) WHERE role = 1 AND status <> 3;
CREATE INDEX cases_counted_by_week ON cases (week_on) WHERE role = 1 AND status <> 3;
CREATE INDEX cases_of_disease ON cases (disease_code, onset_on DESC, case_id DESC) WHERE role = 1;
CREATE INDEX cases_by_onset ON cases (onset_on DESC, case_id DESC) WHERE role = 1;
CREATE INDEX cases_of_organization ON cases (organization_id, onset_on DESC, case_id DESC) WHERE role <= 2;
CREATE INDEX cases_of_registration ON cases (registration_id);
CREATE INDEX cases_of_diagnosis ON cases (diagnosis_id);

CREATE TABLE alerts (
    alert_id text PRIMARY KEY,
    disease_code text NOT NULL,
    place_code text COLLATE "C" NOT NULL,
    week_on date NOT NULL,
    cases integer NOT NULL,
    expected double precision NOT NULL,
    score double precision NOT NULL,
    detector text NOT NULL,
    is_standing boolean NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX alerts_standing ON alerts (week_on DESC, alert_id DESC) WHERE is_standing;
CREATE INDEX alerts_of_place ON alerts (disease_code, place_code, week_on);
"""


def upgrade() -> None:
    create_ground_tables()
    for statement in TABLES.strip().split(";"):
        if statement.strip():
            op.execute(statement)
