"""How much chaos: a short form for every run of the tests, the full one where CHAOS=full asks for it."""

import os
import random

FULL = os.environ.get("CHAOS") == "full"


def size(short: int, full: int) -> int:
    return full if FULL else short


def drawn_seed() -> int:
    """CHAOS_SEED repeats a run: its orders, faults and victims, though not how the processes interleave."""
    return int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
