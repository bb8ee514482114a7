"""The command line: `nhip`."""

import os
from pathlib import Path

import click
from rich.console import Console

from tools.nhip import backups, certificates, linkage, loading, measuring, sending, serving, terminology, watching
from tools.nhip.context import Context

_HELP = """The National Health Information Platform on this machine.

\b
  nhip up                     start it, in the background
  nhip sample --people 2000   give it hospitals and people
  nhip journey                walk one citizen through it
  nhip status                 what runs, where, and how much it takes
  nhip logs -f records        what a service says
  nhip down                   stop it, cleanly

Data lie in NHIP_HOME (.nhip); the REST edge listens on 127.0.0.1, port NHIP_EDGE_PORT (8080). With
NHIP_DATABASE_URL_TEMPLATE, such as postgresql://nhip@db.example/nhip_{service}, a PostgreSQL of yours is used in place
of the embedded one.

\b
Exit codes:
  0  done
  1  failed; the last line says why
  2  wrong usage
  3  no platform is running
  4  a platform is running already
  5  the platform is running, and a service of it is not healthy
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--home",
    envvar="NHIP_HOME",
    default=".nhip",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The directory of the platform's data.",
)
@click.option(
    "--edge-port",
    envvar="NHIP_EDGE_PORT",
    default=8080,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="The port of the REST edge.",
)
@click.option(
    "--secured/--plain",
    envvar="NHIP_SECURED",
    default=False,
    help="Whether services call each other by certificates; makes an authority in NHIP_HOME.",
)
@click.version_option(package_name="nhip", prog_name="nhip")
@click.pass_context
def main(context: click.Context, home: Path, edge_port: int, *, secured: bool) -> None:
    """Reads what all commands share."""
    template = os.environ.get("NHIP_DATABASE_URL_TEMPLATE", "")
    context.obj = Context(home, edge_port, template, Console(), Console(stderr=True), secured)


for command in (
    serving.up,
    serving.down,
    watching.status,
    watching.logs,
    measuring.journey,
    sending.sample,
    sending.import_,
    loading.load,
    measuring.bench,
    linkage.linkage,
    terminology.terminology,
    certificates.certificates,
    backups.backup,
    backups.restore,
    backups.verify,
    serving.run,
    serving.supervise,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
