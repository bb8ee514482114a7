"""Fixtures for every test."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.postgres"]

# A test says what holds, not how fast the machine is that runs it.
settings.register_profile("nhip", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nhip")
