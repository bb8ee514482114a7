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

from libs.linkage import person
from tools.linkage.batch.folding import fold_families, fold_given

# What a file must have; a value that is not known is empty.
SENT: Final = (
    "record_id", "given", "family", "given_roman", "family_roman", "sex", "birth_date", "citizen_id", "passport",
    "other_id", "phone", "place_code",
)  # fmt: skip
# The columns of a table that is ready to be compared are those of libs.linkage.person, and these.
COLUMNS: Final = ("unique_id", *person.COLUMNS, "source_dataset", "number")
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
    columns_of = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    folded = pa.table(dict(zip(("told", "folded", "sound", "skeleton", "sex"), map(pa.array, columns_of), strict=True)))
    connection.register("folded_names", folded)
    connection.execute(f"create or replace temp table {table} as select * from folded_names")
    connection.unregister("folded_names")


# As libs.linkage.person derives them from one registration; a test holds the two alike. A year above 2400 is of the Buddhist
# era (libs.thai.dates), and 1 January a day that is not known.
_DERIVED: Final = """
with parts as (
  select *, try_cast(birth_date[1:4] as integer) as told_year, right(regexp_replace(phone, '[^0-9]', '', 'g'), 9) as digits
  from sent
), dated as (
  select *, (case when told_year > 2400 then told_year - 543 else told_year end) as year, birth_date[6:7] as month,
    birth_date[9:10] as mday
  from parts
), checked as (
  select *, length(birth_date) = 10 and try_cast(printf('%04d', year) || '-' || month || '-' || mday as date) is not null
    and month || mday <> '0101' as is_whole
  from dated
), named as (
  select checked.record_id as unique_id,
    coalesce(nullif(given.folded, ''), nullif(given_roman.folded, '')) as given,
    coalesce(nullif(given.sound, ''), nullif(given_roman.sound, '')) as given_sound,
    nullif(given_roman.sound, '') as given_roman,
    coalesce(nullif(given.skeleton, ''), nullif(given_roman.skeleton, '')) as given_skeleton,
    coalesce(nullif(family.folded, ''), nullif(family_roman.folded, '')) as family,
    coalesce(nullif(family.sound, ''), nullif(family_roman.sound, '')) as family_sound,
    nullif(family_roman.sound, '') as family_roman,
    coalesce(nullif(family.skeleton, ''), nullif(family_roman.skeleton, '')) as family_skeleton,
    case when is_whole then printf('%04d', year) || month || mday end as birth,
    year::smallint as birth_year,
    case when is_whole then month::tinyint end as birth_month,
    case when is_whole then mday::tinyint end as birth_mday,
    (case checked.sex when 'male' then 1 when 'female' then 2 else nullif(given.sex, 0) end)::tinyint as sex,
    case when length(digits) >= 8 then digits end as phone,
    nullif(place_code, '') as place,
    nullif(citizen_id, '') as citizen_id,
    coalesce(nullif(passport, ''), nullif(other_id, '')) as other_id,
    source_dataset,
    row_number() over () - 1 as number
  from checked
  left join given_names as given on given.told = checked.given
  left join family_names as family on family.told = checked.family
  left join roman_names as given_roman on given_roman.told = checked.given_roman
  left join roman_names as family_roman on family_roman.told = checked.family_roman
),
given_count as (select given, count(*)::integer as given_bearers from named group by given),
family_count as (select family, count(*)::integer as family_bearers from named group by family)
select named.*, given_bearers, family_bearers
from named left join given_count using (given) left join family_count using (family)
"""
