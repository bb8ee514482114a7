"""`nhip journey` and `nhip bench`: walking one citizen through the platform, and measuring it."""

import importlib
import pkgutil
import tempfile
import time
from pathlib import Path

import click
from rich.markup import escape

from tools.nhip import sending
from tools.nhip.codes import Code
from tools.nhip.context import Context, pass_context
from tools.nhip.home import Home
from tools.nhip.platform import Platform, PlatformError
from tools.nhip.programs import ROOT
from tools.nhip.target import Attached, Target
from tools.nhip.terminal import StopRequested, stop_on_signals

REPORT = ROOT / "build" / "journey.json"


def walk(context: Context, target: Target, people: int, seed: int) -> bool:
    """Walks the journey and writes build/journey.json; whether every step did what it should."""
    # Imported when needed: the other commands start faster without them.
    from tools.nhip import journey as walking  # noqa: PLC0415
    from tools.nhip.sample import Sample  # noqa: PLC0415

    REPORT.parent.mkdir(exist_ok=True)
    return walking.run(target, Sample(target, people, seed, context.console), REPORT, console=context.console)


@click.command(short_help="Walk one citizen through the platform.")
@click.option("--seed", default=1, show_default=True, help="Seed of the population.")
@click.option("--people", default=600, show_default=True, type=click.IntRange(1), help="Size of the population.")
@click.option(
    "--fresh", is_flag=True, help="On a platform of its own: free ports, a temporary directory, all removed after."
)
@pass_context
def journey(context: Context, seed: int, people: int, fresh: bool) -> None:  # noqa: FBT001 an option of click
    """Takes one citizen through the platform, step by step, through the REST edge.

    Prints each step with its outcome and time, writes build/journey.json, and exits with 0 only if every step did what
    it should. On the running platform, or with --fresh on one of its own.

    \b
    Examples:
      nhip journey
      nhip journey --fresh --seed 7
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    if not fresh:
        context.edge_url()
        target = Attached(Home(context.home))
        is_well = sending.provide_sample(context, target, people, seed) and walk(context, target, people, seed)
    else:
        is_well = _walk_afresh(context, seed, people)
    if not is_well:
        raise click.exceptions.Exit(Code.FAILED)


def _walk_afresh(context: Context, seed: int, people: int) -> bool:
    began = time.monotonic()

    def report(line: str) -> None:
        context.console.print(f"[dim]{time.monotonic() - began:5.1f} s[/dim]  {escape(line)}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="nhip-journey-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        try:
            with stop_on_signals(), Platform(Path(folder, "home"), report=report) as platform:
                return sending.provide_sample(context, platform, people, seed) and walk(context, platform, people, seed)
        except StopRequested:
            return False
        except PlatformError as error:
            context.fail(str(error))


@click.command(short_help="Measure it.")
@click.argument("names", metavar="[SUITE]...", nargs=-1)
def bench(names: tuple[str, ...]) -> None:
    """Runs the benchmark suites, all or those named; each writes build/bench/<suite>.json.

    \b
    Examples:
      nhip bench
      nhip bench platform
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    suites = importlib.import_module("tools.bench")
    known = [module.name for module in pkgutil.iter_modules(suites.__path__) if not module.name.startswith("_")]
    unknown = sorted(set(names) - set(known))
    if unknown:
        message = f"no such suite: {', '.join(unknown)}; there are {', '.join(known)}"
        raise click.UsageError(message)
    failed = [name for name in names or known if importlib.import_module(f"tools.bench.{name}").main()]
    if failed:
        click.echo(f"nhip: failed: {', '.join(failed)}", err=True)
        raise click.exceptions.Exit(Code.FAILED)
