"""`nhip certificates`: an authority of one's own, for clusters without cert-manager."""

from collections.abc import Callable
from pathlib import Path

import click

from tools.nhip.authority import Authority, AuthorityError
from tools.nhip.context import Context, pass_context
from tools.nhip.services import SERVICES

_FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.group(short_help="Make and renew the certificates of services.")
def certificates() -> None:
    """Certificates by which services know each other, from an authority in FOLDER; see docs/operations/certificates.md."""


@certificates.command()
@_FOLDER
def make(folder: Path) -> None:
    """Makes what is missing, and renews what has less than a third of its time left. Run it again and again.

    \b
    Example:
      nhip certificates make ~/nhip-keys/certificates
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    made = _authority(folder).make()
    click.echo(f"made anew: {', '.join(made) or 'nothing, everything holds for long enough'}")


def _step(name: str, help_text: str, said: str) -> None:
    @certificates.command(name=name, help=help_text)
    @_FOLDER
    @pass_context
    def step(context: Context, folder: Path) -> None:
        take: Callable[[], None] = getattr(_authority(folder), name)
        try:
            take()
        except AuthorityError as error:
            context.fail(str(error))
        click.echo(said)


_step("introduce", "Has services trust a new authority beside the present one.", "next, when all have it: issue")
_step("issue", "Has services show certificates of the new authority.", "next, when all have them: retire")
_step("retire", "Ends the trust in the authority before.", "done, when all have it")


def _authority(folder: Path) -> Authority:
    return Authority(folder, [service.name for service in SERVICES])
