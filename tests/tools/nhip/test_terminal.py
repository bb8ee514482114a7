"""Ctrl-C at a real terminal, through make, as `make run` meets it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import threading
from tools.nhip.terminal import StopRequested, own_terminal, stop_on_signals
try:
    with own_terminal(), stop_on_signals():
        print("ready", flush=True)
        threading.Event().wait()
except StopRequested as request:
    print("stopped by", request, flush=True)
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A Makefile whose target `run` is a program in the foreground."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "Makefile").write_text(f"run:\n\t@PYTHONPATH={ROOT} exec {sys.executable} {tmp_path / 'program.py'}\n")
    return tmp_path / "Makefile"


# Gives make a terminal of its own; what is written to us is typed there. A process of its own, since forking one that
# has threads, as pytest's workers do, is not safe.
TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["make", "-f", sys.argv[1], "run"])))
"""


def test_ctrl_c_through_make_ends_in_order_with_exit_code_0(program: Path) -> None:
    command = [sys.executable, "-c", TERMINAL, str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as terminal:
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        while b"ready" not in terminal.stdout.readline():
            pass
        terminal.stdin.write(b"\x03")
        assert b"stopped by SIGINT" in terminal.stdout.read()
    assert terminal.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_without_a_terminal_a_signal_ends_in_order(program: Path, number: signal.Signals) -> None:
    command = [sys.executable, str(program.with_name("program.py"))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        run.send_signal(number)
        assert run.stdout.read() == f"stopped by {number.name}\n".encode()
    assert run.returncode == 0
