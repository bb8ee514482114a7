"""`nhip linkage`: linking registrations away from the platform, and what it is measured on."""

from pathlib import Path

import click

from tools.thaibench import Ids, Level, Plan, write


@click.group(short_help="Link registrations away from the platform.")
def linkage() -> None:
    """Links registrations away from the platform, and makes what it is measured on."""


@linkage.command(short_help="Write the Thai benchmark.")
@click.option("--size", default=100_000, show_default=True, type=click.IntRange(1), help="How many registrations.")
@click.option("--seed", default=1, show_default=True, help="Below 1000 for tuning, above for reporting.")
@click.option(
    "--ids",
    default=Ids.WITHOUT.value,
    show_default=True,
    type=click.Choice([one.value for one in Ids]),
    help="Issued numbers.",
)
@click.option(
    "--level",
    default=Level.STANDARD.value,
    show_default=True,
    type=click.Choice([one.value for one in Level]),
    help="How well it is written.",
)
@click.option("--pair", "is_pair", is_flag=True, help="Two files to be linked, in place of one.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes; same bytes for any.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the files go.")
def thaibench(
    size: int,
    seed: int,
    ids: str,
    level: str,
    is_pair: bool,  # noqa: FBT001 an option of click
    jobs: int,
    out: Path,
) -> None:
    """Writes registrations of people treated in Thailand, and whose they are in a file of its own.

    \b
    Examples:
      nhip linkage thaibench --size 100000 --seed 7 --ids without --out build/thai
      nhip linkage thaibench --size 1000000 --seed 1001 --ids wrong --level hard --pair --out build/thai
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    written = write(Plan(size, seed, Ids(ids), Level(level), is_pair), out, jobs)
    for path in (*written.registrations, written.truth):
        click.echo(path)
    rate = written.records / written.seconds
    click.echo(f"{written.records:,} registrations of {written.persons:,} persons, {rate:,.0f} registrations/s")
