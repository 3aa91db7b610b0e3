"""Orders a second, side by side with what one would write by hand: `python -m benchmarks.versus [ROUNDS [SECONDS]]`.

Each contender is served by the same server over the same PostgreSQL and calls the same participants, which answer at
once; they take turns for some rounds, and medians count. What is watched, logged and checked in production is on.
"""

import statistics
import sys
from collections import defaultdict

from benchmarks.rig import Rig, rig, settings

CONTENDERS = ("bare", "handwritten", "ours")
CONNECTIONS = (1, 16)
_WARM_UP_S = 1.0
_ROW = "{:<12} {:>12} {:>12} {:>9} {:>8}\n"


def main(rounds: int = 5, seconds: float = 5.0, workers: int = 2) -> int:
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    halves_ms: dict[tuple[str, int], list[float]] = defaultdict(list)
    with rig() as bench:
        given = settings(bench.database(), bench.responder())
        for number in range(rounds):
            sys.stderr.write(f"round {number + 1} of {rounds} …\n")
            for contender in CONTENDERS:
                with bench.server(contender, workers, **given) as url:
                    bench.load(url, max(CONNECTIONS), _WARM_UP_S)
                    for connections in CONNECTIONS:
                        rate, half_ms = measured(bench, url, connections, seconds)
                        rates[contender, connections].append(rate)
                        halves_ms[contender, connections].append(half_ms)
    for connections in CONNECTIONS:
        tell(connections, rates, halves_ms)
    return 0


def measured(bench: Rig, url: str, connections: int, seconds: float) -> tuple[float, float]:
    """Give orders a second, and how many milliseconds half of them took at most."""
    took = bench.load(url, connections, seconds)
    return len(took) / seconds, statistics.median(took) * 1000


def tell(
    connections: int, rates: dict[tuple[str, int], list[float]], halves_ms: dict[tuple[str, int], list[float]]
) -> None:
    by_hand = statistics.median(rates["handwritten", connections])
    sys.stdout.write(f"\n{connections} connection{'s' if connections > 1 else ''}\n")
    sys.stdout.write(_ROW.format("", "orders/s", "from-to", "p50 ms", "ratio"))
    for contender in CONTENDERS:
        found = rates[contender, connections]
        rate, half_ms = statistics.median(found), statistics.median(halves_ms[contender, connections])
        between = f"{min(found):.0f}-{max(found):.0f}"
        sys.stdout.write(_ROW.format(contender, f"{rate:.0f}", between, f"{half_ms:.2f}", f"{rate / by_hand:.2f}"))


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:3])))
