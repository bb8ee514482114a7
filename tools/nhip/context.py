"""What all commands share: which platform is meant, and where to print."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import grpc
from rich.console import Console
from rich.markup import escape

from libs.runtime.certificates import Certificates
from libs.runtime.channels import Secured, open_channel
from tools.nhip.codes import Code
from tools.nhip.home import Home
from tools.nhip.platform import Platform, Report
from tools.nhip.state import PlatformState, StateFile


@dataclass(frozen=True)
class Context:
    """The options of `nhip` itself."""

    home: Path
    edge_port: int
    database_url_template: str
    console: Console
    errors: Console
    # Whether services call each other by certificates.
    secured: bool = False

    @property
    def state(self) -> PlatformState:
        """What is true of the platform now."""
        return StateFile(Home(self.home)).read()

    def is_running(self) -> bool:
        """Whether a supervisor looks after the platform."""
        return StateFile(Home(self.home)).is_supervised()

    def platform(self, report: Report) -> Platform:
        """The platform, not started."""
        return Platform(
            self.home,
            self.edge_port,
            database_url_template=self.database_url_template,
            secured=self.secured,
            report=report,
        )

    def channel(self, service: str) -> grpc.aio.Channel:
        """A channel to a service of the running platform; to a secured one with the edge's certificate."""
        address = self.state.services[service].address
        if not self.state.services[service].health_address:
            return open_channel(address)
        certificates = Certificates(Home(self.home).certificates / "edge", "edge")
        return open_channel(address, secured=Secured(certificates, service))

    def edge_url(self, given: str = "") -> str:
        """The edge of the running platform, or the one given; ends the command with code 3 where there is neither."""
        if given:
            return given.rstrip("/")
        if not self.is_running():
            self.fail(f"no platform runs in {self.home}: start one with `nhip up`", Code.NOT_RUNNING)
        return self.state.edge_url

    def fail(self, message: str, code: Code = Code.FAILED) -> NoReturn:
        """Prints what went wrong and ends the command."""
        self.errors.print(f"[red]nhip:[/red] {escape(message)}", highlight=False, soft_wrap=True)
        raise click.exceptions.Exit(code)


pass_context = click.make_pass_decorator(Context)
