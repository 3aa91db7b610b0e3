"""What every contender's order is made of: its steps, of which the environment says how many."""

import os

_MORE = ("reserve", "pay", "pack", "label", "insure", "ship")
#: The last but one is the point of no return: what is refused there has everything before it undone.
STEPS = (*_MORE[: int(os.environ.get("BENCH_STEPS", "4")) - 2], "sell", "confirm")
REFUSED = 409
