"""Loading parts of code systems, maps and interaction tables: in order, each once, visible when whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from libs.errors import AbortedError, FailedPreconditionError, FieldViolation
from services.records.rules.terminology.concepts import Concept

CONCEPTS, MAPPINGS, INTERACTIONS = "concepts", "mappings", "interactions"

LISTED = Statement(
    "terminology.loads",
    text(
        "SELECT kind, name, version, title, digest, rows, is_complete, is_current FROM terminology_loads ORDER BY 1, 2, 3"
    ),
)
FIND = Statement(
    "terminology.load",
    text(
        "SELECT kind, name, version, title, digest, rows, is_complete, is_current FROM terminology_loads "
        "WHERE kind = :kind AND name = :name AND version = :version"
    ),
)
BEGIN = Statement(
    "terminology.begin",
    text(
        """
        INSERT INTO terminology_loads (kind, name, version, title, digest, rows, is_complete, is_current, loaded_at)
        VALUES (:kind, :name, :version, :title, :digest, 0, false, false, :loaded_at)
        ON CONFLICT (kind, name, version) DO UPDATE SET title = excluded.title, digest = excluded.digest, rows = 0
        """
    ),
)
RETIRE = Statement(
    "terminology.retire",
    text("UPDATE terminology_loads SET is_current = false WHERE kind = :kind AND name = :name AND is_current"),
)
ADVANCE = Statement(
    "terminology.advance",
    text(
        """
        UPDATE terminology_loads SET rows = :rows, is_complete = :is_last, is_current = :is_last, loaded_at = :loaded_at
        WHERE kind = :kind AND name = :name AND version = :version
        """
    ),
)
FORGET = {
    CONCEPTS: (
        Statement("concepts.forget", text("DELETE FROM concepts WHERE system = :name AND version = :version")),
        Statement(
            "concept_parents.forget", text("DELETE FROM concept_parents WHERE system = :name AND version = :version")
        ),
    ),
    MAPPINGS: (Statement("mappings.forget", text("DELETE FROM mappings WHERE name = :name AND version = :version")),),
    INTERACTIONS: (
        Statement("interactions.forget", text("DELETE FROM interactions WHERE name = :name AND version = :version")),
    ),
}

ADD_CONCEPTS = Statement(
    "concepts.add",
    text(
        """
        INSERT INTO concepts
            (system, version, code, ordinal, display, definition, designations, properties, is_inactive, words)
        SELECT :name, :version, coming.code, :offset + coming.ordinal, coming.display, coming.definition,
               CAST(coming.designations AS jsonb), CAST(coming.properties AS jsonb), coming.is_inactive, coming.words
        FROM unnest(
            CAST(:codes AS text[]), CAST(:displays AS text[]), CAST(:definitions AS text[]),
            CAST(:designations AS text[]), CAST(:properties AS text[]), CAST(:are_inactive AS boolean[]),
            CAST(:words AS text[])
        ) WITH ORDINALITY AS coming (code, display, definition, designations, properties, is_inactive, words, ordinal)
        ON CONFLICT (system, version, code) DO NOTHING
        """
    ),
)
ADD_PARENTS = Statement(
    "concept_parents.add",
    text(
        """
        INSERT INTO concept_parents (system, version, parent, code)
        SELECT :name, :version, coming.parent, coming.code
        FROM unnest(CAST(:parents AS text[]), CAST(:codes AS text[])) AS coming (parent, code)
        ON CONFLICT DO NOTHING
        """
    ),
)
ADD_MAPPINGS = Statement(
    "mappings.add",
    text(
        """
        INSERT INTO mappings (name, version, source_system, source_code, target_system, target_code, target_display, equivalence)
        SELECT :name, :version, * FROM unnest(
            CAST(:source_systems AS text[]), CAST(:source_codes AS text[]), CAST(:target_systems AS text[]),
            CAST(:target_codes AS text[]), CAST(:target_displays AS text[]), CAST(:equivalences AS text[])
        )
        ON CONFLICT DO NOTHING
        """
    ),
)
ADD_INTERACTIONS = Statement(
    "interactions.add",
    text(
        """
        INSERT INTO interactions (name, version, atc_a, atc_b, severity, direction, text_th, text_en)
        SELECT :name, :version, * FROM unnest(
            CAST(:atc_as AS text[]), CAST(:atc_bs AS text[]), CAST(:severities AS text[]), CAST(:directions AS text[]),
            CAST(:texts_th AS text[]), CAST(:texts_en AS text[])
        )
        ON CONFLICT DO NOTHING
        """
    ),
)


@dataclass(frozen=True, slots=True)
class Load:
    """How far a load is."""

    kind: str
    name: str
    version: str
    title: str
    digest: str
    rows: int
    is_complete: bool
    is_current: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a load, without its rows."""

    kind: str
    name: str
    version: str
    title: str
    digest: str
    offset: int
    count: int
    is_last: bool

    @property
    def lock(self) -> str:
        """Parts of one load wait for each other."""
        return f"terminology/{self.kind}/{self.name}"


async def loads(reader: Reader) -> list[Load]:
    """Everything that is loaded."""
    return [Load(**row) for row in await reader.fetch(LISTED)]


async def begin(writer: Writer, part: Part, now: datetime) -> Load | None:
    """Makes room for the part. A load that is answered is what holds already: the part is stored, and not to be again.

    A load that is not complete yet and comes with another content begins anew. Raises FailedPreconditionError, reason
    VERSION_TAKEN; AbortedError, reason PART_MISSING.
    """
    row = await writer.fetch_one(FIND, kind=part.kind, name=part.name, version=part.version)
    known = Load(**row) if row is not None else None
    if known is not None and known.digest != part.digest and known.is_complete:
        message = "this version is loaded with another content; another content is another version"
        violation = FieldViolation("part.version", "VERSION_TAKEN", message)
        raise FailedPreconditionError("VERSION_TAKEN", message, fields=[violation])
    is_same = known is not None and known.digest == part.digest
    stored = known.rows if known is not None and is_same else 0
    end = part.offset + part.count
    is_stored = end < stored or (end == stored and not part.is_last)
    if known is not None and is_same and (known.is_complete or is_stored):
        return known
    if part.offset != stored:
        raise AbortedError("PART_MISSING", f"the next part begins after {stored} rows", metadata={"rows": str(stored)})
    if part.offset == 0:
        for statement in FORGET[part.kind]:
            await writer.execute(statement, name=part.name, version=part.version)
        await writer.execute(
            BEGIN,
            kind=part.kind,
            name=part.name,
            version=part.version,
            title=part.title,
            digest=part.digest,
            loaded_at=now,
        )
    return None


async def finish(writer: Writer, part: Part, now: datetime) -> Load:
    """Counts the part; with the last one the version is whole, and current."""
    if part.is_last:
        await writer.execute(RETIRE, kind=part.kind, name=part.name)
    rows = part.offset + part.count
    await writer.execute(
        ADVANCE, kind=part.kind, name=part.name, version=part.version, rows=rows, is_last=part.is_last, loaded_at=now
    )
    return Load(part.kind, part.name, part.version, part.title, part.digest, rows, part.is_last, part.is_last)


async def add_concepts(writer: Writer, part: Part, concepts: Sequence[Concept]) -> None:
    """Stores concepts and their place in the hierarchy; of a code that stands twice the first counts."""
    await writer.execute(
        ADD_CONCEPTS,
        name=part.name,
        version=part.version,
        offset=part.offset,
        codes=[one.code for one in concepts],
        displays=[one.display for one in concepts],
        definitions=[one.definition for one in concepts],
        designations=[orjson.dumps(one.designations).decode() for one in concepts],
        properties=[orjson.dumps(one.properties).decode() for one in concepts],
        are_inactive=[one.is_inactive for one in concepts],
        words=[one.words() for one in concepts],
    )
    edges = [(parent, one.code) for one in concepts for parent in one.parents]
    if edges:
        await writer.execute(
            ADD_PARENTS,
            name=part.name,
            version=part.version,
            parents=[parent for parent, _ in edges],
            codes=[code for _, code in edges],
        )
