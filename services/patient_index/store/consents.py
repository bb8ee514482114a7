"""What citizens decided about who may see what, and who is told by it which organisations know a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from nhip.identity.v1 import resources_pb2
from sqlalchemy import text

from libs.access.caller import EMERGENCY, TREATMENT, Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.patient_index.model import Held
from services.patient_index.store.reading import SEEN, is_id
from services.patient_index.store.rows import HELD_COLUMNS, held_of

DECIDE = Statement(
    "patient_index.decide_consents",
    text(
        """
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
        """
    ),
)
FORGET = Statement("patient_index.forget_consents", text("DELETE FROM consents"))

# Until something was heard of identity, nobody knows whether anything is refused.
IS_HEARD = Statement(
    "patient_index.is_identity_heard",
    text(
        """
        SELECT EXISTS (
            SELECT FROM feed_cursors WHERE source = 'identity' AND feed = 'identity' AND cursor <> ''
        )
        """
    ),
)

# The decision that holds for the caller's organisation, whichever registration of the person the citizen's key stands on:
# one about the organisation before one about all, a refusal before a permission. As in records (services/records/visibility).
_PERMITTED = f"""
    (
        SELECT decided.decision
        FROM registrations AS sibling JOIN consents AS decided ON decided.citizen_key = sibling.citizen_key
        WHERE sibling.person_id = registrations.person_id AND sibling.citizen_key <> ''
          AND decided.category = {resources_pb2.CONSENT_CATEGORY_GENERAL}
          AND decided.organization_id IN ('', CAST(:organization_id AS text))
          AND decided.expires_at > CAST(:seen_at AS timestamptz)
        ORDER BY decided.organization_id DESC, decided.decision DESC
        LIMIT 1
    ) IS DISTINCT FROM {resources_pb2.CONSENT_DECISION_DENY}
"""


class View(Enum):
    """The sorts of callers, each with a condition of its own. Whoever is none of these sees their own registrations."""

    OWN = "own"
    TREATMENT = "treatment"
    # The citizen themself, whom SEEN confines to their own; and an emergency, which overrides a refusal.
    ALL = "all"


_CONDITIONS = {
    View.OWN: "registrations.organization_id = CAST(:organization_id AS text)",
    View.TREATMENT: f"(registrations.organization_id = CAST(:organization_id AS text) OR {_PERMITTED})",
    View.ALL: "true",
}
LOCATE = {
    view: Statement(
        f"patient_index.locate_{view.value}",
        text(
            f"""
            SELECT {HELD_COLUMNS} FROM registrations
            WHERE person_id = CAST(:person_id AS uuid) AND {SEEN} AND {condition}
            ORDER BY organization_id, local_number
            """
        ),
    )
    for view, condition in _CONDITIONS.items()
}


@dataclass(frozen=True, slots=True)
class Eyes:
    """For whom it is looked, and when."""

    caller: Caller
    # The citizen key that the caller is confined to; None for callers who may see everybody.
    citizen_key: str | None
    seen_at: datetime

    @property
    def view(self) -> View:
        """What sort of view the caller has."""
        if self.caller.is_citizen:
            return View.ALL
        if not self.caller.organization_id:
            return View.OWN
        if self.caller.purpose == TREATMENT:
            return View.TREATMENT
        return View.ALL if self.caller.purpose == EMERGENCY else View.OWN


async def decide(writer: Writer, decided: Sequence[resources_pb2.Consent], expiries: Sequence[datetime]) -> None:
    """Applies newer decisions."""
    await writer.execute(
        DECIDE,
        consent_ids=[one.consent_id for one in decided],
        citizen_keys=[one.citizen_key for one in decided],
        organization_ids=[one.organization_id for one in decided],
        categories=[one.category for one in decided],
        decisions=[one.decision for one in decided],
        versions=[one.version for one in decided],
        expiries=list(expiries),
    )


async def forget(writer: Writer) -> None:
    """Empties the projection of identity."""
    await writer.execute(FORGET)


async def is_known(reader: Reader, eyes: Eyes) -> bool:
    """Whether what the view rests on is known here: refusals, where they count."""
    return eyes.view is not View.TREATMENT or bool(await reader.fetch_value(IS_HEARD))


async def locate(reader: Reader, person_id: str, eyes: Eyes) -> list[Held]:
    """The registrations of a person that those eyes may learn of."""
    if not is_id(person_id):
        return []
    parameters: dict[str, object] = {"person_id": person_id, "citizen_key": eyes.citizen_key}
    if eyes.view is not View.ALL:
        parameters["organization_id"] = eyes.caller.organization_id
    if eyes.view is View.TREATMENT:
        parameters["seen_at"] = eyes.seen_at
    return [held_of(row) for row in await reader.fetch(LOCATE[eyes.view], **parameters)]
