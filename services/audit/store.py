"""Every SQL statement of audit."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.audit.model import Access, Checkpoint, Entry, Node, OpenedEntry, Place, Placement
from services.audit.tables import checkpoints, placements

# Above every leaf index.
NO_LIMIT = 2**63 - 1

LOOK = Statement(
    "entries.look",
    # The complete subtrees that the tree consists of, largest first, and which of the events the log already holds.
    text(
        """
        WITH tree AS (SELECT coalesce(max(leaf_index) + 1, 0) AS size FROM entries)
        SELECT node.level, node.hash, NULL AS event_id
        FROM tree
        CROSS JOIN generate_series(0, 61) AS at (level)
        JOIN tree_nodes AS node
          ON node.level = at.level AND node.node_index = (tree.size >> at.level) - 1
        WHERE (tree.size >> at.level) & 1 = 1
        UNION ALL
        SELECT NULL, NULL, event_id FROM entries WHERE event_id = ANY(CAST(:event_ids AS text[]))
        ORDER BY 1 DESC NULLS LAST
        """
    ),
)
APPEND = Statement(
    "entries.append",
    text(
        """
        WITH appended AS (
            INSERT INTO entries (leaf_index, event_id, salt, content, commitment)
            SELECT * FROM unnest(
                CAST(:leaf_indexes AS bigint[]), CAST(:event_ids AS text[]), CAST(:salts AS bytea[]),
                CAST(:contents AS bytea[]), CAST(:commitments AS bytea[])
            )
        ), grown AS (
            INSERT INTO tree_nodes (level, node_index, hash)
            SELECT * FROM unnest(
                CAST(:levels AS smallint[]), CAST(:node_indexes AS bigint[]), CAST(:hashes AS bytea[])
            )
        )
        INSERT INTO entry_subjects (subject, leaf_index, occurred_at)
        SELECT * FROM unnest(
            CAST(:subjects AS text[]), CAST(:subject_leaves AS bigint[]), CAST(:occurred AS timestamptz[])
        )
        """
    ),
)
NODES = Statement(
    "tree.nodes",
    text(
        """
        SELECT node.hash
        FROM unnest(CAST(:levels AS smallint[]), CAST(:node_indexes AS bigint[]))
            WITH ORDINALITY AS wanted (level, node_index, ordinal)
        JOIN tree_nodes AS node USING (level, node_index)
        ORDER BY wanted.ordinal
        """
    ),
)
HEADS = Statement(
    "tree.heads",
    text(
        """
        SELECT (SELECT coalesce(max(leaf_index) + 1, 0) FROM entries) AS size,
               coalesce((SELECT max(tree_size) FROM checkpoints), 0) AS signed_size,
               (SELECT commitment FROM entries WHERE leaf_index = CAST(:leaf_index AS bigint)) AS commitment
        """
    ),
)
NEWEST_CHECKPOINT = Statement(
    "checkpoints.newest", select(checkpoints).order_by(checkpoints.c.tree_size.desc()).limit(1)
)
ADD_CHECKPOINT = Statement(
    "checkpoints.add",
    insert(checkpoints)
    .values({column.name: bindparam(column.name) for column in checkpoints.c})
    .on_conflict_do_nothing(),
)
PLACE = Statement(
    "placements.place",
    text(
        """
        INSERT INTO placements AS held (registration_id, person_id, citizen_key, version)
        SELECT * FROM unnest(
            CAST(:registration_ids AS text[]), CAST(:person_ids AS text[]), CAST(:citizen_keys AS text[]),
            CAST(:versions AS bigint[])
        )
        ON CONFLICT (registration_id) DO UPDATE
        SET person_id = excluded.person_id, citizen_key = excluded.citizen_key, version = excluded.version
        WHERE excluded.version > held.version
        """
    ),
)
CLEAR_PLACEMENTS = Statement("placements.clear", delete(placements))
PLACED_OF_CITIZEN = Statement(
    "placements.of_citizen",
    text(
        """
        SELECT registration_id, person_id, citizen_key, version FROM placements
        WHERE person_id IN (SELECT person_id FROM placements WHERE citizen_key = :citizen_key AND citizen_key <> '')
        """
    ),
)
PLACED_OF_PERSON = Statement(
    "placements.of_person",
    text("SELECT registration_id, person_id, citizen_key, version FROM placements WHERE person_id = :person_id"),
)
LIST = Statement(
    "entries.list",
    # So many of each subject as the page holds, from the index's end; then the newest of all of them.
    text(
        """
        SELECT entry.leaf_index, entry.content, entry.commitment
        FROM (
            SELECT DISTINCT newest.leaf_index
            FROM unnest(CAST(:subjects AS text[])) AS wanted (subject)
            CROSS JOIN LATERAL (
                SELECT of_subject.leaf_index FROM entry_subjects AS of_subject
                WHERE of_subject.subject = wanted.subject
                  AND of_subject.leaf_index < CAST(:before AS bigint)
                  AND of_subject.occurred_at >= CAST(:since AS timestamptz)
                ORDER BY of_subject.leaf_index DESC
                LIMIT CAST(:page_size AS integer)
            ) AS newest
            ORDER BY newest.leaf_index DESC
            LIMIT CAST(:page_size AS integer)
        ) AS page
        JOIN entries AS entry USING (leaf_index)
        ORDER BY entry.leaf_index DESC
        """
    ),
)
OPEN = Statement(
    "entries.open",
    text(
        """
        SELECT leaf_index, salt, content, commitment FROM entries
        WHERE leaf_index = CAST(:leaf_index AS bigint)
          AND EXISTS (
            SELECT 1 FROM entry_subjects AS about
            WHERE about.leaf_index = entries.leaf_index AND about.subject = ANY(CAST(:subjects AS text[]))
          )
        """
    ),
)
OPEN_ANY = Statement(
    "entries.open_any",
    text("SELECT leaf_index, salt, content, commitment FROM entries WHERE leaf_index = CAST(:leaf_index AS bigint)"),
)


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree as an appender finds it."""

    size: int
    # The hashes of the complete subtrees that it consists of, from left to right.
    frontier: tuple[bytes, ...]
    # Those of the events asked about that the log already holds.
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class Heads:
    """How large the log is, how much of it is signed, and the commitment of the leaf asked about."""

    size: int
    signed_size: int
    commitment: bytes | None


async def look(reader: Reader, event_ids: Collection[str]) -> Tree:
    """The tree, and which of the events it holds."""
    rows = await reader.fetch(LOOK, event_ids=list(event_ids))
    nodes = [row for row in rows if row["level"] is not None]
    return Tree(
        sum(1 << row["level"] for row in nodes),
        tuple(row["hash"] for row in nodes),
        frozenset(row["event_id"] for row in rows if row["level"] is None),
    )


async def append(
    writer: Writer,
    first_index: int,
    accesses: Sequence[Access],
    salts: Sequence[bytes],
    commitments: Sequence[bytes],
    nodes: Sequence[Node],
) -> None:
    """Appends entries from `first_index` on, with the subtrees that they complete, in one statement."""
    about = [
        (subject, leaf_index, access.occurred_at)
        for leaf_index, access in enumerate(accesses, first_index)
        for subject in access.subjects
    ]
    await writer.execute(
        APPEND,
        leaf_indexes=list(range(first_index, first_index + len(accesses))),
        event_ids=[access.event_id for access in accesses],
        salts=salts,
        contents=[access.content for access in accesses],
        commitments=commitments,
        levels=[node.place.level for node in nodes],
        node_indexes=[node.place.number for node in nodes],
        hashes=[node.hash for node in nodes],
        subjects=[subject for subject, _, _ in about],
        subject_leaves=[leaf_index for _, leaf_index, _ in about],
        occurred=[occurred_at for _, _, occurred_at in about],
    )


async def heads(reader: Reader, leaf_index: int | None = None) -> Heads:
    """Sizes, and the commitment of a leaf."""
    row = await reader.fetch_one(HEADS, leaf_index=leaf_index)
    if row is None:
        raise AssertionError("the statement answers one row always")
    return Heads(row["size"], row["signed_size"], row["commitment"])


async def node_hashes(reader: Reader, places: Sequence[Place]) -> list[bytes]:
    """The hash of each complete subtree, in one statement."""
    rows = await reader.fetch(
        NODES, levels=[place.level for place in places], node_indexes=[place.number for place in places]
    )
    if len(rows) != len(places):
        raise AssertionError("the log lacks nodes of its own tree")
    return [row["hash"] for row in rows]


async def newest_checkpoint(reader: Reader) -> Checkpoint | None:
    """The newest signed head."""
    row = await reader.fetch_one(NEWEST_CHECKPOINT)
    return None if row is None else Checkpoint(**dict(row))


async def add_checkpoint(writer: Writer, checkpoint: Checkpoint) -> None:
    """Stores a signed head, unless another replica signed the same tree first."""
    await writer.execute(
        ADD_CHECKPOINT,
        tree_size=checkpoint.tree_size,
        root_hash=checkpoint.root_hash,
        signed_at=checkpoint.signed_at,
        note=checkpoint.note,
        key_id=checkpoint.key_id,
    )


async def place(writer: Writer, placed: Iterable[Placement]) -> None:
    """Stores where registrations stand; each at most once. Only what is newer replaces."""
    placed = tuple(placed)
    await writer.execute(
        PLACE,
        registration_ids=[one.registration_id for one in placed],
        person_ids=[one.person_id for one in placed],
        citizen_keys=[one.citizen_key for one in placed],
        versions=[one.version for one in placed],
    )


async def clear_placements(writer: Writer) -> None:
    """Before a rebuild from a snapshot."""
    await writer.execute(CLEAR_PLACEMENTS)


async def placed_of_citizen(reader: Reader, citizen_key: str) -> list[Placement]:
    """Every registration of the persons who have one with this citizen's key."""
    return _placements(await reader.fetch(PLACED_OF_CITIZEN, citizen_key=citizen_key))


async def placed_of_person(reader: Reader, person_id: str) -> list[Placement]:
    """Every registration of a person."""
    return _placements(await reader.fetch(PLACED_OF_PERSON, person_id=person_id))


async def list_entries(
    reader: Reader, subjects: Collection[str], before: int, since: datetime, page_size: int
) -> list[Entry]:
    """Entries about any of the subjects with a smaller index, the newest first."""
    rows = await reader.fetch(LIST, subjects=list(subjects), before=before, since=since, page_size=page_size)
    return [_entry(row) for row in rows]


async def open_entry(reader: Reader, leaf_index: int, subjects: Collection[str] | None) -> OpenedEntry | None:
    """The entry with its salt, if it is about any of the subjects; about anybody where these are None."""
    if subjects is None:
        row = await reader.fetch_one(OPEN_ANY, leaf_index=leaf_index)
    else:
        row = await reader.fetch_one(OPEN, leaf_index=leaf_index, subjects=list(subjects))
    return None if row is None else OpenedEntry(_entry(row), row["salt"])


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(row["leaf_index"], row["content"], row["commitment"])


def _placements(rows: Sequence[asyncpg.Record]) -> list[Placement]:
    return [Placement(row["registration_id"], row["person_id"], row["citizen_key"], row["version"]) for row in rows]
