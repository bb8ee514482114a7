"""`nhip up`, `down`, `run`: bringing a platform up, and down."""

import os
import signal
import subprocess
import sys
import threading
import time

import click
import psutil
from rich.markup import escape

from libs.database.embedded import EmbeddedPostgres
from tools.nhip import measuring, sending
from tools.nhip.codes import Code
from tools.nhip.context import Context, pass_context
from tools.nhip.home import Home
from tools.nhip.platform import AlreadyRunningError, Platform, PlatformError, end_leftovers
from tools.nhip.state import StateFile
from tools.nhip.terminal import StopRequested, own_terminal, stop_on_signals
from tools.nhip.watching import addresses

_UP_SECONDS = 120.0
# Three waves of services with ten seconds to drain each, and PostgreSQL's shutdown.
_DOWN_SECONDS = 65.0
_GLANCE_SECONDS = 0.05


@click.command(short_help="Start the platform in the background.")
@pass_context
def up(context: Context) -> None:
    """Starts the platform in the background; returns when every service is healthy.

    The first start makes the database and the secrets; later ones find them. A platform that runs already is left as
    it is.

    \b
    Examples:
      nhip up
      NHIP_HOME=/srv/nhip NHIP_EDGE_PORT=9080 nhip up
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    if context.is_running():
        context.console.print("already running")
        addresses(context, context.state)
        return
    began = time.monotonic()
    home = Home(context.home)
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.log("supervisor")
    with log.open("ab") as output:
        said_before = output.tell()
        supervisor = subprocess.Popen(  # noqa: S603 this very program
            [
                *(sys.executable, "-m", "tools.nhip.main"),
                *("--home", str(context.home.resolve()), "--edge-port", str(context.edge_port)),
                *(("--secured",) if context.secured else ()),
                "supervise",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with context.console.status("starting"):
        while not _is_up(context, supervisor.pid):
            code = supervisor.poll()
            if code is not None or time.monotonic() - began > _UP_SECONDS:
                supervisor.terminate()
                with log.open("rb") as said:
                    said.seek(said_before)
                    context.fail(f"the platform did not start: {said.read().decode('utf-8', 'replace').strip()}")
            time.sleep(_GLANCE_SECONDS)
    # It goes on by itself; we are not the one who will see it end.
    supervisor.returncode = 0
    context.console.print(f"every service is healthy after {time.monotonic() - began:.1f} s")
    addresses(context, context.state)


def _is_up(context: Context, supervisor_pid: int) -> bool:
    state = context.state
    return state.is_ready and state.supervisor_pid == supervisor_pid


@click.command(short_help="Stop the platform, cleanly.")
@pass_context
def down(context: Context) -> None:
    """Stops the platform: services drain, then PostgreSQL writes everything and ends.

    Also clears up after a supervisor that was killed. Exits with 3 when there was nothing to stop.

    \b
    Example:
      nhip down
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    file = StateFile(Home(context.home))
    if not file.is_supervised():
        found = _clear_up(context)
        if not found:
            context.fail(f"no platform runs in {context.home}", Code.NOT_RUNNING)
        context.console.print(f"stopped what a dead supervisor had left: {', '.join(found)}")
        return
    supervisor = psutil.Process(file.read().supervisor_pid)
    supervisor.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    with context.console.status("stopping"):
        while file.is_supervised() and time.monotonic() < deadline:
            time.sleep(_GLANCE_SECONDS)
    if file.is_supervised():
        supervisor.kill()
        psutil.wait_procs([supervisor], timeout=5)
        _clear_up(context)
        context.fail("the supervisor did not end in time and was killed; see `nhip logs supervisor`")
    context.console.print("stopped")


def _clear_up(context: Context) -> list[str]:
    """Ends what a dead supervisor left behind; answers its names."""
    found = []
    if end_leftovers(context.state):
        found.append("services")
    if (context.home / "postgres").exists():
        postgres = EmbeddedPostgres(context.home)
        if postgres.is_running():
            postgres.stop()
            found.append("PostgreSQL")
    return found


@click.command(hidden=True)
@pass_context
def supervise(context: Context) -> None:
    """What `nhip up` leaves in the background."""
    try:
        with stop_on_signals(), context.platform(_log_line):
            threading.Event().wait()
    except StopRequested as request:
        _log_line(f"stopped ({request})")
    except AlreadyRunningError as error:
        context.fail(str(error), Code.ALREADY_RUNNING)
    except PlatformError as error:
        context.fail(str(error))


def _log_line(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


@click.command(hidden=True)
@click.option("--people", default=600, show_default=True, type=click.IntRange(1), help="Size of the sample population.")
@click.option("--seed", default=1, show_default=True, help="Seed of the sample population.")
@pass_context
def run(context: Context, people: int, seed: int) -> None:
    """Start, sample data, journey, then serve until Ctrl-C: what `make run` does."""
    began = time.monotonic()

    def report(line: str) -> None:
        context.console.print(f"[dim]{time.monotonic() - began:5.1f} s[/dim]  {escape(line)}", highlight=False)

    is_well = True
    try:
        with own_terminal(), stop_on_signals(), context.platform(report) as platform:
            is_well = _show(context, platform, people, seed)
            addresses(context, platform.state)
            context.console.print("serving; Ctrl-C stops everything")
            threading.Event().wait()
    except StopRequested:
        context.console.print(f"{os.linesep}stopped")
    except AlreadyRunningError as error:
        context.fail(str(error), Code.ALREADY_RUNNING)
    except PlatformError as error:
        context.fail(str(error))
    if not is_well:
        raise click.exceptions.Exit(Code.FAILED)


def _show(context: Context, platform: Platform, people: int, seed: int) -> bool:
    """Enrols the sample, walks the journey, imports the rest of the files; whether all went as it should."""
    return (
        sending.provide_sample(context, platform, people, seed)
        and measuring.walk(context, platform, people, seed)
        and sending.send_files(context, platform, people, seed)
    )
