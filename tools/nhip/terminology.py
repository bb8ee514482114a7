"""`nhip terminology`: loading code systems, maps between them, and drug interactions."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from rich.table import Table

from tools.nhip.context import Context, pass_context
from tools.nhip.edge import EdgeClient, EdgeError, Json
from tools.nhip.home import Credentials, Home
from tools.terminology import FORMS, Source, SourceError, rows_of

ROWS_OF_A_PART = 2000
_KINDS = ("concepts", "mappings", "interactions")
_client_id = click.option("--client-id", envvar="NHIP_CLIENT_ID", default="", help="A program with terminology.write.")
_client_secret = click.option("--client-secret", envvar="NHIP_CLIENT_SECRET", default="", help="Its secret.")
_edge = click.option(
    "--edge", "edge_url", default="", help="The edge of another platform, such as https://nhip.example."
)


@click.group(short_help="Load code systems, maps and drug interactions.")
def terminology() -> None:
    """Loads code systems, maps and drug interactions, and lists what is loaded."""


@terminology.command(short_help="Load a publisher's file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--system", "name", required=True, help="URL of the code system or map; name of an interaction table.")
@click.option("--version", required=True, help="As the publisher calls it.")
@click.option("--title", default="", help="What readers are shown.")
@click.option("--kind", default=_KINDS[0], show_default=True, type=click.Choice(_KINDS), help="What the file holds.")
@click.option("--form", default="csv", show_default=True, type=click.Choice(list(FORMS)), help="How it is written.")
@click.option("--column", "columns", multiple=True, metavar="OWN=FILE'S", help="A column with another heading.")
@_client_id
@_client_secret
@_edge
@pass_context
def load(
    context: Context,
    file: Path,
    name: str,
    version: str,
    title: str,
    kind: str,
    form: str,
    columns: tuple[str, ...],
    client_id: str,
    client_secret: str,
    edge_url: str,
) -> None:
    """Loads a file, in parts; one that was cut off goes on where it stopped, and the same again changes nothing.

    \b
    Examples:
      nhip terminology load icd10.xml --form claml --system http://hl7.org/fhir/sid/icd-10 --version 2019
      nhip terminology load Loinc_2.78.zip --form loinc --system http://loinc.org --version 2.78
      nhip terminology load TMT.csv --system https://terms.sil-th.org/core/CodeSystem/cs-th-tmt --version 20251103
      nhip terminology load tmt_atc.csv --kind mappings --system urn:tmt-atc --version 1
      nhip terminology load interactions.csv --kind interactions --system hospital-committee --version 3
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    named = dict(one.partition("=")[::2] for one in columns)
    source = Source(file, named)
    part = {"name": name, "version": version, "title": title, "digest": source.digest()}
    try:
        with _client(context, edge_url, client_id, client_secret) as edge:
            done = send(edge, kind, part, rows_of(source, form, kind))
    except (EdgeError, SourceError) as error:
        context.fail(str(error))
    context.console.print(f"{name} {version}: {int(done['rows']):,} {kind}, current", highlight=False)


@terminology.command("list", short_help="What is loaded.")
@_client_id
@_client_secret
@_edge
@pass_context
def list_(context: Context, client_id: str, client_secret: str, edge_url: str) -> None:
    """Lists every version that is loaded, with its count."""
    try:
        with _client(context, edge_url, client_id, client_secret) as edge:
            loads = edge.get("/v1/terminology/loads").get("loads", [])
    except EdgeError as error:
        context.fail(str(error))
    table = Table("kind", "name", "version", "rows", "state")
    for one in loads:
        state = "current" if one.get("isCurrent") else "complete" if one.get("isComplete") else "not whole"
        table.add_row(one["kind"], one["name"], one["version"], f"{int(one.get('rows', 0)):,}", state)
    context.console.print(table)


def send(edge: EdgeClient, kind: str, part: Json, rows: Iterator[Json]) -> Json:
    """Sends the rows that the platform does not have yet; the load as it is afterwards. Raises EdgeError, SourceError."""
    key = (kind, part["name"], part["version"], part["digest"])
    held = edge.get("/v1/terminology/loads").get("loads", [])
    load: Json = next((one for one in held if (one["kind"], one["name"], one["version"], one["digest"]) == key), {})
    if load.get("isComplete"):
        return load
    # What stands there with another content begins anew, or is refused by the platform.
    offset = int(load.get("rows", 0))
    waiting = list(islice(rows, offset, offset + ROWS_OF_A_PART))
    if not waiting:
        raise SourceError("the file holds no row")
    while waiting:
        following = list(islice(rows, ROWS_OF_A_PART))
        body = {"part": {**part, "offset": str(offset), "isLast": not following}, kind: waiting}
        load = edge.post(f"/v1/terminology/{kind}:load", body)["load"]
        offset += len(waiting)
        waiting = following
    return load


def _client(context: Context, edge_url: str, client_id: str, client_secret: str) -> EdgeClient:
    address = context.edge_url(edge_url)
    if client_id and client_secret:
        return EdgeClient(address, Credentials(client_id, client_secret), scope="terminology.write")
    return EdgeClient(address, Home(context.home).bootstrap_client(), scope="terminology.write")
