"""The labels of metrics: what may stand in each, and how many values at most."""

import re
from dataclasses import dataclass

import grpc
from nhip.calls.v1 import service_pb2 as calls_pb2
from nhip.feed.v1 import service_pb2 as feed_pb2
from nhip.options.v1 import options_pb2

from libs.runtime.policy import Method, methods_of
from services.audit.__main__ import SOURCES
from services.claims.model import Status as ClaimStatus
from services.edge.observing import METHODS
from services.edge.upstream import SERVICES, served_by
from services.exchange.model import State as ImportState
from services.identity.model import ConsentDecision
from services.surveillance.diseases import packaged
from services.surveillance.model import Status as CaseStatus
from tools.probe.course import STEPS
from tools.probe.watch import OUTCOMES, SAME

FEEDS = frozenset({"access", "identity", "keys", "patient_index", "records"})


@dataclass(frozen=True, slots=True)
class Label:
    """One label; nothing personal, and few values."""

    name: str
    meaning: str
    # What may stand there; empty where the pattern says it.
    values: frozenset[str] = frozenset()
    pattern: str = ""
    # How many different values one process may come to.
    at_most: int = 0

    def allows(self, value: str) -> bool:
        """True if the value may stand there."""
        return value in self.values if self.values else re.fullmatch(self.pattern, value) is not None

    @property
    def bound(self) -> int:
        """How many values there are at most."""
        return len(self.values) or self.at_most


def rpcs() -> tuple[Method, ...]:
    """Every RPC of the platform, also those that every process serves beside its own."""
    descriptors = [one for name in SERVICES for one in served_by(name)]
    descriptors.append(feed_pb2.DESCRIPTOR.services_by_name["FeedService"])
    descriptors.append(calls_pb2.DESCRIPTOR.services_by_name["CallsService"])
    return tuple(method for descriptor in descriptors for method in methods_of(descriptor))


def class_name(number: int) -> str:
    """`fast`, as the label says it."""
    return options_pb2.SloClass.Name(options_pb2.SloClass.ValueType(number)).removeprefix("SLO_CLASS_").lower()


def _names(kinds: type) -> frozenset[str]:
    return frozenset(one.name.lower() for one in kinds)  # type: ignore[attr-defined]  # an Enum's members


GRPC_SERVICE = Label("grpc_service", "full name of the gRPC service", frozenset(m.path.split("/")[1] for m in rpcs()))
GRPC_METHOD = Label("grpc_method", "the RPC", frozenset(method.name for method in rpcs()))
GRPC_CODE = Label("grpc_code", "the final status", frozenset(code.name for code in grpc.StatusCode))
SLO_CLASS = Label(
    "slo_class", "the service level of the contract", frozenset(class_name(method.slo_class) for method in rpcs())
)
METHOD = Label("method", "the HTTP method; OTHER for one that no standard knows", METHODS | {"OTHER"})
# A template: its variables stand in braces, and no part of it is a number.
ROUTE = Label(
    "route",
    "the route's template, never the path; unknown for none",
    pattern=r"unknown|/|(/(\{[a-z_]+\}|[\w.$-]*[A-Za-z_][\w.$-]*(:\w+)?|\{[a-z_]+\}:\w+))+",
    at_most=300,
)
STATUS = Label("status", "the HTTP status", pattern=r"[1-5][0-9]{2}", at_most=30)
SOURCE = Label("source", "the service whose feed it is", frozenset(SOURCES))
FEED = Label("feed", "the feed", FEEDS)
POOL_STATE = Label("state", "what a connection does", frozenset({"idle", "busy"}))
CLAIM_STATUS = Label("status", "the status that a claim came to", _names(ClaimStatus))
CASE_STATUS = Label("status", "how sure the case is", _names(CaseStatus))
DISEASE = Label("disease", "a group of report 506, by its number", frozenset(packaged().diseases))
DECISION = Label("decision", "what the citizen decided", _names(ConsentDecision))
ROW_OUTCOME = Label(
    "outcome", "what became of a row", frozenset({"created", "updated", "unchanged", "rejected", "skipped"})
)
DELIVERY = Label("outcome", "what became of an attempt", frozenset({"delivered", "failed"}))
IMPORT_STATE = Label(
    "state",
    "where an open import stands",
    _names(ImportState) & {"uploading", "queued", "running"},
)
CERTIFICATE = Label(
    "certificate", "whose: the process's own, or the first to end that it trusts", frozenset({"own", "authorities"})
)
RELOAD = Label("outcome", "what became of changed certificates", frozenset({"taken", "refused"}))
DIMENSION = Label(
    "dimension", "by what pairs are told apart", frozenset({"all", "region", "age", "nationality", "script"})
)
STRATUM = Label("stratum", "a group of that dimension; nobody's own", pattern=r"|[\w.+-]{1,20}", at_most=40)
BOUND = Label("bound", "the share, or an end of its interval of 95 %", frozenset({"share", "low", "high"}))
PROBE_STEP = Label("step", "an invariant that the probe checks", frozenset({*STEPS, SAME}))
PROBE_OUTCOME = Label("outcome", "whether it held", frozenset(OUTCOMES))
REVIEW_STATE = Label("state", "whether somebody works on the pair", frozenset({"waiting", "assigned"}))
