"""docs/operations/telemetry.md, written from the contract."""

from collections.abc import Iterator

from tools.observability import objectives
from tools.observability.contract.labels import Label
from tools.observability.contract.metrics import EVERY, FOLLOWERS, METRICS, STANDARD, WITH_DATABASE, Metric
from tools.observability.contract.spans import LOG_FIELDS, RESOURCE, SPANS
from tools.observability.rules import recording
from tools.observability.rules.alerts import alerts

_GROUPS = {EVERY: "all", WITH_DATABASE: "all but the edge", FOLLOWERS: "all that follow a feed"}
_MANY = 12


def telemetry() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Telemetry"
    yield ""
    yield (
        "Written by `python -m tools.observability` from `tools/observability/contract/`; change it there. Tests hold it against"
    )
    yield "the code, the running platform, the rules and the dashboards. Nothing here holds anything personal."
    yield ""
    yield "## Metrics"
    yield ""
    yield (
        "Served at `NHIP_METRICS_LISTEN`, in the cluster scraped by the ServiceMonitor, which makes `job` of the service's name:"
    )
    yield "`patient-index`. A histogram has `_bucket`, `_count` and `_sum`. The last column says to how many combinations of"
    yield "labels one process may come."
    yield ""
    yield "| metric | kind | meaning | labels | from | at most |"
    yield "|---|---|---|---|---|---|"
    yield from map(_metric, METRICS)
    yield ""
    yield "Of every process, by prometheus_client:"
    yield ""
    yield "| metric | kind | meaning |"
    yield "|---|---|---|"
    for one in STANDARD:
        yield f"| `{one.name}` | {one.kind.value} | {one.meaning} |"
    yield ""
    yield "### Labels"
    yield ""
    yield "| label | meaning | values |"
    yield "|---|---|---|"
    seen: dict[str, None] = {}
    for one in METRICS:
        seen |= dict.fromkeys(map(_label, one.labels))
    yield from seen
    yield ""
    yield from _promises()
    yield ""
    yield from _traces()


def _metric(one: Metric) -> str:
    labels = ", ".join(f"`{label.name}`" for label in one.labels)
    services = _GROUPS.get(one.services) or ", ".join(one.services)
    return f"| `{one.name}` | {one.kind.value} | {one.meaning} | {labels} | {services} | {one.bound} |"


def _label(one: Label) -> str:
    values = ", ".join(sorted(one.values)) if 0 < len(one.values) <= _MANY else f"at most {one.bound}"
    return f"| `{one.name}` | {one.meaning} | {values} |"


def _promises() -> Iterator[str]:
    yield "## Objectives"
    yield ""
    yield "RPCs belong to a class (`slo_class` in their policy), and `protos/nhip/options/v1/options.proto` says what each class"
    yield f"promises. A call is failed when its status is {', '.join(objectives.FAULTS)}; a request at the edge when it is 5xx."
    yield "Streams promise nothing: they end whenever either side is started anew, and feeds are watched by their lag."
    yield ""
    yield "| class | objective | share | may be bad |"
    yield "|---|---|---|---|"
    for one in objectives.objectives():
        what = "answered without a fault" if not one.seconds else f"answered within {one.seconds:g} s"
        yield f"| {one.slo_class} | {what} | {one.share:.1%} | {one.allowed:.1%} |"
    yield ""
    yield (
        "Not counted at the edge: "
        + _routes(objectives.UNCOUNTED_ROUTES)
        + ". Not timed there, since they carry many rows:"
    )
    yield _routes(objectives.long_routes()) + "."
    yield ""
    yield (
        f"Recorded: `{recording.CALLS}`, `{recording.BAD}` and `nhip:slo_bad:ratio5m` to `ratio30d` by `slo`, `slo_class`, `job`;"
    )
    yield f"`{recording.LEFT}` is the share of the budget of the last 30 days that is left."
    yield ""
    yield "## Alerts"
    yield ""
    yield "| alert | severity | when |"
    yield "|---|---|---|"
    for alert in alerts():
        link = f"[{alert.name}](../runbooks/{alert.name}.md)"
        yield f"| {link} | {alert.severity} | {alert.summary.replace('{{ $labels.', '').replace(' }}', '')} |"


def _routes(routes: tuple[str, ...]) -> str:
    return ", ".join(f"`{route}`" for route in routes)


def _traces() -> Iterator[str]:
    yield "## Spans"
    yield ""
    yield "Sent by OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Of the process: " + "; ".join(
        f"`{name}`, {meaning}" for name, meaning in RESOURCE.items()
    )
    yield ""
    yield "| tracer | name | from | meaning | attributes |"
    yield "|---|---|---|---|---|"
    for span in SPANS:
        attributes = "; ".join(f"`{name}`: {meaning}" for name, meaning in span.attributes.items())
        yield f"| {span.tracer} | `{span.name}` | {span.services} | {span.meaning} | {attributes} |"
    yield ""
    yield "## Log lines"
    yield ""
    yield "One JSON object per line, to standard error."
    yield ""
    yield "| field | holds | meaning |"
    yield "|---|---|---|"
    for one in LOG_FIELDS:
        where = "access log" if one.is_of_access_log else "every line" if one.is_always_there else "where there is one"
        yield f"| `{one.name}` | {'/'.join(kind.__name__ for kind in one.kinds)} | {one.meaning} ({where}) |"
