"""Grafana's dashboards: what each shows is said here, how it is written by `sheet`."""

from tools.observability.dashboards.business import BUSINESS
from tools.observability.dashboards.flows import FLOWS
from tools.observability.dashboards.platform import PLATFORM

DASHBOARDS = (*PLATFORM, *FLOWS, *BUSINESS)
