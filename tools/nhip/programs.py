"""Processes of services: how one is started, and a keeper that starts it again when it dies."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]

# The first restart comes almost at once; a service that keeps dying is left alone for longer and longer.
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 5.0
# After living this long a service counts as having come up.
_LIVED_SECONDS = 10.0
_LAST_LINES = 5


@dataclass(frozen=True)
class Program:
    """`python -m <module> <verb>` of a service, with its environment and the log that its output is appended to."""

    name: str
    module: str
    verb: str
    environment: Mapping[str, str]
    log: Path

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts it away from the terminal's signals, and tied to our life (tools.nhip.tether)."""
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 our own module with our own words
                [sys.executable, "-m", "tools.nhip.tether", self.module, self.verb],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=dict(self.environment),
                start_new_session=True,
            )

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join([*lines[-_LAST_LINES:], f"(all of it in {self.log})"])


class Keeper:
    """Keeps one program running until told to stop. `changed` hears of each change, from the keeper's thread."""

    def __init__(self, program: Program, changed: Callable[..., None]) -> None:
        self.program = program
        self._changed = changed
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._wanted_end = False
        self._quick_deaths = 0
        self._restarts = 0
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {program.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process id while the program runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def quick_deaths(self) -> int:
        """How often in a row the program ended by itself, with an error, soon after its start."""
        return self._quick_deaths

    def start(self) -> None:
        """Starts the program; returns at once."""
        self._thread.start()

    def send(self, what: signal.Signals) -> None:
        """Sends the running process a signal; one that ends it lets it be started again."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(what)

    def restart(self) -> None:
        """Ends the program in its own time; it is started again at once, and that is not counted as a death."""
        self._wanted_end = True
        self.send(signal.SIGTERM)

    def ask_to_stop(self) -> None:
        """Tells the program to end, for good; returns at once."""
        self._stopping.set()
        self.send(signal.SIGTERM)

    def wait_until_stopped(self, deadline: float) -> None:
        """Returns when the process is gone; kills it at `deadline` (time.monotonic)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        while self._thread.is_alive():
            # A stopped process (SIGSTOP) takes this one too.
            self.send(signal.SIGKILL)
            self._thread.join(0.1)

    def _keep(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            process = self._process = self.program.spawn()
            self._tell("running", pid=process.pid, started_at=_created(process.pid))
            if self._stopping.is_set():
                # Asked to stop between the look above and the start.
                process.terminate()
            code = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._stopping.is_set():
                break
            self._restarts += 1
            if self._wanted_end:
                self._wanted_end = False
                continue
            if time.monotonic() - started >= _LIVED_SECONDS:
                delay, self._quick_deaths = _FIRST_DELAY_SECONDS, 0
            elif code > 0:
                # By itself: what was killed from outside says nothing about whether it can live.
                self._quick_deaths += 1
            self._tell("waiting", pid=0)
            _say(f"{self.program.name} {_ending(code)}; starting it again in {delay:.1f} s")
            self._stopping.wait(delay)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
        self._tell("stopped", pid=0)

    def _tell(self, state: str, **changes: Any) -> None:
        self._changed(self.program.name, state=state, restarts=self._restarts, **changes)


def _created(pid: int) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time()
    return 0.0


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
