"""`nhip load`: visits as a day brings them, against any platform."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from random import Random

import click
from rich.table import Table

from libs.clock import BANGKOK
from tools.load.arrivals import Load
from tools.load.callers import Callers
from tools.load.doors import Doors
from tools.load.profiles import PROFILES, Profile, first_visits, visits
from tools.load.tally import Tally
from tools.nhip.codes import Code
from tools.nhip.context import Context, pass_context
from tools.nhip.edge import EdgeError
from tools.nhip.enrol import enrol
from tools.nhip.home import Credentials, Home
from tools.nhip.target import Attached, Target
from tools.population import Population

_KNOWN = 40


@dataclass
class _Elsewhere:
    """A platform that somebody else runs."""

    home: Home
    edge_url: str
    bootstrap_client: Credentials


@click.command(short_help="Bring visits as a day brings them.")
@click.argument("profile", type=click.Choice([profile.name for profile in PROFILES]))
@click.option("--rate", default=1.0, show_default=True, type=click.FloatRange(0.01), help="Visits a second.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1.0), help="For how long.")
@click.option("--seed", default=1, show_default=True, help="The same seed draws the same arrivals and visits.")
@click.option("--edge", "edges", multiple=True, help="The edge of another platform; several are taken in turn.")
@click.option("--client-id", envvar="NHIP_CLIENT_ID", default="", help="An administrator there, with --edge.")
@click.option(
    "--client-secret", envvar="NHIP_CLIENT_SECRET", default="", help="Its secret; best given as NHIP_CLIENT_SECRET."
)
@pass_context
def load(
    context: Context,
    profile: str,
    rate: float,
    seconds: float,
    seed: int,
    edges: tuple[str, ...],
    client_id: str,
    client_secret: str,
) -> None:
    """Brings visits at their time, whether or not those before have ended, and prints how long answers took.

    A visit is a dozen requests: the person is found, registered, seen, diagnosed, treated and claimed for. Enrols the
    sample's facilities there; all people are synthetic. Exits with 1 when a request failed.

    \b
    Examples:
      nhip load clinic-morning --rate 2
      nhip load anywhere --rate 70 --seconds 600 --edge http://edge.example
      nhip load outbreak
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    address = context.edge_url(edges[0] if edges else "")
    if edges and not client_secret:
        raise click.UsageError("--edge needs --client-id and NHIP_CLIENT_SECRET of an administrator")
    target: Target = Attached(Home(context.home))
    if edges:
        home = Home(context.home)
        home.prepare()
        target = _Elsewhere(home, address, Credentials(client_id, client_secret))
    chosen = next(one for one in PROFILES if one.name == profile)
    try:
        population = Population.generate(seed=seed, people=_KNOWN, today=datetime.now(BANGKOK).date(), dirty=False)
        enrol(target, population)
    except EdgeError as error:
        context.fail(str(error))
    tally = asyncio.run(_run(target, population, chosen, list(edges) or [address], rate, seconds, seed))
    context.console.print(_shown(chosen, tally))
    for kind, said in tally.first.items():
        context.console.print(f"[red]{kind}[/red] {said}", highlight=False, markup=True)
    if tally.failed:
        context.fail(f"{tally.failed} of {tally.requests} requests failed", Code.FAILED)


async def _run(
    target: Target, population: Population, profile: Profile, edges: list[str], rate: float, seconds: float, seed: int
) -> Tally:
    draws, run = Random(seed), secrets.token_hex(4)  # noqa: S311 the same load again from the same seed
    async with Doors(edges) as doors:
        callers = Callers(target.home, population, doors)
        before = Load(doors, callers)
        for visit in first_visits(callers.facilities, _KNOWN, run):
            await before.walk(visit, time.monotonic())
        return await Load(doors, callers).run(
            visits(profile, callers.facilities, _KNOWN, run, draws), rate, seconds, draws
        )


def _shown(profile: Profile, tally: Tally) -> Table:
    table = Table(
        title=f"{profile.title}: {tally.visits} visits in {tally.seconds:.0f} s, {tally.unfinished} of them cut off"
    )
    for name in ("request", "answers", "failed", "median", "95 %", "99 %"):
        table.add_column(name, justify="left" if name == "request" else "right")
    for kind, answers, failed, *times in tally.rows():
        table.add_row(kind, str(answers), str(failed), *(f"{one:.0f} ms" for one in times))
    return table
