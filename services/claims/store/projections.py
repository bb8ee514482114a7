"""What the followed feeds told: visits, and whom registrations stand for."""

from collections.abc import Sequence

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Writer
from services.claims.model import Placement, Visit

_STORE_VISITS = Statement(
    "claims.store_visits",
    text(
        """
        INSERT INTO visits AS held (encounter_id, registration_id, organization_id, state, version)
        SELECT * FROM unnest(
            CAST(:encounter_ids AS text[]), CAST(:registration_ids AS text[]), CAST(:organization_ids AS text[]),
            CAST(:states AS smallint[]), CAST(:versions AS bigint[])
        )
        ON CONFLICT (encounter_id) DO UPDATE SET
            registration_id = excluded.registration_id, organization_id = excluded.organization_id,
            state = excluded.state, version = excluded.version
        WHERE excluded.version > held.version
        RETURNING encounter_id
        """
    ),
)

_STORE_PLACEMENTS = Statement(
    "claims.store_placements",
    text(
        """
        WITH before AS (
            SELECT registration_id, person_id FROM placements
            WHERE registration_id = ANY(CAST(:registration_ids AS text[]))
        ), placed AS (
            INSERT INTO placements AS held (registration_id, organization_id, person_id, citizen_key, version)
            SELECT * FROM unnest(
                CAST(:registration_ids AS text[]), CAST(:organization_ids AS text[]), CAST(:person_ids AS text[]),
                CAST(:citizen_keys AS text[]), CAST(:versions AS bigint[])
            )
            ON CONFLICT (registration_id) DO UPDATE SET
                organization_id = excluded.organization_id, person_id = excluded.person_id,
                citizen_key = excluded.citizen_key, version = excluded.version
            WHERE excluded.version > held.version
            RETURNING registration_id, person_id
        )
        SELECT placed.registration_id, before.person_id <> placed.person_id AS has_moved
        FROM placed LEFT JOIN before ON before.registration_id = placed.registration_id
        """
    ),
)

# A claim that was decided keeps what was decided, and is told of with the person that its registration has now.
_REATTRIBUTE = Statement(
    "claims.reattribute",
    text(
        """
        UPDATE claims SET person_id = placements.person_id
        FROM placements
        WHERE placements.registration_id = ANY(CAST(:registration_ids AS text[]))
          AND claims.registration_id = placements.registration_id
          AND claims.person_id <> '' AND claims.person_id <> placements.person_id
        """
    ),
)

_FORGET_VISITS = Statement("claims.forget_visits", text("DELETE FROM visits"))


async def store_visits(writer: Writer, visits: Sequence[Visit]) -> list[str]:
    """Stores what is newer than what is held; the encounters that changed."""
    rows = await writer.change(
        _STORE_VISITS,
        encounter_ids=[one.encounter_id for one in visits],
        registration_ids=[one.registration_id for one in visits],
        organization_ids=[one.organization_id for one in visits],
        states=[one.state for one in visits],
        versions=[one.version for one in visits],
    )
    return [row["encounter_id"] for row in rows]


async def store_placements(writer: Writer, placements: Sequence[Placement]) -> list[str]:
    """Stores what is newer than what is held; the registrations that changed. Claims go with those that moved."""
    rows = await writer.change(
        _STORE_PLACEMENTS,
        registration_ids=[one.registration_id for one in placements],
        organization_ids=[one.organization_id for one in placements],
        person_ids=[one.person_id for one in placements],
        citizen_keys=[one.citizen_key for one in placements],
        versions=[one.version for one in placements],
    )
    if moved := [row["registration_id"] for row in rows if row["has_moved"]]:
        await writer.execute(_REATTRIBUTE, registration_ids=moved)
    return [row["registration_id"] for row in rows]


async def forget_visits(writer: Writer) -> None:
    """Empties what records told."""
    await writer.execute(_FORGET_VISITS)
