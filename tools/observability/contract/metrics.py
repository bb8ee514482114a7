"""The metrics of the platform.

Prometheus adds `job`, which is the service as Kubernetes spells it (`patient-index`), `instance`, and in a cluster
`namespace` and `pod`.
"""

from dataclasses import dataclass
from enum import Enum

from tools.observability.contract import labels as of
from tools.observability.contract.labels import Label

TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod"})
WITH_DATABASE = ("audit", "claims", "exchange", "identity", "patient_index", "records", "surveillance")
EVERY = ("edge", *WITH_DATABASE)
FOLLOWERS = tuple(service for service in WITH_DATABASE if service != "identity")


class Kind(Enum):
    """How a metric behaves, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it says, by whom, and how many time series it may come to."""

    name: str
    kind: Kind
    meaning: str
    services: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    # Series of one process; 0 for the product of the labels' bounds.
    at_most: int = 0
    # False for what prometheus_client counts by itself.
    is_ours: bool = True

    @property
    def bound(self) -> int:
        """How many combinations of labels one process may come to."""
        if self.at_most:
            return self.at_most
        product = 1
        for label in self.labels:
            product *= label.bound
        return product

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its time series."""
        if self.kind is Kind.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_count", f"{self.name}_sum")
        return (self.name,)


_RPC = (of.GRPC_SERVICE, of.GRPC_METHOD)
_RPCS = len(of.rpcs())
_FEED = (of.SOURCE, of.FEED)
_FEEDS = 10
_STRATA = 60

METRICS = (
    Metric("grpc_server_started_total", Kind.COUNTER, "RPCs started.", WITH_DATABASE, _RPC, at_most=_RPCS),
    Metric(
        "grpc_server_handled_total",
        Kind.COUNTER,
        "RPCs completed.",
        WITH_DATABASE,
        (*_RPC, of.GRPC_CODE),
        at_most=_RPCS * len(of.GRPC_CODE.values),
    ),
    Metric("grpc_server_in_flight", Kind.GAUGE, "RPCs in progress.", WITH_DATABASE, _RPC, at_most=_RPCS),
    Metric(
        "grpc_server_handling_seconds",
        Kind.HISTOGRAM,
        "Time from the first byte of the request to the status.",
        WITH_DATABASE,
        _RPC,
        at_most=_RPCS,
    ),
    Metric(
        "nhip_rpc_slo_class",
        Kind.GAUGE,
        "1 for each RPC, with the service level that its contract declares.",
        WITH_DATABASE,
        (*_RPC, of.SLO_CLASS),
        at_most=_RPCS,
    ),
    Metric(
        "http_server_requests_total",
        Kind.COUNTER,
        "Requests answered.",
        ("edge",),
        (of.METHOD, of.ROUTE, of.STATUS),
        at_most=6000,
    ),
    Metric(
        "http_server_request_duration_seconds",
        Kind.HISTOGRAM,
        "Time from the request's headers to the end of its answer.",
        ("edge",),
        (of.METHOD, of.ROUTE),
        at_most=800,
    ),
    Metric("http_server_in_flight", Kind.GAUGE, "Requests in progress.", ("edge",)),
    Metric("nhip_ready", Kind.GAUGE, "1 while the process is ready to serve.", EVERY),
    Metric(
        "nhip_event_loop_lag_seconds",
        Kind.GAUGE,
        "How late the event loop came to a timer in the last second.",
        EVERY,
    ),
    Metric(
        "nhip_tls_not_after_seconds",
        Kind.GAUGE,
        "When the certificate that is shown, and the first of the authorities that are trusted, end; seconds since 1970.",
        EVERY,
        (of.CERTIFICATE,),
    ),
    Metric(
        "nhip_tls_reloads_total",
        Kind.COUNTER,
        "Changed certificates that were taken into use, or refused.",
        EVERY,
        (of.RELOAD,),
    ),
    Metric(
        "nhip_database_connections",
        Kind.GAUGE,
        "Connections of the pool, by what they do.",
        WITH_DATABASE,
        (of.POOL_STATE,),
    ),
    Metric("nhip_database_connections_max", Kind.GAUGE, "Connections that the pool may open.", WITH_DATABASE),
    Metric(
        "nhip_feed_lag_seconds",
        Kind.GAUGE,
        "Age of the oldest change that a follower has not applied.",
        FOLLOWERS,
        _FEED,
        at_most=_FEEDS,
    ),
    Metric(
        "nhip_feed_heard_timestamp_seconds",
        Kind.GAUGE,
        "Unix time when a follower last had applied all that the source had told it.",
        FOLLOWERS,
        _FEED,
        at_most=_FEEDS,
    ),
    Metric(
        "nhip_feed_changes_applied_total",
        Kind.COUNTER,
        "Changes that a follower has applied.",
        FOLLOWERS,
        _FEED,
        at_most=_FEEDS,
    ),
    Metric(
        "nhip_feed_failures_total",
        Kind.COUNTER,
        "Batches that a follower could not apply.",
        FOLLOWERS,
        _FEED,
        at_most=_FEEDS,
    ),
    Metric("nhip_audit_signed_entries", Kind.GAUGE, "Entries that the newest checkpoint covers.", ("audit",)),
    Metric(
        "nhip_audit_inconsistencies_total",
        Kind.COUNTER,
        "Times that the log did not extend its last checkpoint.",
        ("audit",),
    ),
    Metric(
        "nhip_consents_total",
        Kind.COUNTER,
        "Decisions of citizens about their records.",
        ("identity",),
        (of.DECISION,),
    ),
    Metric(
        "nhip_consent_enforced_seconds",
        Kind.HISTOGRAM,
        "From the citizen's decision to its enforcement here.",
        ("records",),
    ),
    Metric("nhip_claims_total", Kind.COUNTER, "Claims that came to a status.", ("claims",), (of.CLAIM_STATUS,)),
    Metric(
        "nhip_cases_total",
        Kind.COUNTER,
        "Cases told anew or changed, by disease and standing.",
        ("surveillance",),
        (of.DISEASE, of.CASE_STATUS),
    ),
    Metric(
        "nhip_outbreak_alerts_total",
        Kind.COUNTER,
        "Alerts raised or lowered by the detectors.",
        ("surveillance",),
        (of.DISEASE,),
    ),
    Metric(
        "nhip_import_rows_total",
        Kind.COUNTER,
        "Rows of imports, by what became of them.",
        ("exchange",),
        (of.ROW_OUTCOME,),
    ),
    Metric(
        "nhip_imports_open",
        Kind.GAUGE,
        "Imports that are not finished, by state.",
        ("exchange",),
        (of.IMPORT_STATE,),
    ),
    Metric(
        "nhip_import_oldest_seconds",
        Kind.GAUGE,
        "Since when the import that moved last of all has not moved, by state.",
        ("exchange",),
        (of.IMPORT_STATE,),
    ),
    Metric(
        "nhip_subscription_deliveries_total",
        Kind.COUNTER,
        "Attempts to deliver a notification to the endpoint of a subscription.",
        ("exchange",),
        (of.DELIVERY,),
    ),
    Metric(
        "nhip_websockets_open",
        Kind.GAUGE,
        "Websockets that are open for notifications.",
        ("edge",),
    ),
    Metric(
        "nhip_linkage_precision",
        Kind.GAUGE,
        "Of linked pairs, the share that is one person, by blind review.",
        ("patient_index",),
        (of.DIMENSION, of.STRATUM, of.BOUND),
        at_most=3 * _STRATA,
    ),
    Metric(
        "nhip_linkage_recall",
        Kind.GAUGE,
        "Of pairs that are one person, the share that is linked, by blind review.",
        ("patient_index",),
        (of.DIMENSION, of.STRATUM, of.BOUND),
        at_most=3 * _STRATA,
    ),
    Metric(
        "nhip_linkage_judged_pairs",
        Kind.GAUGE,
        "Pairs that blind reviewers settled: linked, or one person.",
        ("patient_index",),
        (of.DIMENSION, of.STRATUM),
        at_most=_STRATA,
    ),
    Metric(
        "nhip_reviews_open",
        Kind.GAUGE,
        "Pairs that wait for a decision, by whether somebody works on them.",
        ("patient_index",),
        (of.REVIEW_STATE,),
    ),
    Metric(
        "nhip_review_oldest_seconds",
        Kind.GAUGE,
        "Age of the oldest pair that waits for a decision.",
        ("patient_index",),
    ),
    Metric(
        "nhip_probe_checks_total",
        Kind.COUNTER,
        "Invariants that the probe checked, by outcome.",
        ("probe",),
        (of.PROBE_STEP, of.PROBE_OUTCOME),
    ),
    Metric("nhip_probe_walk_seconds", Kind.HISTOGRAM, "Time of a walk on which every invariant held.", ("probe",)),
    Metric("nhip_probe_held_timestamp_seconds", Kind.GAUGE, "Unix time when every invariant last held.", ("probe",)),
    *(
        Metric(name, Kind.GAUGE, meaning, ("archiver",))
        for name, meaning in (
            ("nhip_backup_covered_timestamp_seconds", "Unix time up to which the repository lacks nothing; 0: never."),
            ("nhip_backup_base_timestamp_seconds", "Unix time of the newest base backup; 0: there is none."),
            ("nhip_backup_base_due_timestamp_seconds", "Unix time when the next base backup is due; 0: at once."),
        )
    ),
)

_GENERATION = Label("generation", "of the collector", frozenset({"0", "1", "2"}))
_PYTHON = tuple(
    Label(name, "of the interpreter", pattern=".*", at_most=1)
    for name in ("implementation", "major", "minor", "patchlevel", "version")
)
# What prometheus_client tells of each process.
STANDARD = (
    *(
        Metric(name, kind, meaning, EVERY, is_ours=False)
        for name, kind, meaning in (
            ("process_cpu_seconds_total", Kind.COUNTER, "Processor time used."),
            ("process_resident_memory_bytes", Kind.GAUGE, "Memory held."),
            ("process_virtual_memory_bytes", Kind.GAUGE, "Address space."),
            ("process_start_time_seconds", Kind.GAUGE, "Unix time of the start."),
            ("process_open_fds", Kind.GAUGE, "Open files and sockets."),
            ("process_max_fds", Kind.GAUGE, "Files and sockets that may be open."),
        )
    ),
    *(
        Metric(f"python_gc_{name}_total", Kind.COUNTER, meaning, EVERY, (_GENERATION,), is_ours=False)
        for name, meaning in (
            ("collections", "Runs of the cyclic collector."),
            ("objects_collected", "Objects that it freed."),
            ("objects_uncollectable", "Objects that it could not free."),
        )
    ),
    Metric("python_info", Kind.INFO, "The interpreter.", EVERY, _PYTHON, is_ours=False),
)


def by_series() -> dict[str, Metric]:
    """Each time series' name → its metric."""
    return {name: metric for metric in (*METRICS, *STANDARD) for name in metric.series}
