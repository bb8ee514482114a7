"""What is promised: the protos' service levels for RPCs, and the edge's own for requests."""

from dataclasses import dataclass
from functools import cache

from nhip.options.v1 import options_pb2

from services.edge.routes import routes_of
from services.edge.upstream import SERVICES, served_by
from tools.observability.contract.labels import class_name

AVAILABILITY, LATENCY = "availability", "latency"
EDGE = "edge"
# Statuses that are our fault. RESOURCE_EXHAUSTED is not among them: a caller who guesses secrets is answered so, and a
# full disk has an alert of its own. DEADLINE_EXCEEDED is, although a caller may have had little patience.
FAULTS = ("DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNKNOWN")
# Asked by machines about the machine.
UNCOUNTED_ROUTES = ("/healthz", "/metrics", "/readyz")
# A page of FHIR holds what several RPCs found; the class of a search, and as much again for its translation.
_EDGE_AVAILABILITY, _EDGE_WITHIN_SHARE, _EDGE_SECONDS = 0.999, 0.99, 1.0
# FHIR routes that carry many resources in one request: transactions, and operations that may run long.
_LONG_FHIR_ROUTES = ("/fhir/R4", "/fhir/R4/$process-message", "/fhir/R4/Patient/{id}/$everything")


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of calls that are good."""

    slo: str
    slo_class: str
    share: float
    # For latency: good is what took at most so long.
    seconds: float = 0.0

    @property
    def allowed(self) -> float:
        """The share of calls that may be bad: the error budget."""
        return round(1 - self.share, 9)

    @property
    def le(self) -> str:
        """The histogram's bucket that ends at `seconds`, as prometheus_client writes it."""
        return repr(float(self.seconds))


@cache
def objectives() -> tuple[Objective, ...]:
    """All of them: two for each class that promises something, and two of the edge."""
    found = []
    for value in options_pb2.SloClass.DESCRIPTOR.values:
        if not value.GetOptions().HasExtension(options_pb2.level):
            continue
        level = value.GetOptions().Extensions[options_pb2.level]
        name = class_name(value.number)
        found += [
            Objective(AVAILABILITY, name, level.availability),
            Objective(LATENCY, name, level.within_share, level.milliseconds / 1000),
        ]
    found += [
        Objective(AVAILABILITY, EDGE, _EDGE_AVAILABILITY),
        Objective(LATENCY, EDGE, _EDGE_WITHIN_SHARE, _EDGE_SECONDS),
    ]
    return tuple(found)


def of(slo: str, slo_class: str) -> Objective:
    """The objective of a class."""
    return next(one for one in objectives() if (one.slo, one.slo_class) == (slo, slo_class))


def rpc_classes() -> tuple[str, ...]:
    """The classes of RPCs that promise something."""
    return tuple(dict.fromkeys(one.slo_class for one in objectives() if one.slo_class != EDGE))


def long_routes() -> tuple[str, ...]:
    """The edge's routes to which its latency does not apply: they carry many rows, or a whole file."""
    long = {options_pb2.SLO_CLASS_BATCH, options_pb2.SLO_CLASS_STREAM}
    routes = [route for name in SERVICES for route in routes_of(served_by(name))]
    declared = {route.template for route in routes if route.method.slo_class in long}
    # A template that a short RPC has too stays counted.
    short = {route.template for route in routes if route.method.slo_class not in long}
    return tuple(sorted({*(declared - short), *_LONG_FHIR_ROUTES}))
