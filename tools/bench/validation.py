"""What validation costs: an ordinary Observation and others, beside what parsing their bytes costs, on one core.

python -m tools.bench.validation
"""

import time
from collections.abc import Callable
from typing import Any

import orjson
from rich.console import Console

from libs.fhir.body import parse
from libs.fhir.validation import validate
from tools.measure.results import Result, result, show, write

ROUNDS, RUNS = 3000, 7
# What an ordinary Observation may cost.
LIMIT_MICROSECONDS = 50.0
_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": _UCUM, "code": unit}


OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "category": [{"coding": [{"system": _CATEGORY, "code": "laboratory"}]}],
    "code": {"coding": [{"system": _LOINC, "code": "718-7", "display": "Hemoglobin"}]},
    "subject": {"reference": "Patient/1"},
    "encounter": {"reference": "Encounter/1"},
    "effectiveDateTime": "2024-03-01T08:30:00+07:00",
    "performer": [{"reference": "Organization/1"}],
    "valueQuantity": _quantity(13.2, "g/dL"),
    "referenceRange": [{"low": _quantity(12, "g/dL"), "high": _quantity(15.5, "g/dL")}],
}
PRESSURE: dict[str, Any] = {
    **{name: OBSERVATION[name] for name in ("resourceType", "status", "category", "subject", "effectiveDateTime")},
    "code": {"coding": [{"system": _LOINC, "code": "85354-9"}]},
    "component": [
        {"code": {"coding": [{"system": _LOINC, "code": code}]}, "valueQuantity": _quantity(value, "mm[Hg]")}
        for code, value in (("8480-6", 120), ("8462-4", 80))
    ],
}


def _microseconds(body: dict[str, Any]) -> tuple[float, float]:
    """Of validating, and of parsing the bytes; the best of some runs, since noise only adds."""
    raw, name = orjson.dumps(body), str(body["resourceType"])
    return _best(lambda: validate(body, name)), _best(lambda: parse(raw))


def _best(work: Callable[[], object]) -> float:
    seconds = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        for _ in range(ROUNDS):
            work()
        seconds = min(seconds, time.perf_counter() - started)
    return seconds / ROUNDS * 1e6


def main() -> int:
    """Runs the suite; 1 when the promise is missed."""
    conditions = f"best of {RUNS} runs of {ROUNDS}, one core, all checks and invariants"
    results: list[Result] = []
    for name, body in (("observation", OBSERVATION), ("blood_pressure", PRESSURE)):
        cost, parsing = _microseconds(body)
        floor = LIMIT_MICROSECONDS if name == "observation" else None
        limit_name = "parsing the same bytes strictly"
        results.append(
            result(f"validate_{name}_us", cost, "µs", conditions, limit=parsing, limit_name=limit_name, floor=floor)
        )
    console = Console()
    show(results, console)
    console.print(f"written to {write('validation', results)}")
    return 0 if all(one.is_met for one in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
