"""A platform as its clients see it, whoever supervises it."""

from dataclasses import dataclass
from typing import Protocol

from tools.nhip.home import Credentials, Home
from tools.nhip.state import StateFile


class Target(Protocol):
    """What enrolment, samples and the journey need of a platform; `platform.Platform` is one."""

    home: Home

    @property
    def edge_url(self) -> str:
        """Where the edge listens."""

    @property
    def bootstrap_client(self) -> Credentials:
        """The first administrator."""


@dataclass
class Attached:
    """The running platform of a home, which another process supervises."""

    home: Home

    @property
    def edge_url(self) -> str:
        """Where the edge listens."""
        return StateFile(self.home).read().edge_url

    @property
    def bootstrap_client(self) -> Credentials:
        """The first administrator."""
        return self.home.bootstrap_client()
