"""How many pods and databases a demand takes, from what one visit and one row of a file cost.

Costs are processor seconds, which add up; what queues is kept short by leaving part of each core idle.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# One process uses one core; at this share of it the wait for it is about as long as the work (M/M/1: ρ/(1-ρ) at 0.5).
BUSY: Final = 0.5
# So that one may go, by a failure or an upgrade.
LEAST_PODS: Final = 2
DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Cost:
    """What one visit, or one row, costs: processor seconds of services and of their databases, and bytes."""

    services: Mapping[str, float]
    databases: Mapping[str, float]
    log_bytes: float
    stored_bytes: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What comes. Rows come in a window of the night, when no visits do."""

    name: str
    visits_a_second: float
    visits_a_day: float
    rows_a_day: float
    night_hours: float

    @property
    def rows_a_second(self) -> float:
        """In the night."""
        return self.rows_a_day / (self.night_hours * 3600)

    def part(self, name: str, share: float) -> "Demand":
        """A region, by its share of all."""
        return Demand(
            name, self.visits_a_second * share, self.visits_a_day * share, self.rows_a_day * share, self.night_hours
        )


@dataclass(frozen=True, slots=True)
class Service:
    """One service at the worst of the day."""

    name: str
    # Cores at work.
    cores: float
    pods: int
    # Cores of its database at work, and those to be given to it; 0 for the edge, which has none.
    database_cores: float
    database_given: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a demand takes."""

    demand: Demand
    services: tuple[Service, ...]
    log_bytes_a_second: float
    log_bytes_a_day: float
    stored_bytes_a_year: float

    @property
    def pods(self) -> int:
        """Of all services."""
        return sum(service.pods for service in self.services)

    @property
    def database_given(self) -> int:
        """Cores of all databases."""
        return sum(service.database_given for service in self.services)


def plan(demand: Demand, visit: Cost, row: Cost, *, shared: str = "postgresql") -> Plan:
    """The plan for a demand. What PostgreSQL does for all databases (`shared`) is laid on each by its part of the work."""
    names = sorted({*visit.services, *row.services})
    day, night = demand.visits_a_second, demand.rows_a_second
    services = []
    for name in names:
        cores = max(day * visit.services.get(name, 0.0), night * row.services.get(name, 0.0))
        behind = max(day * _with_part(visit, name, shared), night * _with_part(row, name, shared))
        given = math.ceil(behind / BUSY) if behind else 0
        services.append(Service(name, cores, max(LEAST_PODS, math.ceil(cores / BUSY)), behind, given))
    return Plan(
        demand,
        tuple(services),
        max(day * visit.log_bytes, night * row.log_bytes),
        demand.visits_a_day * visit.log_bytes + demand.rows_a_day * row.log_bytes,
        365 * (demand.visits_a_day * visit.stored_bytes + demand.rows_a_day * row.stored_bytes),
    )


def _with_part(cost: Cost, name: str, shared: str) -> float:
    own = {service: seconds for service, seconds in cost.databases.items() if service != shared}
    total = sum(own.values())
    if not total or name not in own:
        return 0.0
    return own[name] * (1 + cost.databases.get(shared, 0.0) / total)
