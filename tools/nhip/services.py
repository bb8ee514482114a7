"""The eight services as the supervisor sees them: how each is started, and in which order they go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Door(Enum):
    """By which protocol a service is reached and asked for its health."""

    GRPC = "grpc"
    HTTP = "http"


@dataclass(frozen=True)
class Service:
    """One process: `python -m <module> serve`, and `migrate` where it has a database."""

    # Of the process: `records`, and `records-1` for a second replica.
    name: str
    module: str
    door: Door = Door.GRPC
    has_database: bool = True
    # Services stop in rising order, those of one number together: first who calls, then who is called.
    stops: int = 2
    # Which of the service's replicas this is.
    replica: int = 0

    @property
    def service(self) -> str:
        """Which service the process is one of."""
        return self.name.removesuffix(f"-{self.replica}")


def _domain(name: str) -> Service:
    return Service(name, f"services.{name}")


SERVICES = (
    *map(_domain, ("identity", "patient_index", "records", "claims", "surveillance", "audit")),
    Service("exchange", "services.exchange", stops=1),
    Service("edge", "services.edge", Door.HTTP, has_database=False, stops=0),
)


def replicated(services: Sequence[Service], replicas: int) -> tuple[Service, ...]:
    """So many processes of each service: all the first, which keep their names, then all the second."""
    more = (
        replace(each, name=f"{each.name}-{number}", replica=number)
        for number in range(1, replicas)
        for each in services
    )
    return (*services, *more)
