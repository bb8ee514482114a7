"""What a command in the foreground needs from its terminal and its signals."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Ctrl-C, SIGTERM, or the terminal went away. Raised in the main thread, once."""


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turns the first signal into StopRequested; later ones do not disturb the orderly end that it began."""

    def stop(number: int, _: FrameType | None) -> None:
        for each in _STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise StopRequested(signal.Signals(number).name)

    before = {each: signal.signal(each, stop) for each in _STOP_SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def own_terminal() -> Iterator[None]:
    """Takes the terminal's Ctrl-C for this process alone, as a shell does for its jobs.

    Under `make run`, Ctrl-C would reach make too, which then reports a failure however well we end. Does nothing where
    there is no terminal, or where we lead its foreground group already.
    """
    group = os.getpgrp()
    if group == os.getpid() or _foreground_group() != group:
        yield
        return
    # A group that is not in the foreground is stopped when it hands the terminal over, unless it ignores this. And
    # Ctrl-Z would stop us behind make's back, with nobody to continue us.
    ignored = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # Fails where make is gone, and then there is nobody to hand back to.
            os.tcsetpgrp(0, group)
            os.setpgid(0, group)
        for each, handler in ignored.items():
            signal.signal(each, handler)


def _foreground_group() -> int | None:
    """The process group that has our terminal; None without a terminal."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno())
    except (OSError, ValueError):
        return None
