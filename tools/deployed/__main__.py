"""`python -m tools.deployed sample|journey --edge http://127.0.0.1:8080 --home .nhip/tilt`: exit code 0 when all went well."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tools.nhip import journey
from tools.nhip.edge import EdgeError
from tools.nhip.home import Credentials, Home
from tools.nhip.sample import Sample


@dataclass
class Deployed:
    """A platform that others run."""

    home: Home
    edge_url: str

    @property
    def bootstrap_client(self) -> Credentials:
        """The first administrator."""
        return self.home.bootstrap_client()


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes and sends the sample, or walks the journey on it."""
    parser = argparse.ArgumentParser(prog="python -m tools.deployed", description=__doc__)
    parser.add_argument("deed", choices=("sample", "journey"))
    parser.add_argument("--edge", required=True, help="URL of the edge")
    parser.add_argument("--home", required=True, type=Path, help="directory whose secrets/ the platform was given")
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that a step is tried again")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        platform = Deployed(Home(options.home.resolve()), options.edge.rstrip("/"))
        platform.home.prepare()
        sample = Sample(platform, options.people, options.seed, console)
        sample.write()
        sample.enrol()
        if options.deed == "sample":
            sample.send()
            return 0
        report = platform.home.run / "journey.json"
        is_well = journey.run(platform, sample, report, console=console, patience_seconds=options.patience)
    except (EdgeError, OSError) as error:
        print(f"deployed: {error}", file=sys.stderr)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    raise SystemExit(main())
