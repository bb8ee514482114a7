"""Tests against a real Prometheus and a real Alertmanager; `make test-observability` brings both and runs them."""

from tests.observability.programs import programs

# Two programs of 130 MB that nothing else needs.
collect_ignore_glob = [] if programs() else ["test_*.py"]
