"""Matching models: kept, scored in the shadow, approved, adopted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.patient_index.model import Grade
from services.patient_index.rules.shadowing import Flip, FlipKind

# Whoever changes what decides, or scores a part of a run, holds this.
LOCK = "patient_index/models"

READ_MODELS = Statement(
    "patient_index.read_models",
    text(
        """
        SELECT name, definition, registered_by, reason, registered_at,
            ARRAY(SELECT approved_by FROM model_approvals WHERE model_approvals.name = models.name
                  ORDER BY approved_at) AS approved_by
        FROM models
        WHERE CAST(:name AS text) = '' OR name = :name
        ORDER BY registered_at DESC, name
        """
    ),
)
KEEP_MODEL = Statement(
    "patient_index.keep_model",
    text(
        """
        INSERT INTO models (name, definition, registered_by, reason, registered_at)
        VALUES (:name, :definition, :registered_by, :reason, :moment)
        """
    ),
)
APPROVE = Statement(
    "patient_index.approve_model",
    text(
        """
        INSERT INTO model_approvals (name, approved_by, reason, approved_at)
        VALUES (:name, :approved_by, :reason, :moment)
        ON CONFLICT (name, approved_by) DO NOTHING
        """
    ),
)
READ_ADOPTED = Statement(
    "patient_index.read_adopted",
    text("SELECT name, previous FROM model_adoptions ORDER BY position DESC LIMIT 1"),
)
WAS_ADOPTED = Statement(
    "patient_index.was_adopted", text("SELECT true FROM model_adoptions WHERE :name IN (name, previous) LIMIT 1")
)
ADOPT = Statement(
    "patient_index.adopt_model",
    text(
        """
        INSERT INTO model_adoptions (name, previous, adopted_by, reason, adopted_at)
        VALUES (:name, :previous, :adopted_by, :reason, :moment)
        """
    ),
)
READ_RUN = Statement("patient_index.read_run", text("SELECT * FROM model_runs WHERE name = :name"))
OPEN_RUNS = Statement(
    "patient_index.open_runs", text("SELECT name FROM model_runs WHERE NOT is_finished ORDER BY started_at, name")
)
BEGIN_RUN = Statement(
    "patient_index.begin_run",
    text(
        """
        INSERT INTO model_runs (
            name, against, cursor, scored, registrations, joins, parts, is_finished, started_at, updated_at
        )
        SELECT :name, :against, '00000000-0000-0000-0000-000000000000', 0, count(*), 0, 0, false, :moment, :moment
        FROM registrations
        ON CONFLICT (name) DO UPDATE
        SET against = excluded.against, cursor = excluded.cursor, scored = 0, registrations = excluded.registrations,
            joins = 0, parts = 0, is_finished = false, started_at = excluded.started_at, updated_at = excluded.updated_at
        """
    ),
)
FORGET_FLIPS = Statement("patient_index.forget_flips", text("DELETE FROM model_flips WHERE name = :name"))
ADVANCE_RUN = Statement(
    "patient_index.advance_run",
    text(
        """
        UPDATE model_runs
        SET cursor = CAST(:cursor AS uuid), scored = scored + :scored, is_finished = :is_finished,
            joins = joins + :joins, parts = parts + :parts, updated_at = :moment
        WHERE name = :name
        """
    ),
)
NEXT_REGISTRATIONS = Statement(
    "patient_index.next_registrations",
    text(
        """
        SELECT CAST(registration_id AS text) AS registration_id, COALESCE((
            SELECT decisions.evidence ->> 'with' FROM decisions
            WHERE decisions.decision_id = registrations.decision_id AND decisions.kind <> 1
              AND decisions.registration_id = registrations.registration_id
              AND decisions.kind = 2 AND decisions.decided_by = 'index' AND decisions.evidence ->> 'rule' = ''
        ), '') AS linked_with
        FROM registrations
        WHERE registrations.registration_id > CAST(:after AS uuid)
        ORDER BY registrations.registration_id
        LIMIT CAST(:most AS integer)
        """
    ),
)
KEEP_FLIPS = Statement(
    "patient_index.keep_flips",
    text(
        """
        INSERT INTO model_flips (
            name, registration_id, other_id, kind, grade_before, grade_after, weight_before, weight_after, probability,
            fields
        )
        SELECT CAST(:name AS text), found.* FROM ROWS FROM (
            unnest(
                CAST(:registration_ids AS uuid[]), CAST(:other_ids AS uuid[]), CAST(:kinds AS smallint[]),
                CAST(:before_grades AS smallint[]), CAST(:after_grades AS smallint[]),
                CAST(:before_weights AS double precision[]), CAST(:after_weights AS double precision[]),
                CAST(:probabilities AS double precision[])
            ),
            jsonb_array_elements(CAST(:fields AS jsonb))
        ) AS found
        ON CONFLICT (name, registration_id, other_id) DO NOTHING
        """
    ),
)
LIST_FLIPS = Statement(
    "patient_index.list_flips",
    text(
        """
        SELECT kind, CAST(registration_id AS text) AS registration_id, CAST(other_id AS text) AS other_id, grade_before,
            grade_after, weight_before, weight_after, abs(weight_after - weight_before) AS change
        FROM model_flips
        WHERE name = :name AND (CAST(:kind AS integer) = 0 OR kind = CAST(:kind AS integer))
          AND (abs(weight_after - weight_before) < CAST(:change AS double precision)
               OR abs(weight_after - weight_before) = CAST(:change AS double precision)
                  AND (registration_id, other_id) > (CAST(:registration_id AS uuid), CAST(:other_id AS uuid)))
        ORDER BY abs(weight_after - weight_before) DESC, model_flips.registration_id, model_flips.other_id
        LIMIT CAST(:most AS integer)
        """
    ),
)
# A pair that waits already keeps what it waits with.
ASK_ABOUT_FLIPS = Statement(
    "patient_index.ask_about_flips",
    text(
        """
        INSERT INTO reviews (
            registration_id, other_id, grade, weight, probability, fields, rule, recorded_at, priority
        )
        SELECT registration_id, other_id, 2, weight_after, probability, fields,
            CASE kind WHEN 1 THEN 'model-joins' ELSE 'model-parts' END, CAST(:moment AS timestamptz),
            abs(weight_after - weight_before)
        FROM model_flips WHERE name = :name
        ON CONFLICT (registration_id, other_id) DO UPDATE
        SET grade = excluded.grade, weight = excluded.weight, probability = excluded.probability,
            fields = excluded.fields, rule = excluded.rule, recorded_at = excluded.recorded_at, closed_at = NULL,
            priority = excluded.priority
        WHERE reviews.closed_at IS NOT NULL
        """
    ),
)
WITHDRAW_FLIPS = Statement(
    "patient_index.withdraw_flips",
    text(
        """
        UPDATE reviews SET closed_at = CAST(:moment AS timestamptz)
        FROM model_flips
        WHERE model_flips.name = :name AND reviews.registration_id = model_flips.registration_id
          AND reviews.other_id = model_flips.other_id AND reviews.closed_at IS NULL
          AND reviews.rule IN ('model-joins', 'model-parts')
        """
    ),
)


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model as it was registered."""

    name: str
    definition: str
    registered_by: str
    reason: str
    registered_at: datetime | None = None
    approved_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """How far a shadow run is."""

    name: str
    against: str
    cursor: str
    scored: int
    registrations: int
    joins: int
    parts: int
    is_finished: bool
    started_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ListedFlip:
    """A flip as it is listed."""

    kind: FlipKind
    registration_id: str
    other_id: str
    grade_before: Grade
    grade_after: Grade
    weight_before: float
    weight_after: float
    change: float


async def read_models(reader: Reader, name: str = "") -> list[KeptModel]:
    """Models, the newest first; one of them where a name is given."""
    return [
        KeptModel(
            row["name"],
            row["definition"],
            row["registered_by"],
            row["reason"],
            row["registered_at"],
            tuple(row["approved_by"]),
        )
        for row in await reader.fetch(READ_MODELS, name=name)
    ]


async def keep_model(writer: Writer, model: KeptModel, moment: datetime) -> None:
    """Adds a model."""
    await writer.execute(
        KEEP_MODEL,
        name=model.name,
        definition=model.definition,
        registered_by=model.registered_by,
        reason=model.reason,
        moment=moment,
    )


async def approve(writer: Writer, name: str, approver: str, reason: str, moment: datetime) -> None:
    """Adds an approval; the same again changes nothing."""
    await writer.execute(APPROVE, name=name, approved_by=approver, reason=reason, moment=moment)


async def adopted(reader: Reader) -> tuple[str, str]:
    """The name of the model that decides and of the one before; empty where none was ever adopted."""
    row = await reader.fetch_one(READ_ADOPTED)
    return (row["name"], row["previous"]) if row else ("", "")


async def was_adopted(reader: Reader, name: str) -> bool:
    """True of a model that decided before, and so may again."""
    return await reader.fetch_value(WAS_ADOPTED, name=name) is not None


async def adopt(writer: Writer, name: str, previous: str, caller: str, reason: str, moment: datetime) -> int:
    """Lets a model decide; how many flips went to review. Those of the one that decided until now leave the queue."""
    await writer.execute(ADOPT, name=name, previous=previous, adopted_by=caller, reason=reason, moment=moment)
    await writer.execute(WITHDRAW_FLIPS, name=previous, moment=moment)
    return await writer.execute(ASK_ABOUT_FLIPS, name=name, moment=moment)


async def read_run(reader: Reader, name: str) -> Run | None:
    """How far a model's shadow run is; None where there is none."""
    row = await reader.fetch_one(READ_RUN, name=name)
    if row is None:
        return None
    return Run(**{**dict(row), "cursor": str(row["cursor"])})


async def open_runs(reader: Reader) -> list[str]:
    """Models whose shadow run is not finished."""
    return [row["name"] for row in await reader.fetch(OPEN_RUNS)]


async def begin_run(writer: Writer, name: str, against: str, moment: datetime) -> None:
    """Begins a shadow run, or begins it anew."""
    await writer.execute(FORGET_FLIPS, name=name)
    await writer.execute(BEGIN_RUN, name=name, against=against, moment=moment)


async def next_registrations(reader: Reader, after: str, most: int) -> list[tuple[str, str]]:
    """(registration, with whom the model linked it or empty), in the order of their ids."""
    rows = await reader.fetch(NEXT_REGISTRATIONS, after=after, most=most)
    return [(row["registration_id"], row["linked_with"]) for row in rows]


async def advance_run(
    writer: Writer, name: str, scored: Collection[str], cursor: str, flips: Sequence[Flip], moment: datetime
) -> None:
    """Notes what was scored. A run without any more registrations is finished."""
    if flips:
        await writer.execute(
            KEEP_FLIPS,
            name=name,
            registration_ids=[one.pair[0] for one in flips],
            other_ids=[one.pair[1] for one in flips],
            kinds=[int(one.kind) for one in flips],
            before_grades=[int(one.before.grade) for one in flips],
            after_grades=[int(one.after.grade) for one in flips],
            before_weights=[one.before.weight for one in flips],
            after_weights=[one.after.weight for one in flips],
            probabilities=[one.after.probability for one in flips],
            fields=[[[field.field, field.level, field.weight] for field in one.after.fields] for one in flips],
        )
    await writer.execute(
        ADVANCE_RUN,
        name=name,
        cursor=cursor,
        scored=len(scored),
        is_finished=not scored,
        joins=sum(one.kind is FlipKind.JOIN for one in flips),
        parts=sum(one.kind is FlipKind.PART for one in flips),
        moment=moment,
    )


async def list_flips(reader: Reader, name: str, kind: int, after: Sequence[object], most: int) -> list[ListedFlip]:
    """Flips, the heaviest change first; `after` is (change, registration_id, other_id), `kind` 0 asks for both."""
    change, registration_id, other_id = after
    rows = await reader.fetch(
        LIST_FLIPS, name=name, kind=kind, change=change, registration_id=registration_id, other_id=other_id, most=most
    )
    return [
        ListedFlip(
            FlipKind(row["kind"]),
            row["registration_id"],
            row["other_id"],
            Grade(row["grade_before"]),
            Grade(row["grade_after"]),
            row["weight_before"],
            row["weight_after"],
            row["change"],
        )
        for row in rows
    ]
