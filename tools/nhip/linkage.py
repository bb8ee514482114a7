"""`nhip linkage`: linking registrations away from the platform, and what it is measured on."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import click
import grpc
import httpx
from nhip.patient_index.v1 import service_pb2_grpc

from tools.nhip.context import Context, pass_context
from tools.nhip.home import Home
from tools.nhip.journey.session import program_login
from tools.nhip.matching import match
from tools.thaibench import Ids, Level, Plan, write


@click.group(short_help="Link registrations away from the platform.")
def linkage() -> None:
    """Links registrations away from the platform, and makes what it is measured on."""


linkage.add_command(match)


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


@linkage.command(short_help="Deduplicate a file, or link two.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where the stages work.")
@click.option("--link", "is_link", is_flag=True, help="Pairs across the files only, not within one.")
@click.option(
    "--model",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A model trained before; else trained.",
)
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1, 256), help="Cores to use.")
@click.option("--memory", default="", help="At most so much for DuckDB, such as 4GB.")
@pass_context
def batch(
    context: Context,
    files: tuple[Path, ...],
    out: Path,
    is_link: bool,  # noqa: FBT001 an option of click
    model: Path | None,
    threads: int,
    memory: str,
) -> None:
    """Says which registrations of whole files are one person: no service needed, nothing sent anywhere.

    Files have the benchmark's columns. The stages leave their results in --out: killed at any moment, the same command
    goes on where it was. persons.parquet says who is whom, links.parquet why, reviews.parquet what somebody should judge.

    \b
    Examples:
      nhip linkage batch registrations.csv --out build/job
      nhip linkage batch a.csv b.csv --link --model build/job/model.json --out build/linked
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    try:
        # The extra `linkage`, which the other commands do without.
        from tools.linkage.batch import columns, job  # noqa: PLC0415
    except ImportError as error:
        context.fail(f"{error.name} is not installed: the extra `linkage` has it")
    began = time.monotonic()

    def report(stage: str, done: int, of: int) -> None:
        click.echo(f"{time.monotonic() - began:7.1f} s  {stage} {done}/{of}", err=True)

    asked = job.Job(files, out, is_link=is_link, model=model, threads=threads, memory=memory)
    try:
        made = job.run(asked, report)
    except (columns.FileError, job.OtherJobError) as error:
        context.fail(str(error))
    click.echo(
        f"{made.registrations:,} registrations are {made.persons:,} persons: {made.links:,} pairs joined, "
        f"{made.reviews:,} to be judged"
    )


@linkage.command(short_help="Bring what a batch joined into the index.")
@click.argument("job", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--client-id", default="index-steward", show_default=True, help="A program that may link; its secret lies here."
)
@pass_context
def load(context: Context, job: Path, client_id: str) -> None:
    """Brings the persons of a finished batch into the running platform's index, as decisions that can be taken back.

    What somebody unlinked, split or ordained stays as it is. The same again changes nothing; killed, it goes on.

    \b
    Examples:
      nhip linkage load build/job
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    # The extra `linkage`, which the other commands do without.
    from tools.linkage.batch import loading  # noqa: PLC0415

    edge = context.edge_url()
    program = Home(context.home).client(client_id)
    login = program_login(program.client_id, program.client_secret, "PURPOSE_OF_USE_OPERATIONS")
    answer = httpx.post(f"{edge}/oauth2/token", data=login, trust_env=False)
    if answer.is_error:
        context.fail(f"{client_id} is given no token: {answer.text}")
    token = str(answer.json()["access_token"])

    async def send() -> Counter[str]:
        async with context.channel("patient_index") as channel:
            stub = service_pb2_grpc.PatientIndexServiceStub(channel)
            return await loading.load(stub, (("authorization", f"Bearer {token}"),), job, report)

    def report(done: int, of: int) -> None:
        click.echo(f"{done:,} of {of:,} persons", err=True)

    try:
        outcomes = asyncio.run(send())
    except grpc.aio.AioRpcError as error:
        context.fail(f"the index did not answer: {error.details()}; the same command goes on")
    for outcome, count in sorted(outcomes.items()):
        click.echo(f"{count:,} links {outcome}")
