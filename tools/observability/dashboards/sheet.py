"""A dashboard as data, and as Grafana's JSON."""

import json
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    VariableRefresh,
)

WIDE, HEIGHT, LOW = 24, 8, 4
# What each query is narrowed to.
HERE = 'namespace=~"$namespace"'
# Grafana's window of rates: four scrapes at least.
WINDOW = "$__rate_interval"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and how its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture; `unit` is Grafana's name of it."""

    title: str
    meaning: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 12
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One dashboard. `variables` are name → the query for its values, beside data source and namespace."""

    uid: str
    title: str
    meaning: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()


def panel(
    title: str, meaning: str, unit: str, *queries: tuple[str, str], width: int = 12, number: bool = False
) -> Panel:
    """A panel of (expression, legend)s."""
    return Panel(title, meaning, unit, tuple(Query(*one) for one in queries), width, number)


def quantile(share: float, histogram: str, by: str, where: str = "") -> str:
    """A quantile of a histogram's rates."""
    chosen = f"{HERE}, {where}" if where else HERE
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({histogram}_bucket{{{chosen}}}[{WINDOW}])))"


def rate(counter: str, by: str, where: str = "") -> str:
    """A counter's rate, summed."""
    chosen = f"{HERE}, {where}" if where else HERE
    return f"sum by ({by}) (rate({counter}{{{chosen}}}[{WINDOW}]))"


def largest(count: int, expression: str) -> str:
    """The largest of the series."""
    return f"topk({count}, {expression})"


def text(sheet: Sheet) -> str:
    """The JSON that Grafana imports."""
    built = (
        dashboard.Dashboard(f"NHIP · {sheet.title}")
        .uid(sheet.uid)
        .description(sheet.meaning)
        .tags(["nhip"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("NHIP")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["nhip"])
            .as_dropdown(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
        .with_variable(_variable("namespace", "label_values(nhip_ready, namespace)"))
    )
    for name, query in sheet.variables:
        built = built.with_variable(_variable(name, query))
    x = y = tallest = 0
    for number, one in enumerate(sheet.panels, start=1):
        height = LOW if one.is_number else HEIGHT
        if x + one.width > WIDE:
            x, y, tallest = 0, y + tallest, 0
        built = built.with_panel(_panel(one).id(number).grid_pos(GridPos(h=height, w=one.width, x=x, y=y)))
        x, tallest = x + one.width, max(tallest, height)
    document: dict[str, Any] = json.loads(JSONEncoder().encode(built.build()))
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .query(query)
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        # What Prometheus knows without a label, outside a cluster, is meant too.
        .all_value(".*")
    )


def _panel(one: Panel) -> timeseries.Panel | stat.Panel:
    made: timeseries.Panel | stat.Panel
    if one.is_number:
        made = stat.Panel()
    else:
        legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        made = timeseries.Panel().legend(legend.show_legend(True)).fill_opacity(8)
    made = made.title(one.title).description(one.meaning).unit(one.unit).datasource(_SOURCE)
    for letter, query in zip("ABCDEFGH", one.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).datasource(_SOURCE).expr(query.expression)
        made = made.with_target(target.legend_format(query.legend).range())
    return made
