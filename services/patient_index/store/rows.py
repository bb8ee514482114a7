"""Rows ⇄ nouns."""

from typing import Any

import asyncpg

from services.patient_index.model import (
    Asked,
    Decision,
    DecisionKind,
    Features,
    FieldWeight,
    Grade,
    Held,
    Identifier,
    Judgement,
    Match,
)

# What a registration's row is read as. Ids are text outside the database.
HELD_COLUMNS = """
    CAST(registrations.registration_id AS text) AS registration_id, organization_id, local_number,
    CAST(person_id AS text) AS person_id, version, content, features, citizen_key, written_at,
    CAST(decision_id AS text) AS decision_id, recorded_at
"""


def features_row(features: Features) -> list[Any]:
    """Features as they are stored: an array in the order of the fields."""
    return [
        features.given,
        features.family,
        features.given_roman,
        features.family_roman,
        features.birth_date,
        features.sex,
        features.place_code,
        features.phone,
        features.nationality,
        [[one.system, one.value] for one in features.identifiers],
    ]


def features_of(row: list[Any]) -> Features:
    """Features as they were stored."""
    given, family, given_roman, family_roman, birth_date, sex, place_code, phone, nationality, identifiers = row
    return Features(
        given,
        family,
        given_roman,
        family_roman,
        birth_date,
        sex,
        place_code,
        phone,
        nationality,
        tuple(Identifier(system, value) for system, value in identifiers),
    )


def held_of(row: asyncpg.Record) -> Held:
    """A registration from a row with HELD_COLUMNS."""
    (
        registration_id,
        organization_id,
        local_number,
        person_id,
        version,
        content,
        features,
        citizen_key,
        written_at,
        decision_id,
        recorded_at,
    ) = row
    return Held(
        registration_id,
        organization_id,
        local_number,
        person_id,
        version,
        content,
        features_of(features),
        citizen_key,
        written_at,
        decision_id,
        recorded_at,
    )


def decision_of(row: asyncpg.Record) -> Decision:
    """A decision from its row."""
    return Decision(
        row["decision_id"],
        DecisionKind(row["kind"]),
        row["registration_id"],
        row["previous_person_id"] or "",
        row["person_id"],
        row["decided_by"],
        row["recorded_at"],
        row["reason"],
        row["model"],
        row["weight"],
        row["evidence"],
    )


def asked_of(row: asyncpg.Record, judgements: tuple[Judgement, ...] = ()) -> Asked:
    """A review from its row; the match is of the other registration."""
    fields = tuple(FieldWeight(*field) for field in row["fields"])
    match = Match(row["other_id"], Grade(row["grade"]), row["weight"], row["probability"], fields, row["rule"])
    pair = row["registration_id"], row["other_id"]
    return Asked(pair, match, row["priority"], row["assigned_to"], row["assigned_until"], judgements)
