"""Pairs drawn by lot, and what reviewers said of them without knowing what the index thinks."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.patient_index.model import Drawn, Judged, Pair, Verdict

# Ids of registrations are hashes, so that the next one after a random id is as good as drawn by lot.
DRAW = Statement(
    "patient_index.draw",
    text(
        """
        SELECT DISTINCT CAST(found.registration_id AS text) AS registration_id
        FROM generate_series(1, CAST(:size AS integer)) AS draw
        CROSS JOIN LATERAL (SELECT gen_random_uuid() AS ticket, draw AS each) AS lot
        CROSS JOIN LATERAL (
            SELECT registration_id FROM registrations WHERE registration_id >= lot.ticket
            ORDER BY registration_id LIMIT 1
        ) AS found
        """
    ),
)

KEEP_DRAWN = Statement(
    "patient_index.keep_drawn",
    text(
        """
        INSERT INTO sampled_pairs (registration_id, other_id, is_linked, strata, drawn_at)
        SELECT drawn.*, CAST(:moment AS timestamptz) FROM ROWS FROM (
            unnest(CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:linked AS boolean[])),
            jsonb_array_elements(CAST(:strata AS jsonb))
        ) AS drawn
        ON CONFLICT (registration_id, other_id) DO NOTHING
        """
    ),
)

# In the order of their hashes, which says nothing; two who ask at once get two. Two reviewers judge each pair, and a third
# where these disagree.
CLAIM_SAMPLE = Statement(
    "patient_index.claim_sample",
    text(
        """
        UPDATE sampled_pairs SET assigned_to = CAST(:caller AS text), assigned_until = CAST(:until AS timestamptz)
        FROM (
            SELECT registration_id, other_id FROM sampled_pairs AS waiting
            WHERE NOT is_settled
              AND (assigned_to IN ('', CAST(:caller AS text)) OR assigned_until <= CAST(:moment AS timestamptz))
              AND NOT EXISTS (
                  SELECT FROM sample_verdicts AS said
                  WHERE said.registration_id = waiting.registration_id AND said.other_id = waiting.other_id
                    AND said.reviewer = CAST(:caller AS text)
              )
            ORDER BY registration_id, other_id
            LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) AS next
        WHERE sampled_pairs.registration_id = next.registration_id AND sampled_pairs.other_id = next.other_id
        RETURNING CAST(sampled_pairs.registration_id AS text) AS registration_id,
            CAST(sampled_pairs.other_id AS text) AS other_id
        """
    ),
)

HOLDS_SAMPLE = Statement(
    "patient_index.holds_sample",
    text(
        """
        SELECT true FROM sampled_pairs
        WHERE registration_id = CAST(:registration_id AS uuid) AND other_id = CAST(:other_id AS uuid)
          AND assigned_to = :caller AND assigned_until > CAST(:moment AS timestamptz)
        FOR UPDATE
        """
    ),
)

JUDGE_SAMPLE = Statement(
    "patient_index.judge_sample",
    text(
        """
        INSERT INTO sample_verdicts (registration_id, other_id, reviewer, verdict, recorded_at)
        VALUES (CAST(:registration_id AS uuid), CAST(:other_id AS uuid), :caller, :verdict, :moment)
        """
    ),
)

READ_VERDICTS = Statement(
    "patient_index.read_verdicts",
    text(
        """
        SELECT verdict FROM sample_verdicts
        WHERE registration_id = CAST(:registration_id AS uuid) AND other_id = CAST(:other_id AS uuid)
        ORDER BY position
        """
    ),
)

RELEASE_SAMPLE = Statement(
    "patient_index.release_sample",
    text(
        """
        UPDATE sampled_pairs SET assigned_to = '', assigned_until = NULL, is_settled = :is_settled
        WHERE registration_id = CAST(:registration_id AS uuid) AND other_id = CAST(:other_id AS uuid)
        """
    ),
)

READ_JUDGED = Statement(
    "patient_index.read_judged",
    text(
        """
        SELECT is_linked, strata, array_agg(verdict ORDER BY position) AS verdicts
        FROM sampled_pairs JOIN sample_verdicts USING (registration_id, other_id)
        GROUP BY registration_id, other_id, is_linked, strata
        """
    ),
)


async def draw(reader: Reader, size: int) -> list[str]:
    """Registrations by lot, at most so many."""
    return [row["registration_id"] for row in await reader.fetch(DRAW, size=size)]


async def keep_drawn(writer: Writer, drawn: Sequence[Drawn], moment: datetime) -> int:
    """Adds pairs to the sample that are not in it; how many."""
    return await writer.execute(
        KEEP_DRAWN,
        registration_ids=[one.pair[0] for one in drawn],
        other_ids=[one.pair[1] for one in drawn],
        linked=[one.is_linked for one in drawn],
        strata=[dict(one.strata) for one in drawn],
        moment=moment,
    )


async def claim_sample(writer: Writer, caller: str, moment: datetime, lease: timedelta) -> Pair | None:
    """Assigns a pair of the sample to the caller; None where none is free."""
    rows = await writer.change(CLAIM_SAMPLE, caller=caller, moment=moment, until=moment + lease)
    return (rows[0]["registration_id"], rows[0]["other_id"]) if rows else None


async def holds_sample(writer: Writer, caller: str, pair: Pair, moment: datetime) -> bool:
    """True if the pair is the caller's to judge; it is held until the transaction ends."""
    found = await writer.fetch_value(
        HOLDS_SAMPLE, registration_id=pair[0], other_id=pair[1], caller=caller, moment=moment
    )
    return found is not None


async def judge_sample(writer: Writer, caller: str, pair: Pair, verdict: Verdict, moment: datetime) -> list[Verdict]:
    """Adds a verdict; all that were given on the pair, in their order."""
    members = {"registration_id": pair[0], "other_id": pair[1]}
    await writer.execute(JUDGE_SAMPLE, **members, caller=caller, verdict=int(verdict), moment=moment)
    return [Verdict(row["verdict"]) for row in await writer.fetch(READ_VERDICTS, **members)]


async def release_sample(writer: Writer, pair: Pair, *, is_settled: bool) -> None:
    """Gives a pair back for another reviewer, or closes it."""
    await writer.execute(RELEASE_SAMPLE, registration_id=pair[0], other_id=pair[1], is_settled=is_settled)


async def read_judged(reader: Reader) -> list[Judged]:
    """Every pair of the sample about which a reviewer said something."""
    return [
        Judged(row["is_linked"], row["strata"], tuple(map(Verdict, row["verdicts"])))
        for row in await reader.fetch(READ_JUDGED)
    ]
