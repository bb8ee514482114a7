"""Recorded series: calls and bad calls by service and class, their ratio over each window, the budget that is left.

Everything longer than five minutes is made from the five minutes' rates: averages of numerator and denominator, so that
each call weighs the same.
"""

from typing import Any

from tools.observability import objectives
from tools.observability.objectives import AVAILABILITY, EDGE, FAULTS, LATENCY
from tools.observability.rules.pace import DAY, HOUR, MINUTE, Pace, window_name

BASE = 5 * MINUTE
_RATES_INTERVAL = 30
# No test's clock is fast enough for more evaluations than two in a second.
_LEAST_INTERVAL = 0.5
WINDOWS = (30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY)
BUDGET_WINDOW = 30 * DAY
PLACE = "namespace, job, slo_class"
CALLS, BAD, ALLOWED, LEFT = (
    "nhip:slo_calls:rate5m",
    "nhip:slo_bad_calls:rate5m",
    "nhip:slo_allowed:ratio",
    "nhip:slo_budget_left:ratio30d",
)
CLASS, REFUSALS = "nhip:rpc_slo_class", "nhip:refusals:rate10m"
Rule = dict[str, Any]


def ratio(seconds: int) -> str:
    """The series with the share of bad calls over a window."""
    return f"nhip:slo_bad:ratio{window_name(seconds)}"


def groups(pace: Pace) -> list[dict[str, Any]]:
    """The groups of recording rules."""
    rates = [*_constants(), *_classes(pace), *_availability(pace), *_latency(pace), *_edge(pace)]
    return [
        {"name": "nhip.slo.rates", "interval": _interval(pace, _RATES_INTERVAL), "rules": [*rates, _short_ratio()]},
        {"name": "nhip.slo.windows", "interval": _interval(pace, 60), "rules": [_ratio(w, pace) for w in WINDOWS]},
        {
            "name": "nhip.slo.budgets",
            "interval": _interval(pace, 5 * MINUTE),
            "rules": [_ratio(BUDGET_WINDOW, pace), _left()],
        },
        {"name": "nhip.refusals", "interval": _interval(pace, 60), "rules": [_refusals(pace)]},
    ]


def rates_every(pace: Pace) -> float:
    """Seconds from one recorded rate to the next."""
    return max(_LEAST_INTERVAL, pace.seconds(_RATES_INTERVAL))


def _interval(pace: Pace, seconds: int) -> str:
    return Pace().lasting(max(_LEAST_INTERVAL, pace.seconds(seconds)))


def _record(name: str, expression: str, **labels: str) -> Rule:
    rule: Rule = {"record": name, "expr": expression}
    if labels:
        rule["labels"] = labels
    return rule


def _constants() -> list[Rule]:
    return [
        _record(ALLOWED, f"vector({one.allowed})", slo=one.slo, slo_class=one.slo_class)
        for one in objectives.objectives()
    ]


def _classes(pace: Pace) -> list[Rule]:
    seen = f"last_over_time(nhip_rpc_slo_class[{pace.lasting(HOUR)}])"
    # While a release moves an RPC to another class, both are told; one of them counts.
    one = f"topk by (namespace, grpc_service, grpc_method) (1, max by (namespace, grpc_service, grpc_method, slo_class) ({seen}))"
    return [_record(CLASS, one)]


def _by_class(rate: str, classes: str) -> str:
    joined = (
        f'{rate} * on (namespace, grpc_service, grpc_method) group_left (slo_class) {CLASS}{{slo_class=~"{classes}"}}'
    )
    return f"sum by ({PLACE}) ({joined})"


def _availability(pace: Pace) -> list[Rule]:
    classes, window = "|".join(objectives.rpc_classes()), pace.lasting(BASE)
    calls = _by_class(f"rate(grpc_server_handled_total[{window}])", classes)
    faults = f'rate(grpc_server_handled_total{{grpc_code=~"{"|".join(FAULTS)}"}}[{window}])'
    # A service that never failed has no series of failures: nothing is zero.
    none = f'sum by ({PLACE}) ({CALLS}{{slo="{AVAILABILITY}", slo_class!="{EDGE}"}}) * 0'
    return [
        _record(CALLS, calls, slo=AVAILABILITY),
        _record(BAD, f"{_by_class(faults, classes)} or {none}", slo=AVAILABILITY),
    ]


def _latency(pace: Pace) -> list[Rule]:
    window = pace.lasting(BASE)
    rules = []
    for name in objectives.rpc_classes():
        calls = _by_class(f"rate(grpc_server_handling_seconds_count[{window}])", name)
        bucket = f'grpc_server_handling_seconds_bucket{{le="{objectives.of(LATENCY, name).le}"}}'
        good = _by_class(f"rate({bucket}[{window}])", name)
        rules += [
            _record(CALLS, calls, slo=LATENCY, slo_class=name),
            _record(BAD, f"clamp_min({calls} - {good}, 0)", slo=LATENCY, slo_class=name),
        ]
    return rules


def _edge(pace: Pace) -> list[Rule]:
    window = pace.lasting(BASE)
    asked = f'route!~"{_routes(objectives.UNCOUNTED_ROUTES)}"'
    requests = f"sum by (namespace, job) (rate(http_server_requests_total{{{asked}}}[{window}]))"
    failed = f'sum by (namespace, job) (rate(http_server_requests_total{{{asked}, status=~"5.."}}[{window}]))'
    short = f'route!~"{_routes((*objectives.UNCOUNTED_ROUTES, *objectives.long_routes()))}"'
    name = "http_server_request_duration_seconds"
    timed = f"sum by (namespace, job) (rate({name}_count{{{short}}}[{window}]))"
    le = objectives.of(LATENCY, EDGE).le
    good = f'sum by (namespace, job) (rate({name}_bucket{{{short}, le="{le}"}}[{window}]))'
    none = f"{requests} * 0"
    return [
        _record(CALLS, requests, slo=AVAILABILITY, slo_class=EDGE),
        _record(BAD, f"{failed} or {none}", slo=AVAILABILITY, slo_class=EDGE),
        _record(CALLS, timed, slo=LATENCY, slo_class=EDGE),
        _record(BAD, f"clamp_min({timed} - {good}, 0)", slo=LATENCY, slo_class=EDGE),
    ]


def _routes(routes: tuple[str, ...]) -> str:
    """An alternative of all, as a regular expression within a PromQL string."""
    special = str.maketrans({mark: f"\\\\{mark}" for mark in ".${}"})
    return "|".join(route.translate(special) for route in sorted(routes))


def _short_ratio() -> Rule:
    return _record(ratio(BASE), f"{BAD} / ({CALLS} > 0)")


def _ratio(seconds: int, pace: Pace) -> Rule:
    window = pace.lasting(seconds)
    return _record(ratio(seconds), f"avg_over_time({BAD}[{window}]) / (avg_over_time({CALLS}[{window}]) > 0)")


def _left() -> Rule:
    return _record(LEFT, f"1 - {ratio(BUDGET_WINDOW)} / on (slo, slo_class) group_left () {ALLOWED}")


def _refusals(pace: Pace) -> Rule:
    window = pace.lasting(10 * MINUTE)
    refused = f'rate(grpc_server_handled_total{{grpc_code="PERMISSION_DENIED"}}[{window}])'
    # A service that refused nobody yet has no series of refusals; without its zeros the first surge would be its own average.
    none = f"sum by (namespace, job) (rate(grpc_server_handled_total[{window}])) * 0"
    return _record(REFUSALS, f"sum by (namespace, job) ({refused}) or {none}")
