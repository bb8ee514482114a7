"""Pairs that wait for reviewers, and what these said."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.patient_index.model import Asked, Judgement, Pair, Settled, Verdict
from services.patient_index.store.rows import asked_of

_COLUMNS = """
    CAST(reviews.registration_id AS text) AS registration_id, CAST(reviews.other_id AS text) AS other_id, grade, weight,
    probability, fields, rule, priority, assigned_to, assigned_until
"""

LIST_REVIEWS = Statement(
    "patient_index.list_reviews",
    text(
        f"""
        SELECT {_COLUMNS}
        FROM reviews
        WHERE closed_at IS NULL
          AND (priority < CAST(:priority AS double precision) OR priority = CAST(:priority AS double precision)
               AND (registration_id, other_id) > (CAST(:registration_id AS uuid), CAST(:other_id AS uuid)))
        ORDER BY priority DESC, reviews.registration_id, reviews.other_id
        LIMIT CAST(:most AS integer)
        """
    ),
)

READ_ASKED = Statement(
    "patient_index.read_asked",
    text(
        f"""
        SELECT {_COLUMNS}
        FROM unnest(CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[])) AS wanted (registration_id, other_id)
        JOIN reviews ON reviews.registration_id = wanted.registration_id AND reviews.other_id = wanted.other_id
        WHERE closed_at IS NULL
        """
    ),
)

READ_JUDGEMENTS = Statement(
    "patient_index.read_judgements",
    text(
        """
        SELECT CAST(said.registration_id AS text) AS registration_id, CAST(said.other_id AS text) AS other_id,
            said.reviewer, said.verdict, said.reason
        FROM unnest(CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[])) AS wanted (registration_id, other_id)
        JOIN review_verdicts AS said
          ON said.registration_id = wanted.registration_id AND said.other_id = wanted.other_id
        JOIN reviews ON reviews.registration_id = said.registration_id AND reviews.other_id = said.other_id
        WHERE said.recorded_at >= reviews.recorded_at
        ORDER BY said.position
        """
    ),
)

# The one that is named, or the most urgent that is free. Two who ask at once get two.
CLAIM_REVIEW = Statement(
    "patient_index.claim_review",
    text(
        f"""
        UPDATE reviews SET assigned_to = CAST(:caller AS text), assigned_until = CAST(:until AS timestamptz)
        FROM (
            SELECT registration_id, other_id FROM reviews AS waiting
            WHERE closed_at IS NULL
              AND (CAST(:registration_id AS uuid) IS NULL
                   OR (registration_id, other_id) = (CAST(:registration_id AS uuid), CAST(:other_id AS uuid)))
              AND (assigned_to IN ('', CAST(:caller AS text)) OR assigned_until <= CAST(:moment AS timestamptz))
              AND NOT EXISTS (
                  SELECT FROM review_verdicts AS said
                  WHERE said.registration_id = waiting.registration_id AND said.other_id = waiting.other_id
                    AND said.reviewer = CAST(:caller AS text) AND said.recorded_at >= waiting.recorded_at
              )
            ORDER BY priority DESC, registration_id, other_id
            LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) AS next
        WHERE reviews.registration_id = next.registration_id AND reviews.other_id = next.other_id
        RETURNING {_COLUMNS}
        """
    ),
)

RELEASE_REVIEW = Statement(
    "patient_index.release_review",
    text(
        """
        UPDATE reviews SET assigned_to = '', assigned_until = NULL
        WHERE registration_id = CAST(:registration_id AS uuid) AND other_id = CAST(:other_id AS uuid)
          AND assigned_to = :caller
        """
    ),
)

NOTE_VERDICT = Statement(
    "patient_index.note_verdict",
    text(
        """
        INSERT INTO review_verdicts (registration_id, other_id, reviewer, verdict, reason, recorded_at)
        VALUES (CAST(:registration_id AS uuid), CAST(:other_id AS uuid), :reviewer, :verdict, :reason, :moment)
        """
    ),
)

SETTLE_REVIEW = Statement(
    "patient_index.settle_review",
    text(
        """
        UPDATE reviews SET assigned_to = '', assigned_until = NULL, priority = :priority,
            closed_at = CASE WHEN CAST(:is_closed AS boolean) THEN CAST(:moment AS timestamptz) ELSE closed_at END
        WHERE registration_id = CAST(:registration_id AS uuid) AND other_id = CAST(:other_id AS uuid)
        """
    ),
)

COUNT_REVIEWS = Statement(
    "patient_index.count_reviews",
    text(
        """
        SELECT count(*) FILTER (WHERE assigned_until IS NULL OR assigned_until <= CAST(:moment AS timestamptz)) AS waiting,
            count(*) FILTER (WHERE assigned_until > CAST(:moment AS timestamptz)) AS assigned,
            CAST(coalesce(extract(epoch FROM CAST(:moment AS timestamptz) - min(recorded_at)), 0) AS double precision)
                AS oldest
        FROM reviews WHERE closed_at IS NULL
        """
    ),
)


async def list_reviews(reader: Reader, after: Sequence[object], most: int) -> list[Asked]:
    """Open reviews, the most urgent first; `after` is (priority, registration_id, other_id)."""
    priority, registration_id, other_id = after
    rows = await reader.fetch(
        LIST_REVIEWS, priority=priority, registration_id=registration_id, other_id=other_id, most=most
    )
    return [asked_of(row) for row in rows]


async def read_asked(reader: Reader, pairs: Collection[Pair]) -> dict[Pair, Asked]:
    """Open reviews of these pairs with what was said since they were asked."""
    wanted = {"registration_ids": [one for one, _ in pairs], "other_ids": [other for _, other in pairs]}
    judgements: dict[Pair, list[Judgement]] = {}
    for row in await reader.fetch(READ_JUDGEMENTS, **wanted):
        said = Judgement(row["reviewer"], Verdict(row["verdict"]), row["reason"])
        judgements.setdefault((row["registration_id"], row["other_id"]), []).append(said)
    rows = await reader.fetch(READ_ASKED, **wanted)
    found = (asked_of(row) for row in rows)
    return {
        one.pair: Asked(
            one.pair,
            one.match,
            one.priority,
            one.assigned_to,
            one.assigned_until,
            tuple(judgements.get(one.pair, ())),
        )
        for one in found
    }


async def claim_review(
    writer: Writer, caller: str, moment: datetime, lease: timedelta, pair: Pair | None
) -> Asked | None:
    """Assigns a review to the caller; None where none is free."""
    one, other = pair or (None, None)
    rows = await writer.change(
        CLAIM_REVIEW, caller=caller, moment=moment, until=moment + lease, registration_id=one, other_id=other
    )
    return asked_of(rows[0]) if rows else None


async def release_review(writer: Writer, caller: str, pair: Pair) -> None:
    """Gives a review back that the caller holds."""
    await writer.execute(RELEASE_REVIEW, caller=caller, registration_id=pair[0], other_id=pair[1])


async def settle_review(writer: Writer, pair: Pair, settled: Settled, moment: datetime) -> None:
    """Adds a verdict, and gives the review back or closes it."""
    said = settled.judgement
    await writer.execute(
        NOTE_VERDICT,
        registration_id=pair[0],
        other_id=pair[1],
        reviewer=said.reviewer,
        verdict=int(said.verdict),
        reason=said.reason,
        moment=moment,
    )
    await writer.execute(
        SETTLE_REVIEW,
        registration_id=pair[0],
        other_id=pair[1],
        priority=settled.priority,
        is_closed=settled.is_closed,
        moment=moment,
    )


async def count_reviews(reader: Reader, moment: datetime) -> tuple[int, int, float]:
    """Open reviews that wait, those that somebody works on, and the age of the oldest of both in seconds."""
    row = await reader.fetch_one(COUNT_REVIEWS, moment=moment)
    return (row["waiting"], row["assigned"], max(0.0, row["oldest"])) if row else (0, 0, 0.0)
