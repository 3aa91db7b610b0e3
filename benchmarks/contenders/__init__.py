"""The contenders of the comparison. Each module serves the same order of four calls as a WSGI application."""

import os

_PREPARATIONS = ("reserve", "pay", "pack", "label", "insure", "ship")
#: The steps of an order; BENCH_STEPS sets their number. `sell` is the pivot: a refused sale undoes all steps before it.
STEPS = (*_PREPARATIONS[: int(os.environ.get("BENCH_STEPS", "4")) - 2], "sell", "confirm")
REFUSED = 409
#: Longest time of a call of our orchestrator, in seconds.
TIMEOUT_S = float(os.environ.get("BENCH_TIMEOUT_S", "5"))
