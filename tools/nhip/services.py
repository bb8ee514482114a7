"""The eight services as the supervisor sees them: how each is started, and in which order they go."""

from dataclasses import dataclass
from enum import Enum


class Door(Enum):
    """By which protocol a service is reached and asked for its health."""

    GRPC = "grpc"
    HTTP = "http"


@dataclass(frozen=True)
class Service:
    """One service: `python -m <module> serve`, and `migrate` where it has a database."""

    name: str
    module: str
    door: Door = Door.GRPC
    has_database: bool = True
    # Services stop in rising order, those of one number together: first who calls, then who is called.
    stops: int = 2


def _domain(name: str) -> Service:
    return Service(name, f"services.{name}")


SERVICES = (
    *map(_domain, ("identity", "patient_index", "records", "claims", "surveillance", "audit")),
    Service("exchange", "services.exchange", stops=1),
    Service("edge", "services.edge", Door.HTTP, has_database=False, stops=0),
)
