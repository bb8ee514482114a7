"""`python -m tools.population`: writes a population and says how many people it wrote in a second."""

from datetime import date, datetime
from pathlib import Path

import click

from libs.thai.dates import BANGKOK
from tools.population import Population


@click.command(help=__doc__)
@click.option("--seed", default=1, show_default=True, help="Another seed, another population.")
@click.option("--people", default=500, show_default=True, type=click.IntRange(1), help="How many people.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the files go.")
@click.option("--dirty", is_flag=True, help="Put a few wrong rows into the 43 files, and list them.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day of which the population is; Bangkok's today if not given. The same day gives the same bytes.",
)
def main(seed: int, people: int, out: Path, today: datetime | None, *, dirty: bool) -> None:
    """Writes the population and tells what was written."""
    day: date = today.date() if today else datetime.now(BANGKOK).date()
    population = Population.generate(seed, people, day, dirty=dirty)
    with click.progressbar(length=people, label="people") as bar:
        done = 0

        def advance(now: int) -> None:
            nonlocal done
            bar.update(now - done)
            done = now

        written = population.write_all(out, advance)
    for file in written.files:
        click.echo(f"{file.path}  {sum(file.rows.values()):,} rows")
    for row in written.spoiled:
        click.echo(f"spoiled: {row.hcode} {row.file} line {row.line} {row.column or 'row'} {row.reason}")
    citizen = population.index_citizen
    click.echo(f"index citizen: {citizen.citizen_id}, HN {citizen.hn} at {population.hospital_a.hcode}")
    click.echo(
        f"{written.people:,} people in {written.seconds:.1f} s, {written.people / written.seconds:,.0f} people/s"
    )


if __name__ == "__main__":
    main()
