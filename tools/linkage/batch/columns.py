"""What is compared of each registration, derived once, before any pair is made.

Names are folded in Python, each spelling once however many bear it; everything else is SQL.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from tools.linkage.batch.folding import fold_families, fold_given

# What a file must have; a value that is not known is empty.
SENT: Final = (
    "record_id", "given", "family", "given_roman", "family_roman", "sex", "birth_date", "citizen_id", "passport",
    "other_id", "phone", "place_code",
)  # fmt: skip
# The columns of a table that is ready to be compared. `given` and `family` are folded, Latin where no Thai was sent;
# dates are year and month × 100 + day, either of which may be unknown.
COLUMNS: Final = (
    "unique_id", "given", "family", "given_sound", "family_sound", "given_roman", "family_roman", "birth_year",
    "birth_day", "sex", "phone", "place", "citizen_id", "other_id", "source_dataset",
    "number",
)  # fmt: skip
_NAMES_AT_ONCE: Final = 20_000


class FileError(ValueError):
    """A file cannot be linked; the message names it and says why, without repeating a value."""


def derive(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], out: Path, jobs: int) -> int:
    """Writes the columns of every registration in the files to a parquet; says how many there are.

    `source_dataset` counts the files, `number` the registrations. Raises FileError for a file that is not of the
    benchmark's form, or that says a record id twice.
    """
    _read(connection, files)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        _fold_column(connection, pool, "given_names", ("given",), is_family=False)
        _fold_column(connection, pool, "family_names", ("family",), is_family=True)
        _fold_column(connection, pool, "roman_names", ("given_roman", "family_roman"), is_family=True)
    part = out.with_suffix(".part")
    connection.execute(f"copy ({_DERIVED}) to '{part}' (format parquet)")
    part.replace(out)
    found = connection.execute("select count(*) from sent").fetchall()
    for table in ("sent", "given_names", "family_names", "roman_names"):
        connection.execute(f"drop table {table}")
    return int(found[0][0])


def _read(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    wanted = ", ".join(SENT)
    for place, path in enumerate(files):
        try:
            source = "read_csv($path, all_varchar=true, header=true, nullstr='')"
            held = [row[0] for row in connection.execute(f"describe from {source}", {"path": str(path)}).fetchall()]
            missing = sorted(set(SENT) - set(held))
            if missing:
                raise FileError(f"{path}: no column {', '.join(missing)}")
            select = f"select {wanted}, {place} as source_dataset from {source}"
            verb = "insert into sent" if place else "create or replace temp table sent as"
            connection.execute(f"{verb} {select}", {"path": str(path)})
        except duckdb.Error as error:
            raise FileError(f"{path}: {str(error).splitlines()[0]}") from error
    twice = connection.execute("select count(*) - count(distinct record_id) from sent").fetchall()[0][0]
    if twice:
        raise FileError(f"{twice} registrations have a record id that another has, or none")


def _fold_column(
    connection: duckdb.DuckDBPyConnection,
    pool: ProcessPoolExecutor,
    table: str,
    columns: Iterable[str],
    *,
    is_family: bool,
) -> None:
    asked = " union ".join(f"select distinct {column} as told from sent where {column} <> ''" for column in columns)
    told = [row[0] for row in connection.execute(asked).fetchall()]
    chunks = [told[start : start + _NAMES_AT_ONCE] for start in range(0, len(told), _NAMES_AT_ONCE)]
    rows = [row for part in pool.map(fold_families if is_family else fold_given, chunks) for row in part]
    columns_of = list(zip(*rows, strict=True)) or [(), (), (), ()]
    folded = pa.table(dict(zip(("told", "folded", "sound", "sex"), map(pa.array, columns_of), strict=True)))
    connection.register("folded_names", folded)
    connection.execute(f"create or replace temp table {table} as select * from folded_names")
    connection.unregister("folded_names")


# A year above 2400 is of the Buddhist era (libs.thai.dates). A telephone is its last nine digits.
_DERIVED: Final = """
with parts as (
  select *, try_cast(birth_date[1:4] as smallint) as told_year, try_cast(birth_date[6:7] || birth_date[9:10] as smallint)
    as told_day, right(regexp_replace(phone, '[^0-9]', '', 'g'), 9) as digits
  from sent
)
select parts.record_id as unique_id,
  coalesce(nullif(given.folded, ''), nullif(given_roman.folded, '')) as given,
  coalesce(nullif(family.folded, ''), nullif(family_roman.folded, '')) as family,
  coalesce(nullif(given.sound, ''), nullif(given_roman.sound, '')) as given_sound,
  coalesce(nullif(family.sound, ''), nullif(family_roman.sound, '')) as family_sound,
  nullif(given_roman.sound, '') as given_roman,
  nullif(family_roman.sound, '') as family_roman,
  (case when told_year > 2400 then told_year - 543 else told_year end)::smallint as birth_year,
  nullif(told_day, 0) as birth_day,
  (case parts.sex when 'male' then 1 when 'female' then 2 else nullif(given.sex, 0) end)::tinyint as sex,
  case when length(digits) >= 8 then digits::bigint end as phone,
  try_cast(nullif(place_code, '') as integer) as place,
  nullif(citizen_id, '') as citizen_id,
  coalesce(nullif(passport, ''), nullif(other_id, '')) as other_id,
  source_dataset,
  row_number() over () - 1 as number
from parts
left join given_names as given on given.told = parts.given
left join family_names as family on family.told = parts.family
left join roman_names as given_roman on given_roman.told = parts.given_roman
left join roman_names as family_roman on family_roman.told = parts.family_roman
"""
