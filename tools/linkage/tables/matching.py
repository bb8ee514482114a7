"""Trains on the records themselves, weighs the pairs that share something, and groups those that are certainly one.

Where names are Thai and births are told, the model of persons in Thailand does it (`tools.linkage.batch`), with its sounds and
its rules about twins; everything else is compared by the roles of its columns.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from libs.linkage import scoring, sql, thresholds
from libs.linkage.assigning import one_to_one
from libs.linkage.model import Model, write_model
from tools.linkage.batch import columns as thai
from tools.linkage.batch import deciding, job
from tools.linkage.tables import comparing, folding
from tools.linkage.tables.columns import Role
from tools.linkage.tables.comparing import Column
from tools.linkage.tables.reading import Table, TableError
from tools.linkage.training import train

CERTAIN, PROBABLE, POSSIBLE = "certain", "probable", "possible"
# Of what is probable, half is expected to be one: even odds by the model.
_EVEN: Final = 0.0
_LIGHTEST: Final = -10.0
_RECALL_OF_SURELY: Final = 0.9
_THAI_SHARE: Final = 0.5
_LIKE: Final = 0.05
_FOLDS: Final[Mapping[Role, folding.Fold]] = {
    Role.GIVEN: folding.given,
    Role.FAMILY: folding.family,
    Role.GIVEN_ROMAN: folding.given,
    Role.FAMILY_ROMAN: folding.family,
    Role.SEX: folding.sex,
    Role.PHONE: folding.phone,
    Role.NUMBER: folding.code,
    Role.PLACE: folding.code,
    Role.CODE: folding.code,
    Role.KIND: folding.words,
    Role.TEXT: folding.words,
}
_WORDS: Final = (Role.GIVEN, Role.FAMILY, Role.GIVEN_ROMAN, Role.FAMILY_ROMAN, Role.TEXT)
_OPPOSITE: Final = {
    Role.GIVEN: Role.FAMILY,
    Role.FAMILY: Role.GIVEN,
    Role.GIVEN_ROMAN: Role.FAMILY_ROMAN,
    Role.FAMILY_ROMAN: Role.GIVEN_ROMAN,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One table to be deduplicated or two to be linked, the roles of their columns, and how sure a link must be."""

    tables: tuple[Table, ...]
    roles: Mapping[str, Role]
    # Of the pairs that are certain, at least this share is expected to be one.
    precision: float = 0.999
    # Neither table holds anybody twice.
    is_one_to_one: bool = False
    threads: int = 2

    @property
    def ids(self) -> list[str]:
        """What names each record; its place, from 1 on, where no column does."""
        named = next((name for name, role in self.roles.items() if role is Role.ID), "")
        return [one for table in self.tables for one in (table.values(named) if named else map(str, _places(table)))]


@dataclass(frozen=True, slots=True)
class Weighed:
    """Two records by their number, over both tables, and what is said of them."""

    one: int
    other: int
    weight: float
    grade: str

    @property
    def probability(self) -> float:
        """As the model has it."""
        return scoring.probability(self.weight)


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it."""

    # The heaviest first.
    pairs: list[Weighed]
    # For each record the number of its group: that of one of its members.
    clusters: list[int]
    model: Model
    is_thai: bool


def match(asked: Asked, directory: Path) -> Found:
    """Says which records are one. `directory` is for what is made on the way. Raises TableError."""
    _check_ids(asked)
    folded = _folded(asked)
    if _is_thai(folded):
        return _by_persons(asked, directory)
    return _by_roles(asked, folded)


def _check_ids(asked: Asked) -> None:
    named = next((name for name, role in asked.roles.items() if role is Role.ID), "")
    for table in asked.tables if named else ():
        values = table.values(named)
        if "" in values:
            raise TableError(f"{table.path}: row {values.index('') + 1} has no {named}")
        if len(set(values)) < len(values):
            raise TableError(f"{table.path}: {len(values) - len(set(values))} rows have a {named} that another row has")


def _places(table: Table) -> range:
    return range(1, len(table.rows) + 1)


def _told(asked: Asked, name: str) -> list[str]:
    return [value for table in asked.tables for value in table.values(name)]


def _folded(asked: Asked) -> dict[Column, list[str | None]]:
    """What is compared, by its column: named so that it can stand in SQL."""
    made: list[tuple[Role, list[str | None]]] = []
    for name, role in asked.roles.items():
        if role in (Role.ID, Role.IGNORED):
            continue
        values = _told(asked, name)
        if role is Role.NAME:
            parts = [folding.whole_name(value) for value in values]
            made.append((Role.GIVEN, [folding.given(one) for one, _ in parts]))
            made.append((Role.FAMILY, [folding.family(other) for _, other in parts]))
        elif role is Role.BIRTH:
            made.append((role, list(map(folding.birth(values), values))))
        else:
            made.append((role, list(map(_FOLDS[role], values))))
    columns: dict[Column, list[str | None]] = {}
    names = [f"{role.value.replace('-', '_')}_{place}" for place, (role, _) in enumerate(made)]
    for place, (role, found) in enumerate(made):
        if len(set(found) - {None}) > 1:
            columns[Column(names[place], role, _beside(place, made, names))] = found
    if not columns:
        raise TableError(f"{asked.tables[0].path}: nothing in it tells one record from another")
    return columns


def _beside(place: int, made: Sequence[tuple[Role, list[str | None]]], names: Sequence[str]) -> str:
    """The column with which this one may have changed places: the other name; of words, those most like it."""
    role, values = made[place]
    if role in _OPPOSITE:
        return next((names[at] for at, (other, _) in enumerate(made) if other is _OPPOSITE[role]), "")
    if role is not Role.TEXT:
        return ""
    mine = set(values) - {None}
    likeness = {
        at: len(mine & set(others)) / max(len(mine), 1)
        for at, (other, others) in enumerate(made)
        if other is Role.TEXT and at != place
    }
    best = max(likeness, key=likeness.__getitem__, default=-1)
    return names[best] if best >= 0 and likeness[best] >= _LIKE else ""


def _is_thai(folded: Mapping[Column, list[str | None]]) -> bool:
    roles = {one.role for one in folded}
    if not {Role.GIVEN, Role.FAMILY, Role.BIRTH} <= roles:
        return False
    given = [value for one, values in folded.items() if one.role is Role.GIVEN for value in values if value]
    return sum(not value.isascii() for value in given) > _THAI_SHARE * len(given) and _are_thai_letters(given)


def _are_thai_letters(given: Sequence[str]) -> bool:
    letters = "".join(given)
    return sum("\u0e01" <= letter <= "\u0e4e" for letter in letters) > _THAI_SHARE * len(letters)


def _by_roles(asked: Asked, folded: Mapping[Column, list[str | None]]) -> Found:
    columns = list(folded)
    with duckdb.connect() as connection:
        connection.execute(f"set threads = {asked.threads}")
        connection.execute("set enable_progress_bar = false")
        tables = _load(connection, asked, folded)
        ways = comparing.ways(connection, tables, columns)
        model = _trained(connection, tables, columns, ways)
        rules = [" and ".join(f"l.{name} = r.{name}" for name in names) for names in ways.blocking]
        rules += [
            f"l.{one.name} = r.{one.other}"
            for one in columns
            if one.role is Role.GIVEN and one.other in {c.name for c in columns}
        ]
        job.prepare_table(connection, model)
        queries = [
            sql.weighed(model, pairs, [], _LIGHTEST) for pairs in job.pairs(rules, is_link=len(asked.tables) > 1)
        ]
        found = connection.execute(" union all ".join(f"({query})" for query in queries)).fetchall() if queries else []
    return _grouped(asked, [(int(one), int(other), float(weight)) for one, other, weight in found], model)


def _load(connection: duckdb.DuckDBPyConnection, asked: Asked, folded: Mapping[Column, list[str | None]]) -> list[str]:
    sources = [place for place, table in enumerate(asked.tables) for _ in table.rows]
    told: dict[str, Any] = {
        "unique_id": pa.array(map(str, range(len(sources)))),
        "number": pa.array(range(len(sources)), pa.int64()),
        "source_dataset": pa.array(sources, pa.int64()),
        **{column.name: pa.array(values, pa.string()) for column, values in folded.items()},
    }
    connection.register("told", pa.table(told))
    connection.execute("create table registrations as select * from told")
    connection.unregister("told")
    names = []
    for place in range(len(asked.tables)):
        columns = ", ".join(("unique_id", *(column.name for column in folded)))
        connection.execute(
            f"create table records_{place} as select {columns} from registrations where source_dataset = {place}"
        )
        names.append(f"records_{place}")
    return names


def _trained(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[str], columns: Sequence[Column], ways: comparing.Ways
) -> Model:
    return train(
        comparing.template(columns),
        connection,
        tables,
        name="table-1",
        surely=ways.surely,
        passes=ways.passes,
        recall=_RECALL_OF_SURELY,
    )


def _grouped(asked: Asked, weighed: list[tuple[int, int, float]], model: Model) -> Found:
    weights = [weight for _, _, weight in weighed]
    certain = _certain_from(weights, asked.precision)
    kept = [(weight, one, other) for one, other, weight in weighed if weight >= _EVEN]
    if asked.is_one_to_one and len(asked.tables) > 1:
        named = one_to_one((weight, f"{one:012d}", f"{other:012d}") for weight, one, other in kept)
        kept = [(weight, int(one), int(other)) for weight, one, other in named]
    pairs = [
        Weighed(one, other, weight, CERTAIN if weight >= certain else PROBABLE if weight >= certain / 2 else POSSIBLE)
        for weight, one, other in sorted(kept, key=lambda told: (-told[0], told[1], told[2]))
    ]
    size = sum(len(table.rows) for table in asked.tables)
    persons = deciding.join(size, ((one.one, one.other) for one in pairs if one.grade == CERTAIN), ())
    return Found(pairs, persons.group, model, is_thai=False)


def _certain_from(weights: Sequence[float], precision: float) -> float:
    """The threshold that the weights tell; where they are too few or tell none, what the model's own odds say."""
    odds = math.log2(precision / (1.0 - precision))
    try:
        found = thresholds.threshold(weights, precision)
    except thresholds.TooFewPairsError:
        return odds
    return found if math.isfinite(found) else odds


_SENT_AS: Final[Mapping[Role, str]] = {
    Role.GIVEN: "given", Role.FAMILY: "family", Role.GIVEN_ROMAN: "given_roman", Role.FAMILY_ROMAN: "family_roman",
    Role.SEX: "sex", Role.PHONE: "phone", Role.PLACE: "place_code",
}  # fmt: skip


def _by_persons(asked: Asked, directory: Path) -> Found:
    """By the model of persons in Thailand, on the columns that it knows."""
    files = []
    for place, rows in enumerate(_persons(asked)):
        files.append(directory / f"persons-{place}.csv")
        with files[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, thai.SENT, restval="")
            writer.writeheader()
            writer.writerows(rows)
    told = job.Job(tuple(files), directory / "job", is_link=len(files) > 1, threads=asked.threads)
    job.run(told)
    with duckdb.connect() as connection:

        def read(name: str) -> list[tuple[Any, ...]]:
            return connection.execute(f"select * from '{told.directory / name}.parquet'").fetchall()

        pairs = [
            Weighed(min(int(one), int(other)), max(int(one), int(other)), float(weight), grade)
            for name, grade in (("links", CERTAIN), ("reviews", PROBABLE))
            for one, other, weight, *_ in read(name)
        ]
        groups = {int(record): int(person) for record, person in read("persons")}
    if asked.is_one_to_one and len(files) > 1:
        named = one_to_one(
            (one.weight, f"{one.one:012d}", f"{one.other:012d}") for one in pairs if one.grade == CERTAIN
        )
        links = {(int(one), int(other)) for _, one, other in named}
        pairs = [one for one in pairs if one.grade != CERTAIN or (one.one, one.other) in links]
        groups = dict(enumerate(deciding.join(len(groups), links, ()).group))
    pairs.sort(key=lambda one: (-one.weight, one.one, one.other))
    return Found(pairs, [groups[number] for number in range(len(groups))], job.read_model(told), is_thai=True)


def _persons(asked: Asked) -> Iterator[list[dict[str, str]]]:
    births = [folding.birth(_told(asked, name)) for name, role in asked.roles.items() if role is Role.BIRTH]
    numbers = [name for name, role in asked.roles.items() if role is Role.NUMBER]
    number = 0
    for table in asked.tables:
        rows = []
        for line in table.rows:
            told = dict(zip(table.columns, line, strict=True))
            row = {"record_id": str(number)}
            for name, role in asked.roles.items():
                row.update(_sent(role, told[name], births))
            row.update(
                zip(("citizen_id", "other_id"), (folding.code(told[name]) or "" for name in numbers), strict=False)
            )
            rows.append(row)
            number += 1
        yield rows


def _sent(role: Role, value: str, births: Sequence[Callable[[str], str | None]]) -> Iterable[tuple[str, str]]:
    if role is Role.NAME:
        yield from zip(("given", "family"), folding.whole_name(value), strict=True)
    elif role is Role.BIRTH:
        day = births[0](value) or ""
        yield "birth_date", f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == len("YYYYMMDD") else day[:4]
    elif role is Role.SEX:
        yield "sex", folding.sex(value) or ""
    elif role in _SENT_AS:
        yield _SENT_AS[role], value


def write(found: Found, asked: Asked, directory: Path) -> None:
    """Writes pairs.csv, clusters.csv and model.json."""
    ids = asked.ids
    with (directory / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        pairs = csv.writer(file)
        pairs.writerow(("id", "other_id", "weight", "probability", "grade"))
        for one in found.pairs:
            pairs.writerow((ids[one.one], ids[one.other], f"{one.weight:.4f}", f"{one.probability:.9f}", one.grade))
    sources = [place for place, table in enumerate(asked.tables, 1) for _ in table.rows]
    with (directory / "clusters.csv").open("w", encoding="utf-8", newline="") as file:
        clusters = csv.writer(file)
        clusters.writerow(("file", "id", "cluster"))
        clusters.writerows(zip(sources, ids, found.clusters, strict=True))
    (directory / "model.json").write_text(write_model(found.model), encoding="utf-8")
