"""`nhip status` and `nhip logs`: looking at a platform."""

import time
from pathlib import Path

import click
import psutil
from rich.table import Table

from tools.nhip import health
from tools.nhip.codes import Code
from tools.nhip.context import Context, pass_context
from tools.nhip.home import Home
from tools.nhip.services import SERVICES, Door
from tools.nhip.state import PlatformState

_LOGS = (*(service.name for service in SERVICES), "supervisor", "postgres", "archiver")
_FOLLOW_SECONDS = 0.2


@click.command(short_help="What runs, where, and how it is.")
@pass_context
def status(context: Context) -> None:
    """What runs, where it listens, how it is.

    Exits with 0 when every service is healthy, 3 when no platform runs, 5 when a service is not healthy.

    \b
    Examples:
      nhip status
      nhip status > /dev/null || nhip up
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    if not context.is_running():
        context.fail(f"no platform runs in {context.home}", Code.NOT_RUNNING)
    state = context.state
    table, memory, is_all_well = _table(state)
    context.console.print(table)
    context.console.print(
        f"resident memory of services and supervisor {memory >> 20} MB, supervisor pid {state.supervisor_pid}"
    )
    addresses(context, state)
    if not is_all_well:
        raise click.exceptions.Exit(Code.UNHEALTHY)


def addresses(context: Context, state: PlatformState) -> None:
    """Prints where everything listens."""
    edge = state.edge_url
    for what, where in (
        ("REST", f"{edge}/v1"),
        ("FHIR R4", f"{edge}/fhir/R4"),
        ("API documentation", f"{edge}/docs"),
        ("edge metrics", f"{edge}/metrics"),
    ):
        context.console.print(f"  {what:<18} {where}", highlight=False)
    for name, service in state.services.items():
        if name != "edge":
            line = f"  {name:<18} grpc://{service.address}  http://{service.metrics_address}/metrics"
            context.console.print(line, highlight=False)


@click.command(short_help="What the services say.")
@click.argument("names", metavar="[SERVICE]...", nargs=-1, type=click.Choice(_LOGS))
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added, until Ctrl-C.")
@click.option(
    "-n", "--lines", default=20, show_default=True, type=click.IntRange(0), help="Lines to begin with, per log."
)
@pass_context
def logs(context: Context, names: tuple[str, ...], follow: bool, lines: int) -> None:  # noqa: FBT001 an option of click
    """What services say; without a name, all of them. `supervisor` and `postgres` have logs too.

    \b
    Examples:
      nhip logs                    the end of every log
      nhip logs -f records claims  two services, as they speak
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    home = Home(context.home)
    width = max(len(name) for name in names or _LOGS)
    offsets: dict[str, int] = {}
    for name in names or _LOGS:
        path = home.log(name)
        offsets[name] = path.stat().st_size if path.exists() else 0
        for line in _last_lines(path, lines):
            click.echo(f"{name:<{width}} | {line}")
    try:
        while follow:
            for name, offset in offsets.items():
                new, offsets[name] = _added(home.log(name), offset)
                for line in new:
                    click.echo(f"{name:<{width}} | {line}")
            time.sleep(_FOLLOW_SECONDS)
    except KeyboardInterrupt:
        pass


def _last_lines(path: Path, count: int) -> list[str]:
    if not path.exists() or not count:
        return []
    with path.open("rb") as file:
        # Lines of a log are rarely longer than this on average.
        file.seek(max(0, path.stat().st_size - count * 2000))
        return file.read().decode("utf-8", "replace").splitlines()[-count:]


def _added(path: Path, offset: int) -> tuple[list[str], int]:
    if not path.exists():
        return [], 0
    # A log that shrank was begun anew.
    start = offset if path.stat().st_size >= offset else 0
    with path.open("rb") as file:
        file.seek(start)
        whole = file.read().rpartition(b"\n")[0]
    return whole.decode("utf-8", "replace").splitlines(), start + len(whole) + (1 if whole else 0)


def _table(state: PlatformState) -> tuple[Table, int, bool]:
    """The table, the resident memory of all in bytes, and whether every service is healthy."""
    table = Table("service", "state", "pid", "restarts", "address", "metrics", "memory", "health")
    memory = _resident(psutil.Process(state.supervisor_pid)) if psutil.pid_exists(state.supervisor_pid) else 0
    is_all_well = True
    doors = {service.name: service.door for service in SERVICES}
    for name, service in state.services.items():
        process = service.process()
        resident = _resident(process) if process else 0
        memory += resident
        is_well = process is not None and health.is_healthy(
            doors.get(name, Door.GRPC), service.health_address or service.address
        )
        is_all_well = is_all_well and is_well
        table.add_row(
            name,
            service.state,
            str(service.pid or ""),
            str(service.restarts),
            service.address,
            service.metrics_address,
            f"{resident >> 20} MB",
            "[green]healthy[/green]" if is_well else "[red]not healthy[/red]",
        )
    return table, memory, is_all_well


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
