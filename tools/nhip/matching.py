"""`nhip linkage match`: any table of people deduplicated, or any two linked."""

import json
import logging
from pathlib import Path

import click

from tools.nhip.context import Context, pass_context

ROLES = (
    "id", "given", "family", "name", "given-roman", "family-roman", "birth", "sex", "phone", "number", "place", "code", "kind",
    "text", "ignored",
)  # fmt: skip


@click.command(short_help="Match any table, or any two.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the results go.")
@click.option(
    "--column",
    "told",
    multiple=True,
    metavar="NAME=ROLE",
    help=f"What a column is, where its name and values do not tell: {', '.join(ROLES)}. Repeatable.",
)
@click.option("--precision", default=0.999, show_default=True, type=click.FloatRange(0.5, 0.99999), help="Of links.")
@click.option("--one-to-one", "is_one_to_one", is_flag=True, help="Neither of two files holds anybody twice.")
@click.option("--truth", default="", help="A column that is the same for one person: prints what is right and wrong.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1, 256), help="Cores to use.")
@pass_context
def match(
    context: Context,
    files: tuple[Path, ...],
    out: Path,
    told: tuple[str, ...],
    precision: float,
    is_one_to_one: bool,  # noqa: FBT001 an option of click
    truth: str,
    threads: int,
) -> None:
    """Says which rows of one CSV, or of two, are one person; no labels are needed, and none are looked at.

    Columns are known by their names, in English or Thai, or by what they hold; --column says otherwise. Files are UTF-8,
    UTF-16 or windows-874, parted by comma, semicolon, tab or bar. pairs.csv has each pair with weight, probability and
    grade, clusters.csv who is one with whom by the certain pairs, model.json what was learnt.

    \b
    Examples:
      nhip linkage match patients.csv --out build/match
      nhip linkage match a.csv b.csv --one-to-one --column ref=ignored --truth person --out build/match
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    try:
        # The extra `linkage`, which the other commands do without.
        from tools.linkage.tables import judging, matching  # noqa: PLC0415
        from tools.linkage.tables.columns import Role, guess  # noqa: PLC0415
        from tools.linkage.tables.reading import TableError, read_table  # noqa: PLC0415
    except ImportError as error:
        context.fail(f"{error.name} is not installed: the extra `linkage` has it")
    if len(files) > 2:  # noqa: PLR2004 a file by itself, or two
        context.fail("one file is deduplicated, two are linked; there are more")
    roles = {}
    for one in told:
        name, _, role = one.rpartition("=")
        if not name or role not in ROLES:
            context.fail(f"--column {one}: NAME=ROLE, of which the role is one of {', '.join(ROLES)}")
        roles[name] = Role(role)
    out.mkdir(parents=True, exist_ok=True)
    # What Splink warns of, such as a level that nobody is at, is no news to who matches tables.
    logging.getLogger("splink").setLevel(logging.ERROR)
    try:
        tables = tuple(map(read_table, files))
        asked = matching.Asked(tables, guess(tables, roles, truth), precision, is_one_to_one, threads)
        for name, known in asked.roles.items():
            click.echo(f"  {name}: {known.value}", err=True)
        found = matching.match(asked, out)
    except TableError as error:
        context.fail(str(error))
    matching.write(found, asked, out)
    grades = {grade: sum(one.grade == grade for one in found.pairs) for grade in ("certain", "probable", "possible")}
    click.echo(
        f"{len(found.clusters):,} rows are {len(set(found.clusters)):,} persons; pairs: "
        + ", ".join(f"{count:,} {grade}" for grade, count in grades.items())
    )
    if truth:
        known_true = [value for table in tables for value in table.values(truth)]
        sources = [place for place, table in enumerate(tables) for _ in table.rows]
        matrix = judging.judge(found.clusters, known_true, sources)
        click.echo(
            f"true positive {matrix.true_positive:,}, false positive {matrix.false_positive:,}, "
            f"false negative {matrix.false_negative:,}, true negative {matrix.true_negative:,}\n"
            f"precision {matrix.precision:.5f}, recall {matrix.recall:.5f}, F1 {matrix.f1:.5f}"
        )
        scores = {
            "true_positive": matrix.true_positive,
            "false_positive": matrix.false_positive,
            "false_negative": matrix.false_negative,
            "true_negative": matrix.true_negative,
            "precision": matrix.precision,
            "recall": matrix.recall,
            "f1": matrix.f1,
        }
        (out / "matrix.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
