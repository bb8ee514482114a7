"""Every alert really fires: the platform is broken on purpose, Prometheus sees it and says so."""

import time
from collections.abc import Callable

import pytest

from tests.observability.faults import FAULTS
from tests.observability.stand import Stand
from tools.observability.rules.alerts import alerts

# The longest that an alert must hold is an hour, a minute here; the index tells of its reviews once a minute.
FIRE_SECONDS = 150.0
CALM_SECONDS = 20.0
# A budget that burnt for a while is over it for as long as its windows are long: one fault may leave the next one's alert.
LONG = {alert.name for alert in alerts() if alert.name.endswith("BudgetBurn")}


def test_every_alert_has_a_fault():
    assert set(FAULTS) == {alert.name for alert in alerts()}


def test_nothing_fires_while_nothing_is_broken(stand: Stand):
    seen = set()
    deadline = time.monotonic() + CALM_SECONDS
    while time.monotonic() < deadline:
        seen |= stand.firing()
        time.sleep(1)
    assert seen == set()
    assert {sample["value"][1] for sample in stand.query("up")} == {"1"}


@pytest.mark.parametrize("name", FAULTS)
def test_an_alert_fires(stand: Stand, name: str):
    due = {(alert.name, alert.severity) for alert in alerts() if alert.name == name}
    if name not in LONG:
        until(lambda: not due & stand.firing(), f"{name} fires still, from before")
    with FAULTS[name](stand):
        fired: set[tuple[str, str]] = set()

        def has_fired() -> bool:
            fired.update(stand.firing())
            return due <= fired

        until(has_fired, f"{due} did not fire")


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < FIRE_SECONDS, otherwise
        time.sleep(0.5)
