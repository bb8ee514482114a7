"""`nhip import` and `nhip sample`: bringing files onto the platform."""

from pathlib import Path

import click

from tools.nhip import importing
from tools.nhip.codes import Code
from tools.nhip.context import Context, pass_context
from tools.nhip.edge import EdgeClient, EdgeError
from tools.nhip.home import Credentials, Home
from tools.nhip.target import Attached, Target


@click.command("import", short_help="Send a file in, and follow it.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format", "import_format", required=True, type=click.Choice(list(importing.FORMATS)), help="What the file is."
)
@click.option("--client-id", envvar="NHIP_CLIENT_ID", required=True, help="The program's name at the platform.")
@click.option("--client-secret", envvar="NHIP_CLIENT_SECRET", help="Its secret; best given as NHIP_CLIENT_SECRET.")
@click.option("--edge", "edge_url", default="", help="The edge of another platform, such as https://nhip.example.")
@click.option("--strict", is_flag=True, help="Fail when a row was rejected.")
@pass_context
def import_(
    context: Context,
    file: Path,
    import_format: str,
    client_id: str,
    client_secret: str | None,
    edge_url: str,
    strict: bool,  # noqa: FBT001 an option of click
) -> None:
    """Sends a file in, follows its import to the end, prints counts per file and the rejected rows.

    The same file again changes nothing. Exits with 1 when the import fails, or, with --strict, when rows were rejected.
    Clients of the sample need no --client-secret here: it lies in NHIP_HOME.

    \b
    Examples:
      nhip import F43_99001_25691123.zip --format f43 --client-id facility-99001
      NHIP_CLIENT_SECRET=… nhip import claims.zip --format f16 --client-id hospital --edge https://nhip.example --strict
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    address = context.edge_url(edge_url)
    if client_secret:
        credentials = Credentials(client_id, client_secret)
    elif (context.home / "secrets" / f"client_{client_id}").exists():
        credentials = Home(context.home).client(client_id)
    else:
        message = f"no secret of {client_id} is known here: set NHIP_CLIENT_SECRET"
        raise click.UsageError(message)
    try:
        with EdgeClient(address, credentials, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
            found = importing.send(edge, file, import_format, context.console)
            importing.show(edge, found, context.console)
    except EdgeError as error:
        context.fail(str(error))
    if found.get("state") != "IMPORT_STATE_SUCCEEDED":
        context.fail(f"the import did not succeed: {found.get('errorReason', '')} {found.get('errorMessage', '')}")
    if strict and importing.rejected(found):
        raise click.exceptions.Exit(Code.FAILED)


@click.command(short_help="Make a synthetic population, and import it.")
@click.option("--people", default=600, show_default=True, type=click.IntRange(1), help="How many people.")
@click.option("--seed", default=1, show_default=True, help="The same seed, size and day give the same files.")
@pass_context
def sample(context: Context, people: int, seed: int) -> None:
    """Makes a synthetic population in the forms that hospitals send, and imports all of it.

    Two hospitals and a health centre in different health regions: 43-file zips, a 16-file claim set, FHIR bundles. A
    sample that was cut off goes on where it stopped.

    \b
    Examples:
      nhip sample
      nhip sample --people 10000 --seed 7
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    context.edge_url()
    target = Attached(Home(context.home))
    if not provide_sample(context, target, people, seed) or not send_files(context, target, people, seed):
        raise click.exceptions.Exit(Code.FAILED)


def provide_sample(context: Context, target: Target, people: int, seed: int) -> bool:
    """Writes the sample's files and enrols its organisations; whether that went well. Nothing is imported yet."""
    # Imported when needed: the other commands start faster without it.
    from tools.nhip.sample import Sample  # noqa: PLC0415

    try:
        made = Sample(target, people, seed, context.console)
        made.write()
        made.enrol()
    except EdgeError as error:
        context.errors.print(f"[red]nhip:[/red] {error}", highlight=False)
        return False
    return True


def send_files(context: Context, target: Target, people: int, seed: int) -> bool:
    """Imports those of the sample's files that were not sent yet; whether all were taken."""
    from tools.nhip.sample import Sample  # noqa: PLC0415

    try:
        Sample(target, people, seed, context.console).send()
    except EdgeError as error:
        context.errors.print(f"[red]nhip:[/red] {error}", highlight=False)
        return False
    return True
