"""docs/operations/capacity.md, from what was measured."""

import textwrap
from collections.abc import Iterator, Sequence

from tools.capacity.measuring import Day, Measured
from tools.capacity.model import BUSY, LEAST_PODS, Cost, Demand, Plan, plan
from tools.load.profiles import NIGHTLY_FILES, PROFILES

# 70 visits a second at the peak; 300 million visits a year; 10 million rows of files a day, in six hours of the night.
COUNTRY = Demand("the country", 70.0, 300e6 / 365, 10e6, 6.0)
# The largest of the 13 health regions has about a tenth of the people; half as many again come where hospitals are.
REGION = COUNTRY.part("a large region", 0.15)
_MS, _MB, _GB, _WIDTH = 1000, 1e6, 1e9, 128


def page(measured: Measured) -> str:
    """The page, whole."""
    return "\n".join(_lines(measured)) + "\n"


def worst_visit(measured: Measured) -> Cost:
    """For each service and database the dearest of the profiles: a plan must stand whichever day comes."""
    costs = [measured.day(profile.name).cost for profile in PROFILES]
    services = {name: max(cost.services.get(name, 0.0) for cost in costs) for one in costs for name in one.services}
    databases = {name: max(cost.databases.get(name, 0.0) for cost in costs) for one in costs for name in one.databases}
    return Cost(services, databases, max(cost.log_bytes for cost in costs), max(cost.stored_bytes for cost in costs))


def _lines(measured: Measured) -> Iterator[str]:
    visit, row = worst_visit(measured), measured.day(NIGHTLY_FILES).cost
    yield "# Capacity"
    yield from _paragraph(
        "What a visit and a row of a file cost, measured, and what a region and the country need by that. "
        "`python -m tools.capacity` reckons this page from `tools/capacity/measured.json`; `make capacity` measures anew."
    )
    yield from _paragraph(f"Measured on {measured.date}: {measured.machine}; {measured.conditions}.")
    yield ""
    yield "## What was measured"
    yield ""
    yield from _table(
        ("profile", "what came", "a second", "requests", "failed", "median", "95 %", "99 %"),
        [
            (day.name, f"{day.units:,} {_unit(day)}", f"{day.units_a_second:,.1f}", *_answers(day))
            for day in measured.days
        ],
    )
    memory = sum(measured.memory_bytes.values()) / 2**20
    yield from _paragraph(
        "Visits arrive independently of how the platform does, and a request's time counts from the moment when it was due. The "
        f"idle platform takes {measured.idle_cores:.2f} cores, and its eight services {memory:,.0f} MiB of memory."
    )
    yield from _paragraph("Processor time of one visit, or of one row in the last column, in milliseconds:")
    yield ""
    yield from _costs(measured)
    for demand in (COUNTRY, REGION):
        yield from _plan(plan(demand, visit, row))
    yield ""
    yield "## How it is reckoned"
    yield from _paragraph(
        "Each service is given the cores that the dearest profile takes at the peak, or the files of the night take, whichever "
        f"is more, so that each core is {BUSY:.0%} busy; a process uses one core; there are at least {LEAST_PODS} pods. "
        "An average says "
        "nothing of a burst within a second, which the other half is for. What PostgreSQL does for all databases (the "
        "log, the vacuum, new sessions) is laid on each by its part of the work."
    )
    yield from _paragraph(
        f"The country: {COUNTRY.visits_a_second:g} visits a second at the peak, {COUNTRY.visits_a_day:,.0f} a day, "
        f"{COUNTRY.rows_a_day:,.0f} rows a night in {COUNTRY.night_hours:g} hours. A large region: "
        f"{REGION.visits_a_second / COUNTRY.visits_a_second:.0%} of it. Regions have databases of their own, so that no "
        "machine of the country has all of these cores."
    )
    yield from _paragraph(
        "What stays on disk is an upper bound: a short run extends tables by more than it fills, and feeds and remembered "
        "requests keep what retention removes later; [scale](scale.md) says what a resource alone takes."
    )
    yield from _paragraph(
        "Not in it: backups, read replicas and standbys, which take what their primary writes; Prometheus, and what collects "
        "logs. Not measured: more cores than these, databases that do not fit in memory, other "
        "networks and disks."
    )


def _paragraph(text: str) -> Iterator[str]:
    yield ""
    yield from textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _unit(day: Day) -> str:
    return "rows" if day.name == NIGHTLY_FILES else "visits"


def _answers(day: Day) -> tuple[str, ...]:
    if day.name == NIGHTLY_FILES:
        return ("one upload", str(day.failed), "", "", "")
    return (f"{day.requests:,}", str(day.failed), f"{day.p50:.0f} ms", f"{day.p95:.0f} ms", f"{day.p99:.0f} ms")


def _costs(measured: Measured) -> Iterator[str]:
    names = sorted({name for day in measured.days for name in (*day.cost.services, *day.cost.databases)})
    rows: list[Sequence[str]] = []
    for part, title in (("services", "{}"), ("databases", "database of {}")):
        for name in names:
            found = [getattr(day.cost, part).get(name, 0.0) * _MS for day in measured.days]
            if any(found):
                shown = "PostgreSQL itself" if name == "postgresql" else title.format(name)
                rows.append(
                    (
                        shown,
                        *(
                            f"{one:.2f}" if day.name != NIGHTLY_FILES else f"{one:.3f}"
                            for day, one in zip(measured.days, found, strict=True)
                        ),
                    )
                )
    total = [sum((*day.cost.services.values(), *day.cost.databases.values())) * _MS for day in measured.days]
    rows.append(("all", *(f"{one:.2f}" for one in total)))
    rows.append(("write-ahead log", *(f"{day.cost.log_bytes / 1000:.1f} kB" for day in measured.days)))
    rows.append(("stays on disk", *(f"{day.cost.stored_bytes / 1000:.1f} kB" for day in measured.days)))
    yield from _table(("", *(day.name for day in measured.days)), rows)


def _plan(found: Plan) -> Iterator[str]:
    demand = found.demand
    yield ""
    yield f"## {demand.name.capitalize()}"
    yield from _paragraph(
        f"{demand.visits_a_second:g} visits and {demand.rows_a_second:,.0f} rows a second, each in its time of the day."
    )
    yield ""
    rows = [
        (
            one.name,
            f"{one.cores:.1f}",
            str(one.pods),
            *((f"{one.database_cores:.1f}", str(one.database_given)) if one.database_given else ("", "")),
        )
        for one in found.services
    ]
    cores, behind = (sum(one.cores for one in found.services), sum(one.database_cores for one in found.services))
    rows.append(("all", f"{cores:.1f}", str(found.pods), f"{behind:.1f}", str(found.database_given)))
    yield from _table(("service", "cores at work", "pods", "database: cores at work", "cores to give it"), rows)
    yield from _paragraph(
        f"Write-ahead log: {found.log_bytes_a_second / _MB:.1f} MB a second at most, {found.log_bytes_a_day / _GB:.0f} GB a day. "
        f"{found.stored_bytes_a_year / _GB:,.0f} GB a year stay on disk."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
