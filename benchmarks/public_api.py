"""Compare the start of a saga by the public API with a route of the service's own that runs the same table."""

import statistics
import sys
from collections import defaultdict
from urllib.parse import urljoin

from benchmarks.harness import Harness, settings
from benchmarks.report import Table

LOADS, ROUNDS, SECONDS, WARM_UP_S = (1, 16), 7, 4.0, 2.0
#: The routes: the path, and its name in the table.
ROUTES = {"/order": "a route of the service's own", "/api/v1/sagas/bench": "POST /api/v1/sagas/bench"}


def measure(bench: Harness) -> Table:
    rows = []
    with bench.server("ours", 2, 64, **settings(bench.database(), bench.responder())) as server:
        for connections in LOADS:
            sys.stderr.write(f"  {connections} connections\n")
            rates = defaultdict[str, list[float]](list)
            for path in ROUTES:
                bench.load(urljoin(server.url, path), connections, WARM_UP_S)
            for number in range(ROUNDS):
                for path in list(ROUTES)[:: 1 if number % 2 else -1]:
                    bench.settle()
                    rates[path].append(len(bench.load(urljoin(server.url, path), connections, SECONDS)) / SECONDS)
            own = rates["/order"]
            for path, name in ROUTES.items():
                ratio = statistics.median(each / first for each, first in zip(rates[path], own, strict=True))
                rows.append((name, str(connections), f"{statistics.median(rates[path]):,.0f}", f"{ratio:.2f}"))
    return Table(name="public-api", head=("started by", "connections", "sagas/s", "ratio"), rows=rows)
