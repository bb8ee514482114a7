"""What the platform tells of itself, and what is made of it: `python -m tools.observability [--check]`.

contract     every metric, span and log field, declared once; docs/operations/telemetry.md is written from it
objectives   the service levels that the protos declare
rules        recording rules and alerts, for the chart
dashboards   Grafana's dashboards, for the chart

Tests hold the contract against what the code declares and the running platform emits, and rules and dashboards against the
contract.
"""
