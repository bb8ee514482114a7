"""Exit codes, for scripts; the help of `nhip` documents them."""

from enum import IntEnum


class Code(IntEnum):
    """What a command's end means."""

    DONE = 0
    FAILED = 1
    # click's own code for it.
    WRONG_USAGE = 2
    NOT_RUNNING = 3
    ALREADY_RUNNING = 4
    UNHEALTHY = 5
