"""Runs a module tied to its supervisor's life: `python -m tools.nhip.tether MODULE ARGUMENT…`.

Standard input is a pipe that the supervisor holds and never writes to. When the supervisor dies, even by kill -9, the
pipe closes, and the process is asked to end; so no service outlives the one that would restart it.
"""

import os
import runpy
import signal
import sys
import threading
import time

# As long as the supervisor itself would wait for a service to drain.
_PATIENCE_SECONDS = 10.0


def _watch(lifeline: int) -> None:
    while os.read(lifeline, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Starts the watch and becomes the module."""
    # Standard input is taken away from the module, which might read or close it.
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_watch, args=(lifeline,), name="tether", daemon=True).start()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
