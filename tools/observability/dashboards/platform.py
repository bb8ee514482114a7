"""Whether the platform keeps its promises, and how each service does."""

from tools.observability.dashboards.sheet import HERE, WINDOW, Panel, Sheet, largest, panel, quantile, rate
from tools.observability.rules.pace import HOUR
from tools.observability.rules.recording import ALLOWED, LEFT, ratio

_BURNT = f"{ratio(HOUR)}{{{HERE}}} / on (slo, slo_class) group_left () {ALLOWED}"
_EDGE = "http_server_request_duration_seconds"
_RPC = "grpc_server_handling_seconds"
_JOB = 'job=~"$job"'
_OF_CLASS = "{{job}} {{slo_class}}"
_ASKED = 'route!~"/healthz|/metrics|/readyz"'


def _left(slo: str) -> Panel:
    return panel(
        f"Budget left: {slo}",
        "Of what may be bad within 30 days, the share that is left; below zero the promise is broken.",
        "percentunit",
        (f'{LEFT}{{{HERE}, slo="{slo}"}}', _OF_CLASS),
    )


def _met(slo: str) -> Panel:
    return panel(
        f"Good calls of the last hour: {slo}",
        "The share of calls that were as promised.",
        "percentunit",
        (f'1 - {ratio(HOUR)}{{{HERE}, slo="{slo}"}}', _OF_CLASS),
    )


OVERVIEW = Sheet(
    "nhip-overview",
    "Overview",
    "Whether the platform does what it promises, and what people do with it.",
    (
        panel("Services up", "Services of which a replica answers.", "none",
              (f"count(max by (job) (nhip_ready{{{HERE}}}) == 1)", "up"), width=4, number=True),
        panel("Alerts", "Alerts that fire now.", "none",
              ('count(ALERTS{alertname=~"Nhip.*", alertstate="firing"}) or vector(0)', "firing"), width=4, number=True),
        panel("Requests", "Requests at the edge in a second.", "reqps",
              (f"sum(rate(http_server_requests_total{{{HERE}, {_ASKED}}}[{WINDOW}]))", "requests"), width=4, number=True),
        panel("Least budget", "The least budget that any promise has left.", "percentunit",
              (f"min({LEFT}{{{HERE}}})", "left"), width=4, number=True),
        panel("Feeds behind by", "The largest lag of any follower.", "s",
              (f"max(nhip_feed_lag_seconds{{{HERE}}})", "lag"), width=4, number=True),
        panel("In flight", "Requests in progress at the edge.", "none",
              (f"sum(http_server_in_flight{{{HERE}}})", "requests"), width=4, number=True),
        _left("availability"),
        _left("latency"),
        _met("availability"),
        _met("latency"),
        panel("Burn rate", "How many times faster than a month's pace the budgets burn, over an hour. 14.4 wakes somebody.",
              "none", (_BURNT, "{{job}} {{slo_class}} {{slo}}")),
        panel("Requests by status", "At the edge.", "reqps",
              (rate("http_server_requests_total", "status", _ASKED), "{{status}}")),
        panel("Time at the edge", "Quantiles over all routes.", "s",
              *((quantile(share, _EDGE, "namespace", _ASKED), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99))),
        panel("Slow routes", "The 99th percentile of the slowest routes.", "s",
              (largest(8, quantile(0.99, _EDGE, "route")), "{{route}}")),
        panel("Failing routes", "Answers 5xx by route.", "reqps",
              (largest(8, rate("http_server_requests_total", "route, status", 'status=~"5.."')), "{{route}} {{status}}")),
        panel("Busy routes", "Requests by route.", "reqps",
              (largest(8, rate("http_server_requests_total", "method, route", _ASKED)), "{{method}} {{route}}")),
    ),
)  # fmt: skip

SERVICE = Sheet(
    "nhip-service",
    "Service",
    "Rate, errors, duration and saturation of one service.",
    (
        panel("Calls", "RPCs completed.", "reqps", (rate("grpc_server_handled_total", "job", _JOB), "{{job}}")),
        panel("Errors by RPC and status", "Not OK, refusals and mistakes of callers too.", "reqps",
              (largest(10, rate("grpc_server_handled_total", "grpc_method, grpc_code", f'{_JOB}, grpc_code!="OK"')),
               "{{grpc_method}} {{grpc_code}}")),
        panel("Duration", "Quantiles over all RPCs but streams.", "s",
              *((quantile(share, _RPC, "job", f'{_JOB}, grpc_method!~"Follow|Snapshot"'), f"{{{{job}}}} p{share * 100:g}")
                for share in (0.5, 0.95, 0.99))),
        panel("Slowest RPCs", "The 99th percentile by RPC.", "s",
              (largest(10, quantile(0.99, _RPC, "grpc_method", f'{_JOB}, grpc_method!~"Follow|Snapshot"')), "{{grpc_method}}")),
        panel("Busiest RPCs", "RPCs completed, by RPC.", "reqps",
              (largest(10, rate("grpc_server_handled_total", "grpc_method", _JOB)), "{{grpc_method}}")),
        panel("In flight", "RPCs in progress, by RPC; streams stay open.", "none",
              (f"sum by (job, grpc_method) (grpc_server_in_flight{{{HERE}, {_JOB}}}) > 0", "{{job}} {{grpc_method}}")),
        panel("Started, not completed", "RPCs begun less RPCs ended: a queue grows.", "reqps",
              (f'{rate("grpc_server_started_total", "job", _JOB)} - {rate("grpc_server_handled_total", "job", _JOB)}',
               "{{job}}")),
        panel("Processor", "Cores used by each replica; one process uses one core at most.", "none",
              (f"rate(process_cpu_seconds_total{{{HERE}, {_JOB}}}[{WINDOW}])", "{{job}} {{instance}}")),
        panel("Memory", "Held by each replica.", "bytes",
              (f"process_resident_memory_bytes{{{HERE}, {_JOB}}}", "{{job}} {{instance}}")),
        panel("Event loop", "How late it comes to its timers.", "s",
              (f"nhip_event_loop_lag_seconds{{{HERE}, {_JOB}}}", "{{job}} {{instance}}")),
        panel("Connections in use", "Share of the pool that is busy.", "percentunit",
              (f'nhip_database_connections{{{HERE}, {_JOB}, state="busy"}} / on (namespace, job, instance)'
               f" nhip_database_connections_max{{{HERE}}}", "{{job}} {{instance}}")),
        panel("Open files", "Share of the files and sockets that may be open.", "percentunit",
              (f"process_open_fds{{{HERE}, {_JOB}}} / process_max_fds{{{HERE}, {_JOB}}}", "{{job}} {{instance}}")),
        panel("Ready", "1 for each replica that serves.", "none", (f"nhip_ready{{{HERE}, {_JOB}}}", "{{job}} {{instance}}")),
        panel("Collector", "Runs of Python's cyclic collector.", "ops",
              (rate("python_gc_collections_total", "job, generation", _JOB), "{{job}} {{generation}}")),
    ),
    (("job", "label_values(nhip_ready, job)"),),
)  # fmt: skip


def _released(inner: str) -> str:
    """By release: a pod is named after its ReplicaSet, and each release has its own."""
    return f'label_replace({inner}, "release", "$1", "pod", "(.*)-[a-z0-9]+")'


def _by_release(counter: str, where: str = "") -> str:
    chosen = f"{HERE}, {_JOB}, {where}" if where else f"{HERE}, {_JOB}"
    return f"sum by (release) ({_released(f'rate({counter}{{{chosen}}}[{WINDOW}])')})"


_SLOW = f"sum by (release, le) ({_released(f'rate({_RPC}_bucket{{{HERE}, {_JOB}}}[{WINDOW}])')})"
_HANDLED = "grpc_server_handled_total"
_FAULTS = 'grpc_code=~"DATA_LOSS|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|UNKNOWN"'
ROLLOUT = Sheet(
    "nhip-rollout",
    "Rollout",
    "An old and a new release side by side, by the ReplicaSets of their pods. If only the new one fails, take it back.",
    (
        panel("Calls", "RPCs by release.", "reqps", (_by_release("grpc_server_handled_total"), "{{release}}")),
        panel("Share of faults", "Of a release's calls, those that failed by a fault of ours.", "percentunit",
              (f"{_by_release(_HANDLED, _FAULTS)} / {_by_release(_HANDLED)}", "{{release}}")),
        panel("99th percentile", "Over all RPCs of a release.", "s", (f"histogram_quantile(0.99, {_SLOW})", "{{release}}")),
        panel("Memory", "On average of a release's replicas.", "bytes",
              (f"avg by (release) ({_released(f'process_resident_memory_bytes{{{HERE}, {_JOB}}}')})", "{{release}}")),
        panel("Ready replicas", "By release.", "none",
              (f"sum by (release) ({_released(f'nhip_ready{{{HERE}, {_JOB}}}')})", "{{release}}")),
        panel("Age", "Since when each replica runs.", "s",
              (f"time() - process_start_time_seconds{{{HERE}, {_JOB}}}", "{{job}} {{instance}}")),
    ),
    (("job", "label_values(nhip_ready, job)"),),
)  # fmt: skip

PLATFORM = (OVERVIEW, SERVICE, ROLLOUT)
