"""The size of the chaos tests: a short form for every run, and the full one with CHAOS=full."""

import os
import random

FULL = os.environ.get("CHAOS") == "full"


def size(short: int, full: int) -> int:
    return full if FULL else short


def drawn_seed() -> int:
    """Return the seed of a run.

    CHAOS_SEED repeats the orders, faults and victims of a run, but not how processes interleave.
    """
    return int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
