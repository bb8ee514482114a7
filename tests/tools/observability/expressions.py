"""What a PromQL expression names: time series, labels that it matches or groups by, and the values that it matches."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import promql_parser as promql

from tools.observability.contract.metrics import TARGET_LABELS, by_series
from tools.observability.rules import recording
from tools.observability.rules.pace import Pace

SERIES = by_series()
# What Prometheus makes of each target, and what our own rules record; `le` is a histogram's.
UP = frozenset({"up", "ALERTS"})
RECORDED_LABELS = frozenset({"slo", "slo_class", "grpc_service", "grpc_method"})
RECORDED = frozenset(rule["record"] for group in recording.groups(Pace()) for rule in group["rules"])


@dataclass
class Named:
    """What one expression names."""

    selectors: list[promql.VectorSelector] = field(default_factory=list)
    # Labels of `by` and `on`, `without` and `ignoring`, `group_left`.
    labels: set[str] = field(default_factory=set)
    # Labels that the expression makes itself.
    made: set[str] = field(default_factory=set)


def named(expression: str) -> Named:
    """Raises ValueError for what does not parse."""
    found = Named()
    for node in nodes(promql.parse(expression)):
        if isinstance(node, promql.VectorSelector):
            found.selectors.append(node)
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.labels.update(node.modifier.labels)
        elif isinstance(node, promql.Call) and node.func.name == "label_replace":
            found.made.add(node.args[1].val)
        elif isinstance(node, promql.BinaryExpr) and node.modifier is not None:
            if node.modifier.matching is not None:
                found.labels.update(node.modifier.matching.labels)
            found.labels.update(node.modifier.group_labels or ())
    return found


def nodes(expression) -> Iterator[object]:
    """The expression and everything within it."""
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        inner = getattr(expression, name, None)
        if inner is not None and not isinstance(inner, str | int | float):
            yield from nodes(inner)
    for argument in getattr(expression, "args", ()) or ():
        yield from nodes(argument)


def problems(expression: str) -> list[str]:
    """What an expression names that nothing emits."""
    found, what = [], named(expression)
    known: set[str] = TARGET_LABELS | what.made
    for selector in what.selectors:
        name = selector.name
        if name in RECORDED:
            known |= RECORDED_LABELS
            continue
        if name in UP:
            continue
        metric = SERIES.get(name)
        if metric is None:
            found.append(f"nothing emits {name}")
            continue
        own = {label.name: label for label in metric.labels}
        known |= {*own, *({"le"} if name.endswith("_bucket") else ())}
        for matcher in selector.matchers.matchers:
            if matcher.name in TARGET_LABELS or (matcher.name == "le" and name.endswith("_bucket")):
                continue
            if matcher.name not in own:
                found.append(f"{name} has no label {matcher.name}")
            elif matcher.op == promql.MatchOp.Equal and not own[matcher.name].allows(matcher.value):
                found.append(f"{name} never has {matcher.name}={matcher.value!r}")
    if not what.selectors and not expression.startswith("vector("):
        found.append("names no series")
    found.extend(f"no series has the label {label}" for label in what.labels - known)
    return found
