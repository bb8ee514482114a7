"""Writes what a transaction changed: one statement per table, whatever the number of registrations."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Writer
from services.patient_index.model import Changes, Decision, Held, Key, Pair, Review
from services.patient_index.rules.reviewing import REVIEW_RULES
from services.patient_index.store.pairs import write_pairs
from services.patient_index.store.reviews import settle_review
from services.patient_index.store.rows import features_row

INSERT_REGISTRATIONS = Statement(
    "patient_index.insert_registrations",
    text(
        """
        INSERT INTO registrations (
            registration_id, organization_id, local_number, person_id, version, content, citizen_key, written_at,
            decision_id, recorded_at, features
        )
        SELECT * FROM ROWS FROM (
            unnest(
                CAST(:registration_ids AS uuid[]), CAST(:organization_ids AS text[]), CAST(:local_numbers AS text[]),
                CAST(:person_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:contents AS bytea[]),
                CAST(:citizen_keys AS text[]), CAST(:written AS timestamptz[]), CAST(:decision_ids AS uuid[]),
                CAST(:recorded AS timestamptz[])
            ),
            jsonb_array_elements(CAST(:features AS jsonb))
        )
        """
    ),
)

UPDATE_REGISTRATIONS = Statement(
    "patient_index.update_registrations",
    text(
        """
        UPDATE registrations
        SET person_id = changed.person_id, version = changed.version, content = changed.content,
            features = changed.features, citizen_key = changed.citizen_key, written_at = changed.written_at,
            decision_id = changed.decision_id, recorded_at = changed.recorded_at
        FROM ROWS FROM (
            unnest(
                CAST(:registration_ids AS uuid[]), CAST(:person_ids AS uuid[]), CAST(:versions AS bigint[]),
                CAST(:contents AS bytea[]), CAST(:citizen_keys AS text[]), CAST(:written AS timestamptz[]),
                CAST(:decision_ids AS uuid[]), CAST(:recorded AS timestamptz[])
            ),
            jsonb_array_elements(CAST(:features AS jsonb))
        ) AS changed (
            registration_id, person_id, version, content, citizen_key, written_at, decision_id, recorded_at, features
        )
        WHERE registrations.registration_id = changed.registration_id
        """
    ),
)

NOTE_WRITINGS = Statement(
    "patient_index.note_writings",
    text(
        """
        UPDATE registrations SET written_at = changed.written_at
        FROM unnest(CAST(:registration_ids AS uuid[]), CAST(:written AS timestamptz[]))
            AS changed (registration_id, written_at)
        WHERE registrations.registration_id = changed.registration_id
        """
    ),
)

KEEP_VERSIONS = Statement(
    "patient_index.keep_versions",
    text(
        """
        INSERT INTO registration_versions (
            registration_id, version, content, written_at, recorded_at, superseded_at
        )
        SELECT old.*, CAST(:superseded_at AS timestamptz) FROM unnest(
            CAST(:registration_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:contents AS bytea[]),
            CAST(:written AS timestamptz[]), CAST(:recorded AS timestamptz[])
        ) AS old
        """
    ),
)

INSERT_KEYS = Statement(
    "patient_index.insert_keys",
    text(
        """
        INSERT INTO registration_keys (key, kind, registration_id)
        SELECT * FROM unnest(
            CAST(:keys AS bigint[]), CAST(:kinds AS smallint[]), CAST(:registration_ids AS uuid[])
        )
        """
    ),
)

DELETE_KEYS = Statement(
    "patient_index.delete_keys",
    text(
        """
        DELETE FROM registration_keys
        USING unnest(CAST(:keys AS bigint[]), CAST(:kinds AS smallint[]), CAST(:registration_ids AS uuid[]))
            AS gone (key, kind, registration_id)
        WHERE registration_keys.key = gone.key AND registration_keys.kind = gone.kind
          AND registration_keys.registration_id = gone.registration_id
        """
    ),
)

INSERT_DECISIONS = Statement(
    "patient_index.insert_decisions",
    text(
        """
        INSERT INTO decisions (
            decision_id, kind, registration_id, previous_person_id, person_id, decided_by, reason, model, weight,
            recorded_at, evidence
        )
        SELECT decision_id, kind, registration_id, previous_person_id, person_id, decided_by, reason, model, weight,
            recorded_at, evidence
        FROM ROWS FROM (
            unnest(
                CAST(:decision_ids AS uuid[]), CAST(:kinds AS smallint[]), CAST(:registration_ids AS uuid[]),
                CAST(:previous AS uuid[]), CAST(:person_ids AS uuid[]), CAST(:decided_by AS text[]),
                CAST(:reasons AS text[]), CAST(:models AS text[]), CAST(:weights AS double precision[]),
                CAST(:recorded AS timestamptz[])
            ),
            jsonb_array_elements(CAST(:evidence AS jsonb))
        ) WITH ORDINALITY AS made (
            decision_id, kind, registration_id, previous_person_id, person_id, decided_by, reason, model, weight,
            recorded_at, evidence, ordinal
        )
        ORDER BY ordinal
        """
    ),
)

CLOSE_REVIEWS = Statement(
    "patient_index.close_reviews",
    text(
        """
        UPDATE reviews SET closed_at = CAST(:closed_at AS timestamptz)
        FROM registrations AS one, registrations AS other
        WHERE reviews.closed_at IS NULL
          AND (reviews.registration_id = ANY (CAST(:registration_ids AS uuid[]))
               OR reviews.other_id = ANY (CAST(:registration_ids AS uuid[])))
          AND one.registration_id = reviews.registration_id
          AND other.registration_id = reviews.other_id
          -- These two ask of one person whether it is two.
          AND ((one.person_id = other.person_id) <> (reviews.rule IN ('person-contradicted', 'model-parts')) OR EXISTS (
              SELECT FROM held_apart
              WHERE held_apart.registration_id = reviews.registration_id AND held_apart.other_id = reviews.other_id
          ))
        """
    ),
)

ASK_FOR_REVIEWS = Statement(
    "patient_index.ask_for_reviews",
    text(
        """
        INSERT INTO reviews (
            registration_id, other_id, grade, weight, probability, rule, priority, fields, recorded_at
        )
        SELECT asked.*, CAST(:recorded_at AS timestamptz) FROM ROWS FROM (
            unnest(
                CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:grades AS smallint[]),
                CAST(:weights AS double precision[]), CAST(:probabilities AS double precision[]),
                CAST(:rules AS text[]), CAST(:priorities AS double precision[])
            ),
            jsonb_array_elements(CAST(:fields AS jsonb))
        ) AS asked
        ON CONFLICT (registration_id, other_id) DO UPDATE
        SET grade = excluded.grade, weight = excluded.weight, probability = excluded.probability,
            fields = excluded.fields, rule = excluded.rule, priority = excluded.priority,
            recorded_at = excluded.recorded_at, closed_at = NULL
        """
    ),
)


async def write(writer: Writer, changes: Changes, moment: datetime) -> None:
    """Writes what a transaction changed."""
    if changes.new:
        await _insert(writer, changes.new)
    if changes.old:
        await _update(writer, changes.old)
    if changes.rewritten:
        written = changes.rewritten
        await writer.execute(NOTE_WRITINGS, registration_ids=list(written), written=list(written.values()))
    if changes.superseded:
        await _keep(writer, changes.superseded, moment)
    await _write_keys(writer, DELETE_KEYS, changes.keys_gone)
    await _write_keys(writer, INSERT_KEYS, changes.keys_made)
    if changes.decisions:
        await _decide(writer, changes.decisions)
    await write_pairs(writer, changes, moment)
    if changes.moved:
        await writer.execute(CLOSE_REVIEWS, registration_ids=list(changes.moved), closed_at=moment)
    if changes.reviews:
        await _ask(writer, changes.reviews, moment)
    for one, settled in changes.settled.items():
        await settle_review(writer, one, settled, moment)


async def _insert(writer: Writer, new: Sequence[Held]) -> None:
    await writer.execute(
        INSERT_REGISTRATIONS,
        registration_ids=[one.registration_id for one in new],
        organization_ids=[one.organization_id for one in new],
        local_numbers=[one.local_number for one in new],
        person_ids=[one.person_id for one in new],
        versions=[one.version for one in new],
        contents=[one.content for one in new],
        features=[features_row(one.features) for one in new],
        citizen_keys=[one.citizen_key for one in new],
        written=[one.written_at for one in new],
        decision_ids=[one.decision_id for one in new],
        recorded=[one.recorded_at for one in new],
    )


async def _update(writer: Writer, old: Sequence[Held]) -> None:
    await writer.execute(
        UPDATE_REGISTRATIONS,
        registration_ids=[one.registration_id for one in old],
        person_ids=[one.person_id for one in old],
        versions=[one.version for one in old],
        contents=[one.content for one in old],
        features=[features_row(one.features) for one in old],
        citizen_keys=[one.citizen_key for one in old],
        written=[one.written_at for one in old],
        decision_ids=[one.decision_id for one in old],
        recorded=[one.recorded_at for one in old],
    )


async def _keep(writer: Writer, superseded: Sequence[Held], moment: datetime) -> None:
    await writer.execute(
        KEEP_VERSIONS,
        registration_ids=[one.registration_id for one in superseded],
        versions=[one.version for one in superseded],
        contents=[one.content for one in superseded],
        written=[one.written_at for one in superseded],
        recorded=[one.recorded_at for one in superseded],
        superseded_at=moment,
    )


async def _write_keys(writer: Writer, statement: Statement, rows: Sequence[tuple[Key, str]]) -> None:
    if not rows:
        return
    # In the order of the index, so that neighbours meet in one page.
    ordered = sorted(rows, key=lambda row: row[0][1])
    await writer.execute(
        statement,
        keys=[key for (_, key), _ in ordered],
        kinds=[kind for (kind, _), _ in ordered],
        registration_ids=[registration_id for _, registration_id in ordered],
    )


async def _decide(writer: Writer, decisions: Sequence[Decision]) -> None:
    await writer.execute(
        INSERT_DECISIONS,
        decision_ids=[one.decision_id for one in decisions],
        kinds=[int(one.kind) for one in decisions],
        registration_ids=[one.registration_id for one in decisions],
        previous=[one.previous_person_id or None for one in decisions],
        person_ids=[one.person_id for one in decisions],
        decided_by=[one.decided_by for one in decisions],
        reasons=[one.reason for one in decisions],
        models=[one.model for one in decisions],
        weights=[one.weight for one in decisions],
        evidence=[one.evidence for one in decisions],
        recorded=[one.recorded_at for one in decisions],
    )


async def _ask(writer: Writer, reviews: Mapping[Pair, Review], moment: datetime) -> None:
    matches = [review.match for review in reviews.values()]
    await writer.execute(
        ASK_FOR_REVIEWS,
        registration_ids=[one for one, _ in reviews],
        other_ids=[other for _, other in reviews],
        grades=[int(match.grade) for match in matches],
        weights=[match.weight for match in matches],
        probabilities=[match.probability for match in matches],
        fields=[[[one.field, one.level, one.weight] for one in match.fields] for match in matches],
        rules=[match.rule for match in matches],
        priorities=[REVIEW_RULES.priority(match) for match in matches],
        recorded_at=moment,
    )
