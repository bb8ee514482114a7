"""The cyclic garbage collector of a process that serves."""

import gc

# Allocations without a release, between two looks.
THRESHOLD = 50_000


def spare_the_collector() -> None:
    """Lets the cyclic garbage collector look at less, and less often. Called once, when all is built.

    What was made until now stays until the end; and a batch of two thousand resources makes objects by the hundred thousand
    that reference counting frees by itself. The default threshold of 700 would search for cycles among them all the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD, 10, 10)
