"""The projections that access rests on: registrations, consents, and what holds for each person."""

from collections.abc import Sequence
from datetime import datetime

from nhip.identity.v1 import resources_pb2
from nhip.patient_index.v1 import events_pb2
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Writer

# Answers the persons concerned: the one that a registration came to, and the one that it left.
PLACE = Statement(
    "registrations.place",
    text(
        """
        WITH placed AS (
            SELECT *
            FROM unnest(
                CAST(:registration_ids AS text[]), CAST(:organization_ids AS text[]), CAST(:person_ids AS text[]),
                CAST(:citizen_keys AS text[]), CAST(:versions AS bigint[])
            ) AS placed (registration_id, organization_id, person_id, citizen_key, version)
        ), before AS (
            SELECT known.person_id FROM registrations AS known JOIN placed USING (registration_id)
        ), after AS (
            INSERT INTO registrations AS known (registration_id, organization_id, person_id, citizen_key, version)
            SELECT registration_id, organization_id, person_id, citizen_key, version FROM placed
            ON CONFLICT (registration_id) DO UPDATE
            SET organization_id = excluded.organization_id, person_id = excluded.person_id,
                citizen_key = excluded.citizen_key, version = excluded.version
            WHERE excluded.version > known.version
            RETURNING person_id
        )
        SELECT person_id FROM before UNION SELECT person_id FROM after
        """
    ),
)

# Answers the persons concerned: whoever has a registration with the key that the decision stands under.
DECIDE = Statement(
    "consents.decide",
    text(
        """
        WITH decided AS (
            INSERT INTO consents AS known
                (consent_id, citizen_key, organization_id, category, decision, version, expires_at)
            SELECT consent_id, citizen_key, organization_id, category, decision, version, expires_at
            FROM unnest(
                CAST(:consent_ids AS text[]), CAST(:citizen_keys AS text[]), CAST(:organization_ids AS text[]),
                CAST(:categories AS smallint[]), CAST(:decisions AS smallint[]), CAST(:versions AS bigint[]),
                CAST(:expiries AS timestamptz[])
            ) AS coming (consent_id, citizen_key, organization_id, category, decision, version, expires_at)
            ON CONFLICT (consent_id) DO UPDATE
            SET citizen_key = excluded.citizen_key, organization_id = excluded.organization_id,
                category = excluded.category, decision = excluded.decision, version = excluded.version,
                expires_at = excluded.expires_at
            WHERE excluded.version > known.version
            RETURNING citizen_key
        )
        SELECT DISTINCT person_id FROM registrations WHERE citizen_key IN (SELECT citizen_key FROM decided)
        """
    ),
)

RESOLVE = Statement(
    "person_consents.resolve",
    text(
        """
        INSERT INTO person_consents (person_id, category, organization_id, decision, expires_at)
        SELECT registered.person_id, decided.category, decided.organization_id, decided.decision, max(decided.expires_at)
        FROM (
            SELECT DISTINCT person_id, citizen_key FROM registrations
            WHERE person_id = ANY(CAST(:person_ids AS text[])) AND citizen_key <> ''
        ) AS registered
        JOIN consents AS decided ON decided.citizen_key = registered.citizen_key
        GROUP BY registered.person_id, decided.category, decided.organization_id, decided.decision
        """
    ),
)
UNRESOLVE = Statement(
    "person_consents.unresolve",
    text("DELETE FROM person_consents WHERE person_id = ANY(CAST(:person_ids AS text[]))"),
)
FORGET_REGISTRATIONS = Statement("registrations.forget", text("DELETE FROM registrations"))
FORGET_CONSENTS = Statement("consents.forget", text("DELETE FROM consents"))
FORGET_RESOLVED = Statement("person_consents.forget", text("DELETE FROM person_consents"))


async def place(writer: Writer, placed: Sequence[events_pb2.RegistrationPlaced]) -> None:
    """Applies newer placements, and what follows for the persons."""
    rows = await writer.change(
        PLACE,
        registration_ids=[one.registration_id for one in placed],
        organization_ids=[one.organization_id for one in placed],
        person_ids=[one.person_id for one in placed],
        citizen_keys=[one.citizen_key for one in placed],
        versions=[one.version for one in placed],
    )
    await _resolve(writer, [row["person_id"] for row in rows])


async def decide(writer: Writer, decided: Sequence[resources_pb2.Consent], expiries: Sequence[datetime]) -> None:
    """Applies newer decisions, and what follows for the persons."""
    rows = await writer.change(
        DECIDE,
        consent_ids=[one.consent_id for one in decided],
        citizen_keys=[one.citizen_key for one in decided],
        organization_ids=[one.organization_id for one in decided],
        categories=[one.category for one in decided],
        decisions=[one.decision for one in decided],
        versions=[one.version for one in decided],
        expiries=list(expiries),
    )
    await _resolve(writer, [row["person_id"] for row in rows])


async def _resolve(writer: Writer, person_ids: Sequence[str]) -> None:
    if person_ids:
        await writer.execute(UNRESOLVE, person_ids=person_ids)
        await writer.execute(RESOLVE, person_ids=person_ids)


async def forget_registrations(writer: Writer) -> None:
    """Empties the projection of the patient index."""
    await writer.execute(FORGET_REGISTRATIONS)
    await writer.execute(FORGET_RESOLVED)


async def forget_consents(writer: Writer) -> None:
    """Empties the projection of identity."""
    await writer.execute(FORGET_CONSENTS)
    await writer.execute(FORGET_RESOLVED)
