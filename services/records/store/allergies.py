"""The allergies that a drug order is held against."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from libs.access.caller import Caller
from libs.database.transactions import Reader
from services.records.model import Allergy, Decision, Operation
from services.records.store.resources import by_view
from services.records.store.searching import same_person
from services.records.visibility import View, parameters, view_of

_SQL = """
    SELECT asked.registration_id, r.id, r.body
    FROM unnest(CAST(:registration_ids AS text[])) AS asked (registration_id)
    JOIN resources AS r
      ON r.filed_under = ANY(ARRAY({same_person}))
    WHERE r.type = 'AllergyIntolerance' AND r.operation <> {deleted} AND {{r}}
    ORDER BY asked.registration_id, r.occurred_from DESC, r.id
"""

ON_RECORD = {
    view: by_view(
        "allergies.on_record",
        _SQL.format(same_person=same_person("ARRAY[asked.registration_id]", view), deleted=Operation.DELETE.value),
        "r",
    )[view]
    for view in View
}


async def on_record(
    reader: Reader, caller: Caller, seen_at: datetime, registration_ids: Sequence[str], decisions: Sequence[Decision]
) -> list[Allergy]:
    """The allergies of the persons behind the registrations, as far as the caller may see them.

    As the change leaves them: what it writes counts, what it removes does not.
    """
    rows = await reader.fetch(
        ON_RECORD[view_of(caller)], registration_ids=registration_ids, **parameters(caller, seen_at)
    )
    changed = {one.intent.key for one in decisions if one.writes}
    stored = [
        Allergy(row["registration_id"], f"AllergyIntolerance/{row['id']}", orjson.loads(row["body"])) for row in rows
    ]
    coming = [
        Allergy(one.filed_under, one.intent.key, one.intent.body)
        for one in decisions
        if one.writes and one.intent.type == "AllergyIntolerance" and one.intent.body is not None
    ]
    return [*coming, *(one for one in stored if one.key not in changed)]
