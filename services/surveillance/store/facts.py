"""Writes what the feeds told, and what it comes to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.surveillance.model import Case, Finding, Placement, Role, Standing, Status

# Every writer of cases holds this key, so that the two followers never judge one person at the same time.
CASES = "surveillance/cases"

_PLACE = Statement(
    "surveillance.place",
    text(
        """
        WITH told AS (
            SELECT * FROM unnest(
                CAST(:registration_ids AS text[]), CAST(:person_ids AS text[]), CAST(:place_codes AS text[]),
                CAST(:birth_dates AS date[]), CAST(:sexes AS smallint[]), CAST(:nationalities AS text[]),
                CAST(:versions AS bigint[])
            ) AS told (registration_id, person_id, place_code, birth_date, sex, nationality, version)
        ), before AS (
            SELECT placements.registration_id, placements.person_id
            FROM placements JOIN told ON told.registration_id = placements.registration_id
        ), placed AS (
            INSERT INTO placements AS held
            SELECT registration_id, person_id, place_code, birth_date, sex, nationality, version FROM told
            ON CONFLICT (registration_id) DO UPDATE SET
                person_id = excluded.person_id, place_code = excluded.place_code, birth_date = excluded.birth_date,
                sex = excluded.sex, nationality = excluded.nationality, version = excluded.version
            WHERE excluded.version > held.version
            RETURNING registration_id
        )
        SELECT placed.registration_id, before.person_id AS left_person_id
        FROM placed LEFT JOIN before ON before.registration_id = placed.registration_id
        """
    ),
)

_FIND = Statement(
    "surveillance.find",
    text(
        """
        INSERT INTO cases AS held (
            case_id, diagnosis_id, disease_code, registration_id, organization_id, icd10, onset_on, diagnosed_at,
            stated_place, stated_status, fact_version, recorded_at,
            role, status, head_case_id, person_id, place_code, age_years, sex, nationality, week_on, version
        )
        SELECT found.*, 3, 3, found.case_id, '', '', -1, 0, '', found.onset_on, 0
        FROM unnest(
            CAST(:case_ids AS text[]), CAST(:diagnosis_ids AS text[]), CAST(:disease_codes AS text[]),
            CAST(:registration_ids AS text[]), CAST(:organization_ids AS text[]), CAST(:icd10s AS text[]),
            CAST(:onsets AS date[]), CAST(:diagnosed AS timestamptz[]), CAST(:stated_places AS text[]),
            CAST(:stated_statuses AS smallint[]), CAST(:fact_versions AS bigint[]), CAST(:recorded AS timestamptz[])
        ) AS found (
            case_id, diagnosis_id, disease_code, registration_id, organization_id, icd10, onset_on, diagnosed_at,
            stated_place, stated_status, fact_version, recorded_at
        )
        ON CONFLICT (case_id) DO UPDATE SET
            registration_id = excluded.registration_id, organization_id = excluded.organization_id,
            icd10 = excluded.icd10, onset_on = excluded.onset_on, diagnosed_at = excluded.diagnosed_at,
            stated_place = excluded.stated_place, stated_status = excluded.stated_status,
            fact_version = excluded.fact_version
        WHERE excluded.fact_version > held.fact_version
        RETURNING registration_id
        """
    ),
)

# Findings of diagnoses that speak of their disease no longer: changed to another, or deleted.
_WITHDRAW = Statement(
    "surveillance.withdraw",
    text(
        """
        UPDATE cases SET stated_status = 3, fact_version = told.version
        FROM unnest(CAST(:diagnosis_ids AS text[]), CAST(:versions AS bigint[])) AS told (diagnosis_id, version)
        WHERE cases.diagnosis_id = told.diagnosis_id AND cases.fact_version < told.version
        RETURNING cases.registration_id
        """
    ),
)

# All findings of the persons behind the registrations, and of the persons named.
_LOAD = Statement(
    "surveillance.load",
    text(
        """
        WITH persons AS (
            SELECT person_id FROM placements WHERE registration_id = ANY(CAST(:registration_ids AS text[]))
            UNION SELECT unnest(CAST(:person_ids AS text[]))
        ), touched AS (
            SELECT registration_id FROM placements JOIN persons USING (person_id)
            UNION SELECT unnest(CAST(:registration_ids AS text[]))
        )
        SELECT cases.*, placements.person_id AS placed_person_id, placements.place_code AS home_place,
               placements.birth_date, placements.sex AS placed_sex, placements.nationality AS placed_nationality
        FROM touched JOIN cases USING (registration_id) LEFT JOIN placements USING (registration_id)
        """
    ),
)

_STAND = Statement(
    "surveillance.stand",
    text(
        """
        UPDATE cases SET
            role = judged.role, status = judged.status, head_case_id = judged.head_case_id, person_id = judged.person_id,
            place_code = judged.place_code, age_years = judged.age_years, sex = judged.sex,
            nationality = judged.nationality, week_on = judged.week_on, version = judged.version
        FROM unnest(
            CAST(:case_ids AS text[]), CAST(:roles AS smallint[]), CAST(:statuses AS smallint[]),
            CAST(:head_case_ids AS text[]), CAST(:person_ids AS text[]), CAST(:place_codes AS text[]),
            CAST(:ages AS smallint[]), CAST(:sexes AS smallint[]), CAST(:nationalities AS text[]),
            CAST(:weeks AS date[]), CAST(:versions AS bigint[])
        ) AS judged (
            case_id, role, status, head_case_id, person_id, place_code, age_years, sex, nationality, week_on, version
        )
        WHERE cases.case_id = judged.case_id
        """
    ),
)

_FORGET_PLACEMENTS = Statement("surveillance.forget_placements", text("DELETE FROM placements"))
_FORGET_FINDINGS = Statement(
    "surveillance.forget_findings",
    text(
        """
        WITH before AS (SELECT * FROM cases)
        UPDATE cases SET stated_status = 3, fact_version = 0, role = 1, status = 3, head_case_id = cases.case_id,
               version = cases.version + 1
        FROM before WHERE before.case_id = cases.case_id
        RETURNING before.*
        """
    ),
)
_FORGET_ALERTS = Statement(
    "surveillance.forget_alerts", text("UPDATE alerts SET is_standing = false WHERE is_standing")
)


async def place(
    writer: Writer, placements: Sequence[Placement], versions: Sequence[int]
) -> tuple[list[str], list[str]]:
    """Stores the placements that are newer than those held; the registrations that moved, and the persons they left."""
    rows = await writer.change(
        _PLACE,
        registration_ids=[one.registration_id for one in placements],
        person_ids=[one.person_id for one in placements],
        place_codes=[one.place_code for one in placements],
        birth_dates=[one.birth_date for one in placements],
        sexes=[one.sex for one in placements],
        nationalities=[one.nationality for one in placements],
        versions=list(versions),
    )
    left = {row["left_person_id"] for row in rows if row["left_person_id"]}
    return [row["registration_id"] for row in rows], sorted(left)


async def find(writer: Writer, findings: Sequence[Finding]) -> list[str]:
    """Stores the findings that are newer than those held; the registrations they are about."""
    rows = await writer.change(
        _FIND,
        case_ids=[one.case_id for one in findings],
        diagnosis_ids=[one.diagnosis_id for one in findings],
        disease_codes=[one.disease_code for one in findings],
        registration_ids=[one.registration_id for one in findings],
        organization_ids=[one.organization_id for one in findings],
        icd10s=[one.icd10 for one in findings],
        onsets=[one.onset_on for one in findings],
        diagnosed=[one.diagnosed_at for one in findings],
        stated_places=[one.stated_place for one in findings],
        stated_statuses=[one.stated_status for one in findings],
        fact_versions=[one.fact_version for one in findings],
        recorded=[one.recorded_at for one in findings],
    )
    return [row["registration_id"] for row in rows]


async def withdraw(writer: Writer, versions: Mapping[str, int]) -> list[str]:
    """Discards what older versions of these diagnoses said; the registrations it was about."""
    rows = await writer.change(_WITHDRAW, diagnosis_ids=list(versions), versions=list(versions.values()))
    return [row["registration_id"] for row in rows]


async def load(
    reader: Reader, registration_ids: Iterable[str], person_ids: Iterable[str]
) -> tuple[list[Case], dict[str, Placement]]:
    """Every finding of the persons behind the registrations and of the persons named, with their placements."""
    rows = await reader.fetch(_LOAD, registration_ids=list(registration_ids), person_ids=list(person_ids))
    placements = {
        row["registration_id"]: Placement(
            row["registration_id"],
            row["placed_person_id"],
            row["home_place"],
            row["birth_date"],
            row["placed_sex"],
            row["placed_nationality"],
        )
        for row in rows
        if row["placed_person_id"] is not None
    }
    return [case_of(row) for row in rows], placements


async def stand(writer: Writer, judged: Sequence[Case]) -> None:
    """Stores the standings of these cases."""
    standings = [case.standing for case in judged]
    await writer.execute(
        _STAND,
        case_ids=[case.finding.case_id for case in judged],
        roles=[one.role for one in standings],
        statuses=[one.status for one in standings],
        head_case_ids=[one.head_case_id for one in standings],
        person_ids=[one.person_id for one in standings],
        place_codes=[one.place_code for one in standings],
        ages=[one.age_years for one in standings],
        sexes=[one.sex for one in standings],
        nationalities=[one.nationality for one in standings],
        weeks=[one.week_on for one in standings],
        versions=[case.version for case in judged],
    )


async def forget_placements(writer: Writer) -> None:
    """Empties what the patient index told."""
    await writer.execute(_FORGET_PLACEMENTS)


async def forget_findings(writer: Writer) -> list[Case]:
    """Discards every finding until it is told anew; the cases as they were before."""
    rows = await writer.change(_FORGET_FINDINGS)
    await writer.execute(_FORGET_ALERTS)
    return [case_of(row) for row in rows]


def case_of(row: asyncpg.Record | Mapping[str, Any]) -> Case:
    """A case from a row of the table."""
    finding = Finding(
        case_id=row["case_id"],
        diagnosis_id=row["diagnosis_id"],
        disease_code=row["disease_code"],
        registration_id=row["registration_id"],
        organization_id=row["organization_id"],
        icd10=row["icd10"],
        onset_on=row["onset_on"],
        diagnosed_at=row["diagnosed_at"],
        stated_place=row["stated_place"],
        stated_status=Status(row["stated_status"]),
        fact_version=row["fact_version"],
        recorded_at=row["recorded_at"],
    )
    standing = Standing(
        role=Role(row["role"]),
        status=Status(row["status"]),
        head_case_id=row["head_case_id"],
        person_id=row["person_id"],
        place_code=row["place_code"],
        age_years=row["age_years"],
        sex=row["sex"],
        nationality=row["nationality"],
        week_on=row["week_on"],
    )
    return Case(finding, standing, row["version"])
