"""The size of the chaos tests: short by default, full with CHAOS=full."""

import os
import random

FULL = os.environ.get("CHAOS") == "full"


def size(short: int, full: int) -> int:
    return full if FULL else short


def drawn_seed() -> int:
    """Return the seed of a run.

    CHAOS_SEED repeats the orders, the faults and the choice of killed processes, but not the timing of the processes.
    """
    return int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
