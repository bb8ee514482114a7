"""Lints, formats and checks the protos: `python -m tools.protos.check`.

Breaking changes are judged against protos/released.binpb, the contracts of the last release; `--release` writes it anew.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.protos.generate import PROTOS, ROOT, write_image

RELEASED = PROTOS / "released.binpb"


def main() -> int:
    """Checks, or declares a release; the exit code of the worst check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="declare today's contracts as released")
    if parser.parse_args().release:
        write_image(RELEASED)
        return 0
    buf = str(Path(sys.executable).parent / "buf")
    config = str(PROTOS / "buf.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch, "image.binpb")
        write_image(image)
        checks = (
            [buf, "format", "--diff", "--exit-code", str(PROTOS)],
            [buf, "lint", str(image), "--config", config],
            [buf, "breaking", str(image), "--against", str(RELEASED), "--config", config],
        )
        return max(subprocess.run(check, cwd=ROOT, check=False).returncode for check in checks)  # noqa: S603 our own words


if __name__ == "__main__":
    raise SystemExit(main())
